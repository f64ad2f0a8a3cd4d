// The sockets of a worker: the turns `open`, `socket-message` and `close`, and what is sent to them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { component, quiet } from "./worker-component.mjs";

const request = { url: "http://chat.example/rooms/a", headers: [["accept", "*/*"]], protocol: "chat" };
const base64 = (bytes) => Buffer.from(bytes).toString("base64");

/** A room that says what it is told, before its first turn. */
async function emptyRoom() {
  const made = await component(({ worker, workers }) => ({
    Cart: class extends worker.Worker {
      onOpen(socket, { url, headers, protocol }) {
        socket.data.names = [headers.get("accept"), protocol];
        this.kept = socket;
        socket.send(`hello at ${url}`);
      }
      onWebSocketMessage(socket, message) {
        if (message === "leave") return socket.close(4000, "as told");
        if (message === "list") return socket.send(this.sockets.map(({ id }) => id).join());
        if (message === "data") return socket.send(socket.data.names.join());
        for (const other of workers.sockets(this)) other.send(message);
      }
      onClose(socket, code, reason) {
        this.left = [socket === this.kept, code, reason, this.sockets.length];
      }
      seen() {
        return this.left;
      }
      say(...args) {
        this.kept.send(...args);
      }
      sayOften(count, characters) {
        for (let at = 0; at < count; at += 1) this.kept.send("x".repeat(characters));
      }
      end(...args) {
        this.kept.close(...args);
      }
      give() {
        return { socket: this.kept };
      }
      sockets2() {
        return workers.sockets({});
      }
    },
  }));
  const say = (socket, text) => made.run("socket-message", { socket, text });
  return { ...made, say };
}

async function room() {
  const made = await emptyRoom();
  await made.run("start");
  return made;
}

test("a socket's messages are turns, and what is sent leaves with them", async () => {
  const { run, call, say } = await room();
  const opened = await run("open", { socket: "s1", request });
  const text = "hello at http://chat.example/rooms/a";
  assert.deepEqual(opened, { state: "done", id: "2", answer: null, ...quiet, sockets: [{ socket: "s1", text }] });
  await run("open", { socket: "s2", request });
  assert.deepEqual((await say("s1", "list")).sockets, [{ socket: "s1", text: "s1,s2" }]);
  assert.deepEqual((await say("s2", "data")).sockets, [{ socket: "s2", text: "*/*,chat" }]);
  const both = await run("socket-message", { socket: "s1", bytes: base64([1, 2, 255]) });
  assert.deepEqual(both.sockets, ["s1", "s2"].map((socket) => ({ socket, bytes: base64([1, 2, 255]) })));
  const half = await say("s2", "\ud800");
  assert.equal(half.sockets[1].text, "\ufffd");
  await run("close", { socket: "s2", code: 1001, reason: "going away" });
  assert.deepEqual((await call("seen")).answer, [true, 1001, "going away", 1]);
  assert.deepEqual((await say("s1", "list")).sockets, [{ socket: "s1", text: "s1" }]);
  await assert.rejects(call("say", "late"), /socket\.send: the socket is closed/);
});

test("a socket that the worker closes is none of its own any more", async () => {
  const { run, call, say } = await room();
  await run("open", { socket: "s1", request });
  const close = { code: 4000, reason: "as told" };
  assert.deepEqual((await say("s1", "leave")).sockets, [{ socket: "s1", close }]);
  // Messages that were under way, and the end of it, change nothing.
  assert.deepEqual((await say("s1", "list")).sockets, []);
  await run("close", { socket: "s1", code: 1006, reason: "" });
  assert.equal((await call("seen")).answer, undefined);
});

test("what cannot be sent, and to whom, is refused", async () => {
  const opened = async () => {
    const made = await room();
    await made.run("open", { socket: "s1", request });
    return made;
  };
  const refused = async (error, ...args) => assert.rejects((await opened()).call(...args), error);
  for (const wrong of [5, null, { a: 1 }]) await refused(TypeError, "say", wrong);
  await refused(RangeError, "sayOften", 1, (1 << 20) + 1);
  await refused({ name: "RangeError", message: /8388608 characters to sockets/ }, "sayOften", 9, 1 << 20);
  await refused({ name: "RangeError", message: /10000 messages to sockets/ }, "sayOften", 10_001, 0);
  assert.equal((await (await opened()).call("sayOften", 8, 1 << 20)).sockets.length, 8);
  for (const code of [999, 1001, 2999, 5000, 3000.5, "1000"]) await refused(RangeError, "end", code);
  await refused(RangeError, "end", 3000, "é".repeat(62));
  assert.equal((await (await opened()).call("end", 3000, `${"é".repeat(61)}x`)).sockets.length, 1);
  assert.deepEqual((await (await opened()).call("end")).sockets[0].close, { code: 1000, reason: "" });
  const made = await opened();
  await assert.rejects(made.call("give"), { message: "the socket s1 cannot be cloned: it is the answer.socket" });
  await assert.rejects((await opened()).call("sockets2"), /workers\.sockets takes the object of the worker that runs/);
  await assert.rejects((await opened()).run("open", { socket: "s1", request }), /the socket s1 is open already/);
  await assert.rejects((await opened()).run("open", { socket: "", request }), TypeError);
});

test("a class without a handler for messages takes no sockets", async () => {
  const { run } = await component(({ worker }) => ({ Cart: class extends worker.Worker {} }));
  await run("start");
  await assert.rejects(run("open", { socket: "s1", request }), /the worker class Cart has no onWebSocketMessage/);
});

