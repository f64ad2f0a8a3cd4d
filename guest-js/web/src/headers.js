// Headers. https://fetch.spec.whatwg.org/#headers-class (5.1)
//
// A header list is a flat array [name, value, name, value, ...] with lower-case names, which is the form it has on both
// sides of the host call. A value is an isomorphic string: each code unit is one byte.
import { defineInterface, definePairIterable, inspect } from "./webidl.js";

const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const BAD_VALUE = /[\0\r\n\u0100-\uffff]/;

// The names that responses set most, in their two usual spellings: a look-up costs a quarter of a validation.
const KNOWN_NAMES = new Map();
for (const name of ["content-type", "cache-control", "location", "set-cookie", "etag", "access-control-allow-origin"]) {
  KNOWN_NAMES.set(name, name);
  KNOWN_NAMES.set(name.replace(/\b[a-z]/g, (letter) => letter.toUpperCase()), name);
}

/** The name in lower case; a TypeError if it is not one. */
function toName(name) {
  const known = KNOWN_NAMES.get(name);
  if (known !== undefined) return known;
  name = `${name}`;
  if (!NAME.test(name)) throw new TypeError(`${JSON.stringify(name)} is not a valid header name`);
  return name.toLowerCase();
}

// Every character at or below a space: of these only HTTP whitespace is trimmed, and to find one at an end is rare.
const mayTrim = (value) => value.charCodeAt(0) <= 0x20 || value.charCodeAt(value.length - 1) <= 0x20;

/** Normalises a value (Fetch 2.2.2): HTTP whitespace at both ends goes, CR, LF and NUL within are refused. */
function toValue(value, name) {
  value = `${value}`;
  if (mayTrim(value)) value = value.replace(/^[\t\n\r ]+|[\t\n\r ]+$/g, "");
  if (BAD_VALUE.test(value)) {
    throw new TypeError(`the value of the header "${name}" has a CR, LF, NUL or a character above U+00FF in it`);
  }
  return value;
}

const isEnumerable = Object.prototype.propertyIsEnumerable;

/** Fills a header list from a HeadersInit: a Headers, a sequence of pairs or a record. */
export function fillHeaderList(list, init) {
  if ((typeof init !== "object" && typeof init !== "function") || init === null) {
    throw new TypeError("headers must be a Headers, an array of pairs or an object");
  }
  const iterator = init[Symbol.iterator];
  if (iterator === Headers.prototype.entries && isHeaders(init)) {
    list.push(...listOf(init));
  } else if (iterator !== undefined && iterator !== null) {
    for (const entry of { [Symbol.iterator]: () => iterator.call(init) }) {
      const pair = typeof entry === "object" && entry !== null ? [...entry] : [];
      if (pair.length !== 2) throw new TypeError("each entry of headers must be a pair [name, value]");
      const name = toName(pair[0]);
      list.push(name, toValue(pair[1], name));
    }
  } else {
    // Web IDL's record: a key that is a symbol cannot be a name, and says so when it is made a string.
    for (const key of Reflect.ownKeys(init)) {
      if (!isEnumerable.call(init, key)) continue;
      const name = toName(key);
      list.push(name, toValue(init[key], name));
    }
  }
  return list;
}

/** The value of `name` (lower case) in a header list, several of them joined as Fetch's "get" does, or null. */
export function getFromList(list, name) {
  let value = null;
  for (let at = 0; at < list.length; at += 2) {
    if (list[at] === name) value = value === null ? list[at + 1] : `${value}, ${list[at + 1]}`;
  }
  return value;
}

let isHeaders;
let listOf;
let wrap;

export class Headers {
  #list = [];
  #immutable = false;
  // For the guard "request-no-cors": see headers-no-cors.js.
  #allows = undefined;
  // The list as iteration shows it, made on demand and dropped by every change.
  #sorted = undefined;

  static {
    isHeaders = (value) => #list in value;
    listOf = (headers) => headers.#list;
    wrap = (list, immutable, allows = undefined) => {
      const headers = new Headers();
      headers.#list = list;
      headers.#immutable = immutable;
      headers.#allows = allows;
      return headers;
    };
    definePairIterable(this, (headers) => (headers.#sorted ??= headers.#sortAndCombine()));
  }

  constructor(init = undefined) {
    if (init !== undefined) fillHeaderList(this.#list, init);
  }

  append(name, value) {
    if (arguments.length < 2) throw new TypeError("Headers.append needs a name and a value");
    name = toName(name);
    value = toValue(value, name);
    this.#change();
    if (this.#allows?.(name, value, getFromList(this.#list, name)) === false) return;
    this.#list.push(name, value);
  }

  delete(name) {
    if (arguments.length === 0) throw new TypeError("Headers.delete needs a name");
    name = toName(name);
    this.#change();
    this.#remove(name, 0);
  }

  get(name) {
    // Asking for the arguments' number would cost this method, the one used most, more than its work.
    if (name === undefined) throw new TypeError("Headers.get needs a name");
    // A name that is in the list needs no validation, and it is mostly written in lower case.
    return getFromList(this.#list, name) ?? getFromList(this.#list, toName(name));
  }

  getSetCookie() {
    const values = [];
    for (let at = 0; at < this.#list.length; at += 2) {
      if (this.#list[at] === "set-cookie") values.push(this.#list[at + 1]);
    }
    return values;
  }

  has(name) {
    if (arguments.length === 0) throw new TypeError("Headers.has needs a name");
    return this.#find(toName(name)) >= 0;
  }

  set(name, value) {
    if (arguments.length < 2) throw new TypeError("Headers.set needs a name and a value");
    name = toName(name);
    value = toValue(value, name);
    this.#change();
    if (this.#allows?.(name, value, null) === false) return;
    const at = this.#find(name);
    if (at < 0) {
      this.#list.push(name, value);
    } else {
      this.#list[at + 1] = value;
      this.#remove(name, at + 2);
    }
  }

  #find(name) {
    const list = this.#list;
    for (let at = 0; at < list.length; at += 2) if (list[at] === name) return at;
    return -1;
  }

  #remove(name, from) {
    const list = this.#list;
    for (let at = list.length - 2; at >= from; at -= 2) if (list[at] === name) list.splice(at, 2);
  }

  #change() {
    if (this.#immutable) {
      throw new TypeError("these headers are immutable; copy them first: new Headers(request.headers)");
    }
    this.#sorted = undefined;
  }

  /** Fetch 2.2.2 "sort and combine": one pair a name, except set-cookie, whose values cannot be joined. */
  #sortAndCombine() {
    const list = this.#list;
    const names = [];
    for (let at = 0; at < list.length; at += 2) if (!names.includes(list[at])) names.push(list[at]);
    const sorted = [];
    for (const name of names.sort()) {
      if (name === "set-cookie") for (const value of this.getSetCookie()) sorted.push(name, value);
      else sorted.push(name, getFromList(list, name));
    }
    return sorted;
  }

  [inspect]() {
    const fields = {};
    for (let at = 0; at < this.#list.length; at += 2) fields[this.#list[at]] = this.get(this.#list[at]);
    return fields;
  }
}

export { listOf as headerListOf, wrap as headersFromList };

defineInterface(Headers);
