// The two messages of an exchange as node:http has them, over the Request that a fetch handler gets and the Response that it
// gives. https://nodejs.org/api/http.html#class-httpincomingmessage
//
// The constructors are functions: packages call and extend them as such.
import native from "elias:native";
import stream from "../../vendor/node/readable-stream.js";
import { checkFunction, nodeError } from "./errors.js";

const { Readable, Writable } = stream;

/** The connection, as far as packages ask about it. */
function connection(request) {
  const socket = new stream.PassThrough();
  return Object.assign(socket, {
    encrypted: request.url.startsWith("https:"),
    remoteAddress: "127.0.0.1",
    remotePort: 0,
    setTimeout: () => socket,
    setNoDelay: () => socket,
    setKeepAlive: () => socket,
  });
}

export function IncomingMessage(request) {
  Readable.call(this, { highWaterMark: 64 * 1024 });
  const url = new URL(request.url);
  this.method = request.method;
  this.url = `${url.pathname}${url.search}`;
  this.httpVersion = "1.1";
  this.httpVersionMajor = 1;
  this.httpVersionMinor = 1;
  this.complete = false;
  this.aborted = false;
  this.headers = {};
  this.rawHeaders = [];
  this.trailers = {};
  for (const [name, value] of request.headers) {
    this.headers[name] = name === "set-cookie" ? [value] : value;
    this.rawHeaders.push(name, value);
  }
  this.headers.host ??= url.host;
  this.socket = this.connection = connection(request);
  this.reader = undefined;
  this.source = request;
}
Object.setPrototypeOf(IncomingMessage.prototype, Readable.prototype);
Object.setPrototypeOf(IncomingMessage, Readable);

IncomingMessage.prototype._read = function () {
  this.reader ??= this.source.body?.getReader();
  if (this.reader === undefined) {
    this.complete = true;
    this.push(null);
    return;
  }
  this.reader.read().then(
    ({ value, done }) => {
      this.complete = done;
      this.push(done ? null : value);
    },
    (error) => this.destroy(error),
  );
};

IncomingMessage.prototype.setTimeout = function () {
  return this;
};

Object.defineProperty(IncomingMessage.prototype, "headersDistinct", {
  get() {
    return Object.fromEntries(Object.entries(this.headers).map(([name, value]) => [name, [value].flat()]));
  },
  configurable: true,
});

/** A message with headers that is written. */
export function OutgoingMessage(options = undefined) {
  Writable.call(this, options);
  this.fields = new Map();
  this.headersSent = false;
  this.finished = false;
  this.sendDate = true;
}
Object.setPrototypeOf(OutgoingMessage.prototype, Writable.prototype);
Object.setPrototypeOf(OutgoingMessage, Writable);

const checkUnsent = (message, what) => {
  if (message.headersSent) throw nodeError(Error, "ERR_HTTP_HEADERS_SENT", `Cannot ${what} headers after they are sent to the client`);
};

Object.assign(OutgoingMessage.prototype, {
  setHeader(name, value) {
    checkUnsent(this, "set");
    if (value === undefined) throw nodeError(TypeError, "ERR_HTTP_INVALID_HEADER_VALUE", `Invalid value "undefined" for header "${name}"`);
    this.fields.set(`${name}`.toLowerCase(), [`${name}`, value]);
    return this;
  },
  setHeaders(headers) {
    for (const [name, value] of headers) this.setHeader(name, value);
    return this;
  },
  appendHeader(name, value) {
    const former = this.getHeader(name);
    return this.setHeader(name, former === undefined ? value : [former, value].flat());
  },
  getHeader(name) {
    return this.fields.get(`${name}`.toLowerCase())?.[1];
  },
  getHeaders() {
    return Object.assign(Object.create(null), Object.fromEntries([...this.fields].map(([name, [, value]]) => [name, value])));
  },
  getHeaderNames() {
    return [...this.fields.keys()];
  },
  getRawHeaderNames() {
    return [...this.fields.values()].map(([name]) => name);
  },
  hasHeader(name) {
    return this.fields.has(`${name}`.toLowerCase());
  },
  removeHeader(name) {
    checkUnsent(this, "remove");
    this.fields.delete(`${name}`.toLowerCase());
  },
  setTimeout() {
    return this;
  },
  cork() {},
  uncork() {},
});