test("onOpen and onClose may be left out, and a class may have a field named sockets", async () => {
  const { run, call } = await component(({ worker, workers }) => ({
    Cart: class extends worker.Worker {
      constructor() {
        super();
        this.sockets = "mine";
      }
      onWebSocketMessage(socket) {
        socket.send(new Uint8Array([1, 2, 3]).subarray(1));
      }
      both() {
        return [this.sockets, workers.sockets(this).length];
      }
    },
  }));
  await run("start");
  await run("open", { socket: "s1", request: { url: request.url, headers: [] } });
  const { sockets } = await run("socket-message", { socket: "s1", text: "" });
  assert.deepEqual(sockets, [{ socket: "s1", bytes: base64([2, 3]) }]);
  assert.deepEqual((await call("both")).answer, ["mine", 1]);
  await run("close", { socket: "s1", code: 1000, reason: "" });
  assert.deepEqual((await call("both")).answer, ["mine", 0]);
});

test("an onClose that throws is reported, and the socket is gone all the same", async () => {
  const { native, run, call } = await component(({ worker }) => ({
    Cart: class extends worker.Worker {
      onWebSocketMessage() {}
      async onClose(socket, code) {
        this.code = code;
        throw new Error("no");
      }
      seen() {
        return [this.code, this.sockets.length];
      }
    },
  }));
  const reported = [];
  native.reportException = ({ message }) => reported.push(message);
  await run("start");
  await run("open", { socket: "s1", request });
  await run("close", { socket: "s1", code: 1006, reason: "" });
  assert.deepEqual((await call("seen")).answer, [1006, 0]);
  assert.deepEqual(reported, ["no"]);
});

test("a worker has a limit on its sockets", async () => {
  const { native } = await room();
  const { openSocket, openSockets } = await import(`../src/workers/sockets.js${native.world}`);
  for (let at = 0; at < 10_000; at += 1) openSocket({ socket: `s${at}`, request });
  assert.equal(openSockets().length, 10_000);
  const tooMany = { name: "RangeError", message: /10000 sockets are open/ };
  assert.throws(() => openSocket({ socket: "more", request }), tooMany);
});

test("sockets move with a worker into a new version", async () => {
  const from = await room();
  await from.run("open", { socket: "s1", request });
  await from.run("open", { socket: "s2", request });
  const { answer: state } = await from.run("export");
  const { run, call } = await emptyRoom();
  await run("upgrade", { version: "2", state });
  assert.deepEqual((await call("say", "moved")).sockets, [{ socket: "s2", text: "moved" }]);
  const { sockets } = await run("socket-message", { socket: "s1", text: "list" });
  assert.deepEqual(sockets, [{ socket: "s1", text: "s1,s2" }]);
  await assert.rejects(call("give"), /the socket s2 cannot be cloned/);
});

const eventRequest = {
  url: "http://shop.example/feed",
  headers: [["last-event-id", "7"]],
  protocol: "",
  kind: "event-stream",
};

/** A worker that sends what it is told to the streams that are open: one. */
async function feed() {
  const made = await component(({ worker }) => ({
    Cart: class extends worker.Worker {
      onEventStream(stream, { url, headers, lastEventId, protocol }) {
        stream.send(`${url} ${headers.get("last-event-id")} ${lastEventId} ${protocol}`, { event: "hello", id: 8 });
      }
      onClose(stream, code) {
        this.left = [stream.kind, code];
      }
      say(...args) {
        for (const stream of this.sockets) stream.send(...args);
      }
      end() {
        this.sockets[0].close();
      }
      seen() {
        return [this.left, this.sockets.map(({ kind }) => kind)];
      }
    },
  }));
  await made.run("start");
  return { ...made, opened: await made.run("open", { socket: "s1", request: eventRequest }) };
}

test("an event stream is a socket that sends events and takes no messages", async () => {
  const { run, call, opened } = await feed();
  const hello = "event: hello\nid: 8\ndata: http://shop.example/feed 7 7 undefined\n\n";
  assert.deepEqual(opened.sockets, [{ socket: "s1", text: hello }]);
  const sent = async (...args) => (await call("say", ...args)).sockets[0].text;
  assert.equal(await sent("a\r\nb\rc\nd"), "data: a\ndata: b\ndata: c\ndata: d\n\n");
  assert.equal(await sent("", { retry: 5_000 }), "retry: 5000\ndata: \n\n");
  assert.deepEqual((await call("seen")).answer, [undefined, ["event-stream"]]);
  await run("open", { socket: "s2", request: eventRequest });
  await run("close", { socket: "s2", code: 1006, reason: "" });
  assert.deepEqual((await call("seen")).answer, [["event-stream", 1006], ["event-stream"]]);
  assert.deepEqual((await call("end")).sockets, [{ socket: "s1", close: { code: 1000, reason: "" } }]);
});

test("what is no event is refused", async () => {
  for (const [wrong, message] of [
    [[new Uint8Array(1)], /sends strings/],
    [["a", { event: "a\nb" }], /name of an event is one line/],
    [["a", { id: "a\0" }], /no NUL/],
    [["a", { id: "a\r" }], /id of an event is one line/],
    [["a", { retry: -1 }], /number of milliseconds/],
  ]) {
    await assert.rejects((await feed()).call("say", ...wrong), message);
  }
});

test("a class without onEventStream takes no event streams", async () => {
  const { run } = await room();
  await assert.rejects(run("open", { socket: "s1", request: eventRequest }), /has no onEventStream/);
});
