// node:http: a server over the fetch handler. https://nodejs.org/api/http.html
//
// `export default http.createServer(listener).listen()` is a component: a server has a method `fetch`.
import EventEmitter from "./events.js";
import { unavailable } from "./internal/errors.js";
import {
  IncomingMessage,
  OutgoingMessage,
  ServerResponse,
  exchange,
  validateHeaderName,
  validateHeaderValue,
} from "./internal/http-messages.js";
import { METHODS, STATUS_CODES } from "./internal/http-names.js";

export function Server(options, listener = undefined) {
  if (!(this instanceof Server)) return new Server(options, listener);
  EventEmitter.call(this);
  const given = typeof options === "function" ? options : listener;
  if (given !== undefined) this.on("request", given);
  this.listening = false;
  this.fetch = (request, _env, ctx) =>
    exchange((incoming, outgoing) => this.emit("request", incoming, outgoing), request, ctx);
}
Object.setPrototypeOf(Server.prototype, EventEmitter.prototype);
Object.setPrototypeOf(Server, EventEmitter);

Object.assign(Server.prototype, {
  // The host listens; where, its operator says.
  listen(...args) {
    this.listening = true;
    const callback = args.find((it) => typeof it === "function");
    queueMicrotask(() => {
      this.emit("listening");
      callback?.call(this);
    });
    return this;
  },
  close(callback = undefined) {
    this.listening = false;
    queueMicrotask(() => {
      this.emit("close");
      callback?.();
    });
    return this;
  },
  address: () => ({ address: "127.0.0.1", family: "IPv4", port: 0 }),
  setTimeout() {
    return this;
  },
  ref() {
    return this;
  },
  unref() {
    return this;
  },
  closeAllConnections() {},
  closeIdleConnections() {},
});

export const createServer = (options, listener = undefined) => new Server(options, listener);

export class Agent {
  constructor(options = {}) {
    this.options = options;
  }

  destroy() {}
}

export const globalAgent = new Agent();
export const maxHeaderSize = 16384;

const refuse = (what) => () => {
  throw unavailable(`http.${what}`, "Use the global `fetch`.");
};

export const request = refuse("request");
export const get = refuse("get");

export class ClientRequest {
  constructor() {
    refuse("ClientRequest")();
  }
}

export const setMaxIdleHTTPParsers = () => {};

export {
  IncomingMessage,
  METHODS,
  OutgoingMessage,
  STATUS_CODES,
  ServerResponse,
  validateHeaderName,
  validateHeaderValue,
};
export default {
  Agent,
  ClientRequest,
  IncomingMessage,
  METHODS,
  OutgoingMessage,
  STATUS_CODES,
  Server,
  ServerResponse,
  createServer,
  get,
  globalAgent,
  maxHeaderSize,
  request,
  setMaxIdleHTTPParsers,
  validateHeaderName,
  validateHeaderValue,
};