/**
 * `respond` is called once, with the Response, when the head is known. A response that a package makes for itself, to try a listener
 * without a network, has none: what is written to it goes nowhere.
 */
export function ServerResponse(request, respond = undefined) {
  OutgoingMessage.call(this, { decodeStrings: true });
  this.req = request;
  this.statusCode = 200;
  this.statusMessage = undefined;
  this.socket = this.connection = request.socket ?? null;
  // Packages that answer themselves look at these two.
  this._header = null;
  this._hasBody = request.method !== "HEAD";
  this.respond = typeof respond === "function" ? respond : undefined;
  this.controller = undefined;
  this.whole = undefined;
}
Object.setPrototypeOf(ServerResponse.prototype, OutgoingMessage.prototype);
Object.setPrototypeOf(ServerResponse, OutgoingMessage);

const NO_BODY = new Set([204, 205, 304]);

function sendHead(response, body) {
  response.headersSent = true;
  response._header ??= "";
  if (response.respond === undefined) return;
  const headers = new Headers();
  for (const [name, value] of response.fields.values()) {
    // How the bytes travel is the host's business.
    if (/^(?:transfer-encoding|connection|keep-alive)$/i.test(name)) continue;
    for (const one of [value].flat()) headers.append(name, `${one}`);
  }
  const bodiless = NO_BODY.has(response.statusCode) || response.req.method === "HEAD";
  response.respond(new Response(bodiless ? null : body, { status: response.statusCode, statusText: response.statusMessage ?? "", headers }));
}

function startBody(response) {
  if (response.headersSent) return;
  let resume;
  sendHead(
    response,
    new ReadableStream({
      start(controller) {
        response.controller = controller;
      },
      pull() {
        resume?.();
      },
      cancel() {
        response.destroy();
      },
    }),
  );
  response.wait = (callback) => {
    if (response.controller.desiredSize > 0) return callback();
    resume = () => {
      resume = undefined;
      callback();
    };
  };
}

Object.assign(ServerResponse.prototype, {
  _write(chunk, _encoding, callback) {
    if (this.respond === undefined) {
      this.headersSent = true;
      return callback();
    }
    const bytes = typeof chunk === "string" ? native.utf8Encode(chunk) : chunk;
    if (this.ending && !this.headersSent) {
      this.whole = bytes;
      return callback();
    }
    startBody(this);
    if (bytes.length > 0) this.controller.enqueue(new Uint8Array(bytes));
    this.wait(callback);
  },
  _final(callback) {
    this.finished = true;
    if (!this.headersSent) sendHead(this, this.whole ?? null);
    else this.controller?.close();
    callback();
  },
  _destroy(error, callback) {
    if (error !== null) this.controller?.error(error);
    callback(error);
  },
  end(...args) {
    // What is written whole goes as a body of known length.
    this.ending = this.writableLength === 0;
    return Writable.prototype.end.apply(this, args);
  },
  writeHead(status, message, headers) {
    checkUnsent(this, "write");
    this.statusCode = status;
    const fields = typeof message === "string" ? headers : message;
    if (typeof message === "string") this.statusMessage = message;
    if (Array.isArray(fields)) for (let at = 0; at + 1 < fields.length; at += 2) this.setHeader(fields[at], fields[at + 1]);
    else for (const name of Object.keys(fields ?? {})) this.setHeader(name, fields[name]);
    this._header = "";
    if (NO_BODY.has(status)) this._hasBody = false;
    return this;
  },
  flushHeaders() {
    startBody(this);
  },
  writeContinue() {},
  writeProcessing() {},
  writeEarlyHints() {},
  assignSocket() {},
  detachSocket() {},
  _implicitHeader() {
    this.writeHead(this.statusCode);
  },
});

/** The Response that a listener of the form `(request, response)` makes of a Request. */
export function exchange(emit, request) {
  return new Promise((resolve, reject) => {
    const incoming = new IncomingMessage(request);
    const outgoing = new ServerResponse(incoming, resolve);
    outgoing.on("error", reject);
    checkFunction(emit, "listener");
    emit(incoming, outgoing);
  });
}


