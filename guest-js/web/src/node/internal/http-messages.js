// The two messages of an exchange as node:http has them, over the Request that a fetch handler gets and the Response
// that it gives. https://nodejs.org/api/http.html#class-httpincomingmessage
//
// The constructors are functions: packages call and extend them as such.
import native from "elias:native";
import stream from "../../vendor/node/readable-stream.js";
import { checkFunction, checkString, invalidArgType, invalidArgValue, nodeError } from "./errors.js";
import { STATUS_CODES } from "./http-names.js";

const { Readable, Writable } = stream;

/** The address of the client, as far as the component may know it. */
function addressOf(ctx) {
  try {
    return ctx?.clientAddress ?? "127.0.0.1";
  } catch {
    return "127.0.0.1"; // nothing in the source reads an address
  }
}

/** The connection, as far as packages ask about it. */
function connection(encrypted, ctx) {
  const socket = new stream.PassThrough();
  Object.defineProperties(socket, {
    remoteAddress: { get: () => addressOf(ctx), enumerable: true },
    remoteFamily: { get: () => (addressOf(ctx).includes(":") ? "IPv6" : "IPv4"), enumerable: true },
  });
  return Object.assign(socket, {
    encrypted,
    remotePort: 0,
    setTimeout: () => socket,
    setNoDelay: () => socket,
    setKeepAlive: () => socket,
  });
}

/** Made of a Request; what a package makes of a socket of its own is an empty message, which it fills. */
export function IncomingMessage(source, ctx = undefined) {
  const request = source instanceof Request ? source : undefined;
  Readable.call(this, { highWaterMark: 64 * 1024 });
  this.method = null;
  this.url = "";
  this.statusCode = null;
  this.statusMessage = null;
  this.httpVersion = "1.1";
  this.httpVersionMajor = 1;
  this.httpVersionMinor = 1;
  this.complete = false;
  this.aborted = false;
  this.headers = {};
  this.rawHeaders = [];
  this.trailers = {};
  this.rawTrailers = [];
  this.reader = undefined;
  this.source = request;
  if (request === undefined) {
    this.socket = this.connection = source;
    return;
  }
  const url = new URL(request.url);
  this.method = request.method;
  this.url = `${url.pathname}${url.search}`;
  const { headers } = request;
  if (!headers.has("host")) this.addHeader("Host", url.host);
  for (const [name, value] of headers) this.addHeader(name, value);
  // How a body travelled is the host's business, but parsers look here for whether there is one.
  if (!headers.has("content-length") && !headers.has("transfer-encoding") && request.body !== null)
    this.addHeader("Transfer-Encoding", "chunked");
  this.socket = this.connection = connection(url.protocol === "https:", ctx);
}
Object.setPrototypeOf(IncomingMessage.prototype, Readable.prototype);
Object.setPrototypeOf(IncomingMessage, Readable);

Object.defineProperty(IncomingMessage.prototype, "addHeader", {
  value(name, value) {
    const key = name.toLowerCase();
    if (key === "set-cookie") (this.headers[key] ??= []).push(value);
    else this.headers[key] = value;
    this.rawHeaders.push(name, value);
  },
});

