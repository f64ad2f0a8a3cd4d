// node:http against Node's own: a listener must give the client the same, and be told the same when it errs.
import "./world.mjs";
import assert from "node:assert/strict";
import { createServer as theirServer } from "node:http";
import { test } from "node:test";

const { createServer: ourServer } = await import("../src/node/http.js?world=http");

// Fields that differ from connection to connection.
const TRANSPORT = new Set(["connection", "keep-alive", "transfer-encoding", "date", "content-length"]);
const shown = (status, headers, body) => ({
  status,
  headers: headers.filter(([name]) => !TRANSPORT.has(name)).sort(),
  body,
});

async function ours(listener, { method = "GET", headers = {}, body } = {}) {
  const request = new Request("http://a.test/path?q=1", {
    method,
    headers: { host: "a.test", ...headers },
    body,
    duplex: "half",
  });
  const response = await ourServer(listener).fetch(request, {}, {});
  return shown(response.status, [...response.headers], await response.text());
}

async function theirs(listener, { method = "GET", headers = {}, body } = {}) {
  const server = theirServer(listener);
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const response = await fetch(`http://127.0.0.1:${server.address().port}/path?q=1`, {
      method,
      headers,
      body,
      duplex: "half",
    });
    return shown(response.status, [...response.headers], await response.text());
  } finally {
    server.close();
    server.closeAllConnections();
  }
}

/** A listener that answers with what `run` gives or throws. */
const told = (run) => (request, response) => {
  let text;
  try {
    text = JSON.stringify(run(response, request)) ?? "undefined";
  } catch (error) {
    text = `${error.name} ${error.code} ${error.message}`;
  }
  response.end(text);
};

const chunked = () => new Blob(["one ", "two"]).stream();

const listeners = {
  "writeHead takes an array with names given twice": (_, response) => {
    response.writeHead(200, ["Set-Cookie", "a=1", "Set-Cookie", "b=2", "X-A", "1"]);
    response.end("x");
  },
  "writeHead takes pairs": (_, response) =>
    response
      .writeHead(200, [
        ["Set-Cookie", "a=1"],
        ["Set-Cookie", "b=2"],
      ])
      .end("x"),
  "writeHead takes an object and a message": (_, response) =>
    response.writeHead(202, "Fine", { "X-A": "1", b: ["2", "3"] }).end("x"),
  "writeHead overrides what was set": (_, response) => {
    response.setHeader("x-a", "0");
    response.setHeader("x-b", "kept");
    response.writeHead(200, { "X-A": "1" });
    response.end();
  },
  "an odd array": told((response) => response.writeHead(200, ["a"])),
  "a status that is none": told((response) => response.writeHead(99)),
  "a name that is none": told((response) => response.setHeader("a b", "1")),
  "a name that is no text": told((response) => response.setHeader(5, "1")),
  "a value with a line break": told((response) => response.setHeader("a", "x\ny")),
  "no value": told((response) => response.setHeader("a", undefined)),
  "one bad value of many": told((response) => response.setHeader("a", ["x", "y\0"])),
  "an odd name to ask for": told((response) => response.getHeader(5)),
  "an odd name to remove": told((response) => response.removeHeader()),
  "appendHeader and names": told((response) => {
    response.appendHeader("A", "1");
    response.appendHeader("a", ["2", "3"]);
    response.appendHeader("b", ["x"]);
    return [
      response.getHeader("a"),
      response.getHeader("B"),
      response.getHeaderNames(),
      response.getRawHeaderNames(),
      response.hasHeader("A"),
    ];
  }),
  "setHeaders of Headers and of a Map": told((response) => {
    response.setHeaders(
      new Headers([
        ["a", "1"],
        ["set-cookie", "x"],
        ["set-cookie", "y"],
      ]),
    );
    response.setHeaders(new Map([["m", "2"]]));
    return response.getHeaders();
  }),
  "setHeaders of an object": told((response) => response.setHeaders({ a: 1 })),
  "a number stays one": told((response) => [response.setHeader("n", 5).getHeader("n")]),
  "setHeader after the head": (_, response) => {
    response.write("x");
    told(() => response.setHeader("a", "1"))(_, response);
  },
  "appendHeader after the head": (_, response) => {
    response.write("x");
    told(() => response.appendHeader("a", "1"))(_, response);
  },
  "removeHeader after the head": (_, response) => {
    response.write("x");
    told(() => response.removeHeader("a"))(_, response);
  },
  "writeHead after the head": (_, response) => {
    response.write("x");
    told(() => response.writeHead(200))(_, response);
  },
  "writeHead twice": (_, response) => {
    response.writeHead(200, { a: 1 });
    told(() => response.writeHead(201))(_, response);
  },
  headersSent: told((response) => [response.headersSent, response.writeHead(200).headersSent, response.statusMessage]),
  "write of null": told((response) => response.write(null)),
  "write of a number": told((response) => response.write(5)),
  "what a listener put in writeHead's place is called by write": (_, response) => {
    const { writeHead } = response;
    response.writeHead = function (...args) {
      this.setHeader("x-late", "1");
      return writeHead.apply(this, args);
    };
    response.write("a");
    response.end("b");
  },
  "and by end": (_, response) => {
    const { writeHead } = response;
    response.writeHead = function (...args) {
      this.setHeader("x-late", "1");
      return writeHead.apply(this, args);
    };
    response.end();
  },
  "no body with 204": (_, response) => response.writeHead(204).end("ignored"),
  "statusMessage and statusCode": (_, response) => {
    response.statusCode = 299;
    response.statusMessage = "Own";
    response.end("x");
  },
  properties: told((response) => [
    response.writableEnded,
    response.finished,
    response.sendDate,
    response.shouldKeepAlive,
    response.strictContentLength,
    response.req.method,
  ]),
  "properties after end": (_, response) => {
    response.write("a");
    response.on("finish", () => {});
    response.end("b");
  },
  "trailers are left out": (_, response) => {
    response.write("x");
    response.addTrailers({ t: "1" });
    response.end();
  },
};

for (const [name, listener] of Object.entries(listeners)) {
  test(`node:http: ${name}`, async () => assert.deepEqual(await ours(listener), await theirs(listener)));
}

test("node:http: a body without a length is told of", async () => {
  const listener = (request, response) => {
    const parts = [];
    request
      .on("data", (part) => parts.push(part))
      .on("end", () => {
        const { "transfer-encoding": how, "content-length": length, host } = request.headers;
        response.end(
          JSON.stringify([
            how,
            length,
            host !== undefined,
            Buffer.concat(parts).toString(),
            request.complete,
            request.rawHeaders.some((it) => it === "Host" || it === "host"),
          ]),
        );
      });
  };
  for (const init of [
    { method: "POST", body: chunked },
    { method: "POST", body: () => "abc", headers: { "content-length": "3" } },
    { method: "GET" },
    { method: "DELETE" },
  ]) {
    const made = () => ({ ...init, body: init.body?.() });
    assert.deepEqual(await ours(listener, made()), await theirs(listener, made()), JSON.stringify(init));
  }
});

test("node:http: a message that no request made", async () => {
  const { IncomingMessage, ServerResponse } = await import("../src/node/http.js?world=http");
  const message = new IncomingMessage({});
  assert.deepEqual([message.headers, message.rawTrailers, message.method], [{}, [], null]);
  assert.equal(new ServerResponse(message).writeHead(201).statusCode, 201);
});
