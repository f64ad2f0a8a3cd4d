// Request. https://fetch.spec.whatwg.org/#request-class (5.4)
//
// An instance has one incoming request at a time. It is made at build time, and the host is asked for a field of it
// that is still undefined when a script first reads it.
import native from "elias:native";
import { copyOf, includes, keys, matches, newList, stringify, toUpperCase } from "../internal/primordials.js";
import { registry, requireRegistered } from "../internal/registry.js";
import { dictionary, enumeration } from "../webidl/conversions.js";
import { defineInterface, inspect, replaceMembers } from "../webidl/interfaces.js";
import { Body, extractBody, mixinBody } from "./body.js";
import { fillHeaderList, headerListOf, headersFromList, incomingHeaders } from "./headers.js";

const METHOD = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const FORBIDDEN_METHOD = /^(?:CONNECT|TRACE|TRACK)$/i;
// The methods that are normalized to upper case; PATCH is not among them (Fetch 2.2.1).
const NORMALIZED_METHOD = /^(?:DELETE|GET|HEAD|OPTIONS|POST|PUT)$/i;
const SAFELISTED_METHODS = ["GET", "HEAD", "POST"];

/** The members of RequestInit that are enumerations: their values, the default first. */
const ENUMERATIONS = {
  cache: ["default", "no-store", "reload", "no-cache", "force-cache", "only-if-cached"],
  credentials: ["same-origin", "omit", "include"],
  duplex: ["half"],
  mode: ["cors", "no-cors", "same-origin", "navigate"],
  priority: ["auto", "high", "low"],
  redirect: ["follow", "error", "manual"],
  referrerPolicy: [
    "",
    "no-referrer",
    "no-referrer-when-downgrade",
    "same-origin",
    "origin",
    "strict-origin",
    "origin-when-cross-origin",
    "strict-origin-when-cross-origin",
    "unsafe-url",
  ],
};

/** The options of a request that was given none. */
const DEFAULTS = { integrity: "", keepalive: false, referrer: "about:client" };
for (const name of keys(ENUMERATIONS)) DEFAULTS[name] = ENUMERATIONS[name][0];

/** The parts of a URL, which is relative to `location` where a script has defined one; null if it is none. */
export function parseUrl(url) {
  const base = globalThis.location?.href;
  return native.parseUrl(url, typeof base === "string" ? base : undefined);
}

const takesNoBody = (method) => method === "GET" || method === "HEAD";

// The argument for which the constructor leaves everything undefined. It is not exported, so no script has it.
const NOTHING = Symbol("nothing");

/** The request that this instance was started for. */
export let incomingRequest;
/** The request's Body or null. */
export let bodyOf;
/** The request's signal, if it was given one. */
export let signalOf;
/** The Blob that a blob: URL named when the request was made. */
export let blobOf;

export class Request {
  #method = undefined;
  #url = undefined;
  #headers = undefined;
  #body = undefined;
  #signal = undefined;
  #options = DEFAULTS;
  #blob = undefined;