IncomingMessage.prototype._read = function () {
  this.reader ??= this.source?.body?.getReader();
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

for (const [name, from] of [
  ["headersDistinct", "headers"],
  ["trailersDistinct", "trailers"],
]) {
  Object.defineProperty(IncomingMessage.prototype, name, {
    get() {
      return Object.assign(
        Object.create(null),
        Object.fromEntries(Object.entries(this[from]).map(([key, value]) => [key, [value].flat()])),
      );
    },
    configurable: true,
  });
}

const TOKEN = /^[\^`\-\w!#$%&'*+.|~]+$/;
const NO_VALUE_CHARACTER = /[^\t\x20-\x7e\x80-\xff]/;

export function validateHeaderName(name, label = "Header name") {
  if (typeof name !== "string" || !TOKEN.test(name)) {
    throw nodeError(TypeError, "ERR_INVALID_HTTP_TOKEN", `${label} must be a valid HTTP token ["${String(name)}"]`);
  }
}

export function validateHeaderValue(name, value) {
  if (value === undefined)
    throw nodeError(TypeError, "ERR_HTTP_INVALID_HEADER_VALUE", `Invalid value "undefined" for header "${name}"`);
  if ([value].flat().some((one) => NO_VALUE_CHARACTER.test(one))) {
    throw nodeError(TypeError, "ERR_INVALID_CHAR", `Invalid character in header content ["${name}"]`);
  }
}

/** A message with headers that is written. */
export function OutgoingMessage(options = undefined) {
  Writable.call(this, options);
  this.fields = new Map();
  // The text of the head once it is decided, as in Node.js: packages ask whether there is one.
  this._header = null;
  this.finished = false;
  this.sendDate = true;
  this.shouldKeepAlive = true;
  this.chunkedEncoding = false;
  this.useChunkedEncodingByDefault = true;
  this.strictContentLength = false;
}
Object.setPrototypeOf(OutgoingMessage.prototype, Writable.prototype);
Object.setPrototypeOf(OutgoingMessage, Writable);

Object.defineProperty(OutgoingMessage.prototype, "headersSent", {
  get() {
    return this._header !== null;
  },
  enumerable: true,
  configurable: true,
});

const checkUnsent = (message, what) => {
  if (message.headersSent)
    throw nodeError(Error, "ERR_HTTP_HEADERS_SENT", `Cannot ${what} headers after they are sent to the client`);
};

const isIterable = (value) => value instanceof Map || value instanceof Headers;

Object.assign(OutgoingMessage.prototype, {
  setHeader(name, value) {
    checkUnsent(this, "set");
    validateHeaderName(name);
    validateHeaderValue(name, value);
    this.fields.set(name.toLowerCase(), [name, value]);
    return this;
  },
  setHeaders(headers) {
    checkUnsent(this, "set");
    if (!isIterable(headers)) throw invalidArgType("headers", ["Headers", "Map"], headers);
    const cookies = [];
    for (const [name, value] of headers) {
      if (name === "set-cookie") cookies.push(value);
      else this.setHeader(name, value);
    }
    if (cookies.length > 0) this.setHeader("set-cookie", cookies.flat());
    return this;
  },
  appendHeader(name, value) {
    checkUnsent(this, "append");
    validateHeaderName(name);
    validateHeaderValue(name, value);
    const former = this.fields.get(name.toLowerCase());
    if (former === undefined) this.fields.set(name.toLowerCase(), [name, value]);
    else former[1] = [former[1], value].flat();
    return this;
  },
  getHeader(name) {
    checkString(name, "name");
    return this.fields.get(name.toLowerCase())?.[1];
  },
  getHeaders() {
    return Object.assign(
      Object.create(null),
      Object.fromEntries([...this.fields].map(([name, [, value]]) => [name, value])),
    );
  },
  getHeaderNames() {
    return [...this.fields.keys()];
  },
  getRawHeaderNames() {
    return [...this.fields.values()].map(([name]) => name);
  },
  hasHeader(name) {
    checkString(name, "name");
    return this.fields.has(name.toLowerCase());
  },
  removeHeader(name) {
    checkString(name, "name");
    checkUnsent(this, "remove");
    this.fields.delete(name.toLowerCase());
  },
  // A response ends with its body: `wasi:http` has trailers, clients of a component do not see them.
  addTrailers() {},
  setTimeout() {
    return this;
  },
  cork() {},
  uncork() {},
});

/**
 * `respond` is called once, with the Response, when the head is known. A response that a package makes for itself, to
 * try a listener without a network, has none: what is written to it goes nowhere.
 */
export function ServerResponse(request, respond = undefined) {
  OutgoingMessage.call(this, { decodeStrings: true });
  this.req = request;
  this.statusCode = 200;
  this.statusMessage = undefined;
  this.socket = this.connection = request.socket ?? null;
  // Packages that answer themselves look at it.
  this._hasBody = request.method !== "HEAD";
  this.respond = typeof respond === "function" ? respond : undefined;
  this.responded = false;
  this.controller = undefined;
  this.whole = undefined;
}
Object.setPrototypeOf(ServerResponse.prototype, OutgoingMessage.prototype);
Object.setPrototypeOf(ServerResponse, OutgoingMessage);

const NO_BODY = new Set([204, 205, 304]);

function sendHead(response, body) {
  if (response.responded) return;
  response.responded = true;
  if (response._header === null) response._implicitHeader();
  if (response.respond === undefined) return;
  const headers = new Headers();
  for (const [name, value] of response.fields.values()) {
    // How the bytes travel is the host's business.
    if (/^(?:transfer-encoding|connection|keep-alive)$/i.test(name)) continue;
    for (const one of [value].flat()) headers.append(name, `${one}`);
  }
  const bodiless = NO_BODY.has(response.statusCode) || response.req.method === "HEAD";
  response.respond(
    new Response(bodiless ? null : body, {
      status: response.statusCode,
      statusText: response.statusMessage ?? "",
      headers,
    }),
  );
}

function startBody(response) {
  if (response.responded) return;
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

/** The headers that writeHead takes, as pairs. */
function pairsOf(headers) {
  if (!Array.isArray(headers)) return Object.keys(headers ?? {}).map((name) => [name, headers[name]]);
  if (Array.isArray(headers[0])) return headers;
  if (headers.length % 2 !== 0) throw invalidArgValue("headers", headers);
  return headers.flatMap((name, at) => (at % 2 === 0 ? [[name, headers[at + 1]]] : []));
}

Object.assign(ServerResponse.prototype, {
  _write(chunk, _encoding, callback) {
    if (this.respond === undefined) {
      this.responded = true;
      return callback();
    }
    const bytes = typeof chunk === "string" ? native.utf8Encode(chunk) : chunk;
    if (this.ending && !this.responded) {
      this.whole = bytes;
      return callback();
    }
    startBody(this);
    if (bytes.length > 0) this.controller.enqueue(new Uint8Array(bytes));
    this.wait(callback);
  },
  _final(callback) {
    this.finished = true;
    if (!this.responded) sendHead(this, this.whole ?? null);
    else this.controller?.close();
    callback();
  },
  _destroy(error, callback) {
    if (error !== null) this.controller?.error(error);
    callback(error);
  },
  // The head is decided by the first of these, before any of the body is looked at.
  write(...args) {
    const isChunk = typeof args[0] === "string" || args[0] instanceof Uint8Array;
    // Messages take less than other streams of bytes do.
    if (!isChunk && args[0] !== null) throw invalidArgType("chunk", ["string", "Buffer", "Uint8Array"], args[0]);
    if (this._header === null && !this.writableEnded && isChunk) this._implicitHeader();
    return Writable.prototype.write.apply(this, args);
  },
  end(...args) {
    // What is written whole goes as a body of known length.
    this.ending ??= this.writableLength === 0;
    if (this._header === null && !this.writableEnded) this._implicitHeader();
    this.finished = true;
    return Writable.prototype.end.apply(this, args);
  },
  writeHead(status, message, headers) {
    checkUnsent(this, "write");
    const code = status | 0;
    if (code < 100 || code > 999)
      throw nodeError(RangeError, "ERR_HTTP_INVALID_STATUS_CODE", `Invalid status code: ${status}`);
    this.statusCode = code;
    if (typeof message === "string") this.statusMessage = message;
    else headers ??= message;
    if (this.statusMessage !== undefined && NO_VALUE_CHARACTER.test(this.statusMessage)) {
      throw nodeError(TypeError, "ERR_INVALID_CHAR", "Invalid character in statusMessage");
    }
    this.statusMessage ??= STATUS_CODES[code] ?? "unknown";
    const pairs = pairsOf(headers).filter(([name]) => name);
    // They take the place of what was set, and a list may name one twice.
    for (const [name] of pairs) this.removeHeader(`${name}`);
    for (const [name, value] of pairs) {
      if (Array.isArray(headers)) this.appendHeader(name, value);
      else this.setHeader(name, value);
    }
    this._header = `HTTP/1.1 ${code} ${this.statusMessage}\r\n`;
    if (NO_BODY.has(code)) this._hasBody = false;
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
export function exchange(emit, request, ctx) {
  return new Promise((resolve, reject) => {
    const incoming = new IncomingMessage(request, ctx);
    const outgoing = new ServerResponse(incoming, resolve);
    outgoing.on("error", reject);
    checkFunction(emit, "listener");
    emit(incoming, outgoing);
  });
}
