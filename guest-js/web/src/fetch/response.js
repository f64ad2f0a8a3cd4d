// Response. https://fetch.spec.whatwg.org/#response-class (5.5)
//
// A handler makes one of these for every request, so construction stores what it was given and does the rest on demand.
import native from "elias:native";
import { copyOf, indexOf, isArray, matches, newList, slice, stringify } from "../internal/primordials.js";
import { defineInterface, inspect, replaceClass } from "../webidl/interfaces.js";
import { Body, TEXT_TYPE, extractBody, mixinBody, sendBody } from "./body.js";
import { fillHeaderList, getFromList, headerListOf, headersFromList } from "./headers.js";
import { parseUrl } from "./request.js";

// Shared by all responses whose headers no script reads; never written to.
const NO_HEADERS = [];
const TEXT_HEADERS = ["content-type", TEXT_TYPE];
const JSON_TYPE = "application/json";
const JSON_HEADERS = ["content-type", JSON_TYPE];

const REASON_PHRASE = /^[\t\x20-\x7e\x80-\xff]*$/;
const isNullBodyStatus = (status) => status === 204 || status === 205 || status === 304 || status === 101;
/** Whether the status is a redirect status (Fetch, 2.2.6). */
export const isRedirectStatus = (s) => s === 301 || s === 302 || s === 303 || s === 307 || s === 308;

/** The state of a string body that was sent: used up. */
const SENT = new Body("", undefined);
SENT.taken = true;

export let isResponse;
/** Sends the response to the host. A promise is returned only when the body has to be waited for. */
export let sendResponse;

/** A response of another server. `list` is its header list, `body` a Body or null. */
export let responseFromHost;
/** For those: { url, redirected }. Most responses are made here, and have no room for it. */
const origins = new WeakMap();

// Functions and not private methods, for which the engine would mark every instance.
let initialize;
let setDefaultType;

class ResponseClass {
  // The engine makes the commonest responses, and reads responses, without a script: quickjs/response.c knows these fields.
  #status = 200;
  #statusText = "";
  // A header list until a script asks for the headers, then a Headers.
  #headers = NO_HEADERS;
  // A string that is still unread, or a Body, or null.
  #body = null;