  static {
    incomingRequest = new Request(NOTHING);
    bodyOf = (request) => request.#bodyOrNull();
    signalOf = (request) => request.#signal;
    blobOf = (request) => request.#blob;
    mixinBody(this, (request) => request.#bodyOrNull());
    // Natives, which ask the host for those of the incoming request.
    replaceMembers(this.prototype, ["method", "url"], native.nativeRequestGetter);
  }

  constructor(input, init = undefined) {
    if (input === NOTHING) return;
    if (arguments.length === 0) throw new TypeError("new Request() needs a URL or a Request");
    const from = typeof input === "object" && input !== null && #method in input ? input : undefined;
    if (from === undefined) this.#setUrl(`${input}`);
    // Its members are read once, and in this order. A Request has them all; its body and its signal are taken as they are, for
    // its getters would make a stream and a signal of them.
    const options = dictionary(init, "the options");
    const isRequest = #method in options;
    const body = isRequest ? options.#bodyOrNull() : options.body;
    const { cache, credentials, duplex, headers, integrity, keepalive, method, mode } = options;
    const { priority, redirect, referrer, referrerPolicy } = options;
    const signal = isRequest ? options.#signal : options.signal;
    const { window } = options;
    if (window !== undefined && window !== null) throw new TypeError("the option window can only be null");
    if (from !== undefined) {
      this.#url = from.url;
      this.#blob = from.#blob;
      this.#options = from.#options;
    }
    this.#setOptions({ cache, credentials, duplex, mode, priority, redirect, referrerPolicy }, { integrity, keepalive, referrer });
    this.#method = method === undefined ? (from?.method ?? "GET") : toMethod(method);
    if (this.mode === "no-cors" && !includes(SAFELISTED_METHODS, this.#method)) {
      throw new TypeError(`a no-cors request cannot have the method ${this.#method}`);
    }
    this.#setSignal(signal === undefined ? from?.#signal : signal);
    let list;
    if (headers !== undefined) list = fillHeaderList(newList(), headers);
    else list = from === undefined ? newList() : copyOf(headerListOf(from.headers));
    this.#headers = this.#guarded(list);
    this.#setBody(body ?? null, duplex, from);
  }

  get method() {
    return (this.#method ??= native.requestMethod());
  }

  get url() {
    return (this.#url ??= native.requestUrl());
  }

  get headers() {
    return (this.#headers ??= incomingHeaders());
  }

  get destination() {
    this.#options; // the brand check
    return "";
  }

  get referrer() {
    return this.#options.referrer;
  }

  get referrerPolicy() {
    return this.#options.referrerPolicy;
  }

  get mode() {
    return this.#options.mode;
  }

  get credentials() {
    return this.#options.credentials;
  }

  get cache() {
    return this.#options.cache;
  }

  get redirect() {
    return this.#options.redirect;
  }

  get integrity() {
    return this.#options.integrity;
  }

  get keepalive() {
    return this.#options.keepalive;
  }

  get isReloadNavigation() {
    this.#options;
    return false;
  }

  get isHistoryNavigation() {
    this.#options;
    return false;
  }

  /** A signal of its own for each request; for the incoming one it never fires. */
  get signal() {
    return (this.#signal ??= requireRegistered("newSignal", "request.signal")());
  }

  get duplex() {
    return this.#options.duplex;
  }

  clone() {
    const copy = new Request(NOTHING);
    // First what may throw.
    copy.#body = this.#bodyOrNull()?.clone() ?? null;
    copy.#method = this.method;
    copy.#url = this.url;
    copy.#options = this.#options;
    copy.#blob = this.#blob;
    copy.#headers = copy.#guarded(copyOf(headerListOf(this.headers)));
    copy.#signal = this.#signal && registry.followSignal(this.#signal);
    return copy;
  }

  #bodyOrNull() {
    if (this.#body === undefined) {
      this.#body = takesNoBody(this.method) || !native.requestHasBody() ? null : Body.incoming();
    }
    return this.#body;
  }

  #setUrl(input) {
    const url = parseUrl(input);
    if (url === null) throw new TypeError(`${stringify(input)} is not an absolute URL`);
    if (url[2] !== "" || url[3] !== "") throw new TypeError("the URL of a request must not have a user name or password");
    this.#url = url[0];
    if (url[1] === "blob:") this.#blob = registry.blobOfUrl?.(url[0]);
  }

  #setOptions(enumerations, { integrity, keepalive, referrer }) {
    const options = { ...this.#options };
    const names = keys(enumerations);
    for (let at = 0; at < names.length; at++) {
      const name = names[at];
      const value = enumerations[name];
      if (value !== undefined) options[name] = enumeration(value, ENUMERATIONS[name], `${name} of a request`);
    }
    if (enumerations.mode !== undefined && options.mode === "navigate") throw new TypeError("the mode of a request cannot be navigate");
    if (options.cache === "only-if-cached" && options.mode !== "same-origin") {
      throw new TypeError('the cache mode only-if-cached needs the mode "same-origin"');
    }
    if (integrity !== undefined) options.integrity = `${integrity}`;
    if (keepalive !== undefined) options.keepalive = Boolean(keepalive);
    if (referrer !== undefined) options.referrer = toReferrer(`${referrer}`);
    this.#options = options;
  }

  #setSignal(signal) {
    if (signal === undefined || signal === null) return;
    if (!registry.isAbortSignal?.(signal)) throw new TypeError("signal must be an AbortSignal");
    this.#signal = registry.followSignal(signal);
  }

  #guarded(list) {
    const allows = this.#options.mode === "no-cors" ? registry.allowsNoCors : undefined;
    if (allows === undefined) return headersFromList(list, false);
    const headers = headersFromList(newList(), false, allows);
    for (let at = 0; at < list.length; at += 2) headers.append(list[at], list[at + 1]);
    return headers;
  }

  #setBody(given, duplex, from) {
    const inherited = from?.#bodyOrNull() ?? null;
    if ((given !== null || inherited !== null) && takesNoBody(this.#method)) {
      throw new TypeError(`a ${this.#method} request cannot have a body`);
    }
    if (given instanceof Body) {
      // Of a Request among the options. It stays the body of both, as its stream would.
      if (given.unusable) throw new TypeError("the body of the request was already used, or its stream is locked");
      this.#body = given;
    } else if (given !== null) {
      this.#body = extractBody(given);
      if (!this.#body.whole) {
        if (duplex === undefined) throw new TypeError('a streamed body needs the option duplex: "half"');
        if (this.keepalive) throw new TypeError("a request with keepalive cannot have a streamed body");
      }
      if (this.#body.type !== null && !this.#headers.has("content-type")) this.#headers.append("content-type", this.#body.type);
    } else {
      this.#body = inherited === null ? null : inherited.moved();
      return;
    }
    // The request that this one was made of counts as read, even though its body is not the one that is sent.
    if (inherited !== null && inherited !== this.#body && !inherited.unusable) inherited.take();
  }

  [inspect]() {
    const { method, url, headers, bodyUsed } = this;
    return { method, url, headers, bodyUsed };
  }
}

/** "" for no referrer; a URL of another origin than `location` counts as not given (Fetch 5.4, step 14). */
function toReferrer(referrer) {
  if (referrer === "") return "";
  const url = parseUrl(referrer);
  if (url === null) throw new TypeError(`${stringify(referrer)} is not a URL that can be a referrer`);
  // Without a page of which this is a part, there is no origin that another could differ from.
  const origin = globalThis.location?.origin;
  const isClient = url[0] === "about:client" || (origin !== undefined && url[10] !== origin);
  return isClient ? "about:client" : url[0];
}

function toMethod(method) {
  method = `${method}`;
  if (!matches(METHOD, method)) throw new TypeError(`${stringify(method)} is not a valid HTTP method`);
  if (matches(FORBIDDEN_METHOD, method)) throw new TypeError(`the HTTP method ${method} is forbidden`);
  return matches(NORMALIZED_METHOD, method) ? toUpperCase(method) : method;
}

defineInterface(Request);
