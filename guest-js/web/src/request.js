// Request. https://fetch.spec.whatwg.org/#request-class (5.4)
//
// There is one incoming request in the life of an instance. It is made at build time, and a field of it that is still
// undefined is asked of the host when a script first reads it.
import native from "elias:native";
import { Body, extractBody, mixinBody, typeOfInit } from "./body.js";
import { fillHeaderList, getFromList, headerListOf, headersFromList } from "./headers.js";
import { needed, registry } from "./registry.js";
import { defineInterface, inspect } from "./webidl.js";

const METHOD = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const FORBIDDEN_METHOD = /^(?:CONNECT|TRACE|TRACK)$/i;
// The methods that are written in upper case whatever the script wrote; PATCH is not among them (Fetch 2.2.1).
const NORMALIZED_METHOD = /^(?:DELETE|GET|HEAD|OPTIONS|POST|PUT)$/i;
const REDIRECT_MODES = ["follow", "error", "manual"];

const takesNoBody = (method) => method === "GET" || method === "HEAD";

// The argument for which the constructor leaves everything undefined. It is not exported, so no script has it.
const NOTHING = Symbol("nothing");

/** The request that this instance was started for. */
export let incomingRequest;
/** The request's Body or null. */
export let bodyOf;
/** The request's signal, if it was given one. */
export let signalOf;

export class Request {
  #method = undefined;
  #url = undefined;
  #headers = undefined;
  #body = undefined;
  #signal = undefined;
  #redirect = "follow";
  #keepalive = false;

  static {
    incomingRequest = new Request(NOTHING);
    bodyOf = (request) => request.#bodyOrNull();
    signalOf = (request) => request.#signal;
    mixinBody(this, (request) => request.#bodyOrNull());
  }

  constructor(input, init = undefined) {
    if (input === NOTHING) return;
    if (arguments.length === 0) throw new TypeError("new Request() needs a URL or a Request");
    init ??= {};
    const from = typeof input === "object" && input !== null && #method in input ? input : undefined;
    if (from === undefined) {
      // There is no page that a URL could be relative to, unless the program says so, as code for tests does.
      const url = native.parseUrl(`${input}`, globalThis.location?.href);
      if (url === null) throw new TypeError(`${JSON.stringify(`${input}`)} is not an absolute URL`);
      if (url[2] !== "" || url[3] !== "") throw new TypeError("the URL of a request must not have a user name or password");
      this.#url = url[0];
    } else {
      this.#url = from.url;
      this.#redirect = from.#redirect;
      this.#keepalive = from.#keepalive;
    }
    this.#method = init.method === undefined ? (from?.method ?? "GET") : toMethod(init.method);
    const list = [];
    if (init.headers !== undefined) fillHeaderList(list, init.headers);
    else if (from !== undefined) list.push(...headerListOf(from.headers));
    this.#headers = headersFromList(list, false);
    this.#setOptions(init, from);
    this.#setBody(init, from, list);
  }

  get method() {
    return (this.#method ??= native.requestMethod());
  }

  get url() {
    return (this.#url ??= native.requestUrl());
  }

  get headers() {
    return (this.#headers ??= headersFromList(native.requestHeaders(), true));
  }

  get redirect() {
    return this.#redirect;
  }

  get keepalive() {
    return this.#keepalive;
  }

  /** A signal of its own for each request; for the incoming one it never fires. */
  get signal() {
    return (this.#signal ??= needed("newSignal", "request.signal", "AbortSignal")());
  }

  get duplex() {
    return "half";
  }

  clone() {
    const copy = new Request(NOTHING);
    copy.#method = this.method;
    copy.#url = this.url;
    copy.#headers = headersFromList(headerListOf(this.headers).slice(), false);
    copy.#body = this.#bodyOrNull()?.clone() ?? null;
    copy.#signal = this.#signal && registry.followSignal(this.#signal);
    copy.#redirect = this.#redirect;
    copy.#keepalive = this.#keepalive;
    return copy;
  }

  #bodyOrNull() {
    if (this.#body === undefined) this.#body = takesNoBody(this.method) ? null : Body.incoming();
    return this.#body;
  }

  #setOptions({ redirect, keepalive, signal }, from) {
    if (redirect !== undefined) {
      if (!REDIRECT_MODES.includes(`${redirect}`)) throw new TypeError(`${redirect} is not a redirect mode`);
      this.#redirect = `${redirect}`;
    }
    if (keepalive !== undefined) this.#keepalive = Boolean(keepalive);
    if (signal === undefined) signal = from?.#signal;
    if (signal !== undefined && signal !== null) {
      if (!registry.isAbortSignal?.(signal)) throw new TypeError("signal must be an AbortSignal");
      this.#signal = registry.followSignal(signal);
    }
  }

  #setBody(init, from, list) {
    const given = init.body ?? null;
    const inherited = given === null ? (from?.#bodyOrNull() ?? null) : null;
    if ((given !== null || inherited !== null) && takesNoBody(this.#method)) {
      throw new TypeError(`a ${this.#method} request cannot have a body`);
    }
    if (given !== null) {
      this.#body = extractBody(given);
      if (!this.#body.whole && init.duplex !== "half") throw new TypeError('a streamed body needs the option duplex: "half"');
      const type = typeOfInit(given);
      if (type !== null && getFromList(list, "content-type") === null) list.push("content-type", type);
    } else if (inherited !== null) {
      // The new request takes the body over; the old one counts as read.
      inherited.take();
      this.#body = new Body(inherited.source, inherited.stream);
    } else {
      this.#body = null;
    }
  }

  [inspect]() {
    const { method, url, headers, bodyUsed } = this;
    return { method, url, headers, bodyUsed };
  }
}

function toMethod(method) {
  method = `${method}`;
  if (!METHOD.test(method)) throw new TypeError(`${JSON.stringify(method)} is not a valid HTTP method`);
  if (FORBIDDEN_METHOD.test(method)) throw new TypeError(`the HTTP method ${method} is forbidden`);
  return NORMALIZED_METHOD.test(method) ? method.toUpperCase() : method;
}

defineInterface(Request);