  static {
    isResponse = (value) => typeof value === "object" && value !== null && #status in value;

    sendResponse = (response) => {
      const body = response.#body;
      if (typeof body !== "string" && body?.unusable) {
        throw new TypeError("the fetch handler returned a response whose body was already used or is locked");
      }
      if (response.#status === 0) throw new TypeError("the fetch handler returned Response.error()");
      const headers = response.#headers;
      const list = isArray(headers) ? headers : headerListOf(headers);
      if (body !== null && typeof body !== "string") return sendBody(body, response.#status, list);
      if (body !== null) response.#body = SENT;
      native.responseWhole(response.#status, list, body);
    };

    responseFromHost = (status, list, body, url, redirected, statusText = "") => {
      const response = new ResponseClass();
      response.#status = status;
      response.#statusText = statusText;
      response.#headers = headersFromList(list, true);
      response.#body = body;
      origins.set(response, { url, redirected });
      return response;
    };

    initialize = (response, init) => {
      if (typeof init !== "object" && typeof init !== "function") throw new TypeError("the second argument must be an object");
      const { headers, status, statusText } = init;
      if (status !== undefined) {
        response.#status = toStatus(status);
        if (response.#status < 200 || response.#status > 599) {
          throw new RangeError(`the status ${response.#status} is not in the range from 200 to 599`);
        }
      }
      if (statusText !== undefined) {
        response.#statusText = `${statusText}`;
        if (!matches(REASON_PHRASE, response.#statusText)) throw new TypeError("statusText has a character that HTTP does not allow");
      }
      if (headers !== undefined) response.#headers = fillHeaderList(newList(), headers);
    };

    // Adds a content-type, unless there is one; `shared` is a list to use if there are no other headers.
    setDefaultType = (response, type, shared) => {
      const list = response.#headers;
      if (list.length === 0) {
        response.#headers = shared ?? ["content-type", type];
      } else if (getFromList(list, "content-type") === null) {
        list[list.length] = "content-type";
        list[list.length] = type;
      }
    };

    mixinBody(this, (response) => {
      const body = response.#body;
      return typeof body === "string" ? (response.#body = new Body(body, undefined)) : body;
    });
  }

  constructor(body = null, init = undefined) {
    if (init === undefined && typeof body === "string") {
      this.#headers = TEXT_HEADERS;
      this.#body = body;
      return;
    }
    if (init !== undefined && init !== null) initialize(this, init);
    if (body === null) return;
    if (isNullBodyStatus(this.#status)) throw new TypeError(`a response with status ${this.#status} cannot have a body`);
    if (typeof body === "string") {
      this.#body = body;
      setDefaultType(this, TEXT_TYPE, TEXT_HEADERS);
    } else {
      this.#body = extractBody(body);
      const { type } = this.#body;
      if (type !== null) setDefaultType(this, type, undefined);
    }
  }

  static error() {
    const response = new ResponseClass();
    response.#status = 0;
    response.#headers = headersFromList([], true);
    return response;
  }

  static json(data, init = undefined) {
    const text = stringify(data);
    if (text === undefined) throw new TypeError(`Response.json: a value of type ${typeof data} has no JSON form`);
    const response = new ResponseClass(null, init);
    if (isNullBodyStatus(response.#status)) {
      throw new TypeError(`a response with status ${response.#status} cannot have a body`);
    }
    response.#body = text;
    setDefaultType(response, JSON_TYPE, JSON_HEADERS);
    return response;
  }

  static redirect(url, status = 302) {
    if (arguments.length === 0) throw new TypeError("Response.redirect needs a URL");
    const parsed = parseUrl(`${url}`);
    if (parsed === null) throw new TypeError(`Response.redirect: ${stringify(`${url}`)} is not an absolute URL`);
    status = toStatus(status);
    if (!isRedirectStatus(status)) throw new RangeError(`Response.redirect: ${status} is not a redirect status`);
    const response = new ResponseClass();
    response.#status = status;
    response.#headers = headersFromList(["location", parsed[0]], true);
    return response;
  }

  get type() {
    return this.#status === 0 ? "error" : origins.has(this) ? "basic" : "default";
  }

  get url() {
    this.#status; // the brand check
    const url = origins.get(this)?.url ?? "";
    const hash = indexOf(url, "#");
    return hash < 0 ? url : slice(url, 0, hash);
  }

  get redirected() {
    this.#status;
    return origins.get(this)?.redirected ?? false;
  }

  get status() {
    return this.#status;
  }

  get ok() {
    return this.#status >= 200 && this.#status <= 299;
  }

  get statusText() {
    return this.#statusText;
  }

  get headers() {
    const headers = this.#headers;
    return isArray(headers) ? (this.#headers = headersFromList(copyOf(headers), false)) : headers;
  }

  clone() {
    const copy = new ResponseClass();
    copy.#status = this.#status;
    copy.#statusText = this.#statusText;
    copy.#body = this.#body instanceof Body ? this.#body.clone() : this.#body;
    const headers = this.#headers;
    const list = copyOf(isArray(headers) ? headers : headerListOf(headers));
    if (origins.has(this)) origins.set(copy, origins.get(this));
    // A response of a server, and Response.error(), are immutable; so is the copy.
    copy.#headers = origins.has(this) || this.#status === 0 ? headersFromList(list, true) : list;
    return copy;
  }

  [inspect]() {
    const { status, statusText, headers, ok, bodyUsed, type, url } = this;
    return { status, statusText, headers, ok, bodyUsed, type, url };
  }
}

// Web IDL's conversion to unsigned short.
const toStatus = (value) => (Number(value) >>> 0) & 0xffff;

const { responseConstructor } = native;
const constructor = responseConstructor(ResponseClass, new ResponseClass(""), SENT, JSON_HEADERS);
export const Response = replaceClass(ResponseClass, constructor);

defineInterface(Response);
