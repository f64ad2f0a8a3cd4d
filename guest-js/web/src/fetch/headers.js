// Headers. https://fetch.spec.whatwg.org/#headers-class (5.1)
//
// A header list is a flat array [name, value, name, value, ...] with lower-case names, which is the form it has on both
// sides of the host call. A value is an isomorphic string: each code unit is one byte.
import native from "elias:native";
import {
  adopt,
  apply,
  defineItem,
  includes,
  isEnumerable,
  matches,
  newList,
  ownKeys,
  sort,
  stringify,
} from "../internal/primordials.js";
import { defineInterface, definePairIterable, inspect } from "../webidl/interfaces.js";

const WIDE = /[\u0100-\uffff]/;

// The names that responses set most, in their two usual spellings: a look-up costs a quarter of a validation.
const KNOWN_NAMES = {
  __proto__: null,
  "content-type": "content-type",
  "Content-Type": "content-type",
  "cache-control": "cache-control",
  "Cache-Control": "cache-control",
  location: "location",
  Location: "location",
  "set-cookie": "set-cookie",
  "Set-Cookie": "set-cookie",
  etag: "etag",
  Etag: "etag",
  ETag: "etag",
  "access-control-allow-origin": "access-control-allow-origin",
  "Access-Control-Allow-Origin": "access-control-allow-origin",
};

/** The name in lower case; a TypeError if it is not one. */
function toName(name) {
  const known = typeof name === "string" ? KNOWN_NAMES[name] : undefined;
  if (known !== undefined) return known;
  name = `${name}`;
  const lower = native.headerName(name);
  if (lower === undefined) throw new TypeError(`${stringify(name)} is not a valid header name`);
  return lower;
}

/** Normalises a value (Fetch 2.2.2): HTTP whitespace at both ends goes, CR, LF and NUL within are refused. */
function toValue(value, name) {
  const normalized = native.headerValue(`${value}`);
  if (normalized === undefined) {
    throw new TypeError(`the value of the header "${name}" has a CR, LF, NUL or a character above U+00FF in it`);
  }
  return normalized;
}

function append(list, name, value) {
  name = toName(name);
  value = toValue(value, name);
  const at = list.length;
  list[at] = name;
  list[at + 1] = value;
}

/** Fills a header list from a HeadersInit: a Headers, a sequence of pairs or a record. */
export function fillHeaderList(list, init) {
  if ((typeof init !== "object" && typeof init !== "function") || init === null) {
    throw new TypeError("headers must be a Headers, an array of pairs or an object");
  }
  const iterator = init[Symbol.iterator];
  if (iterator === entries && isHeaders(init)) {
    const from = listOf(init);
    for (let at = 0; at < from.length; at++) list[list.length] = from[at];
  } else if (iterator !== undefined && iterator !== null) {
    // Web IDL's sequence of sequences: these are the script's values, which are asked for their iterators.
    for (const entry of { [Symbol.iterator]: () => apply(iterator, init, []) }) {
      const pair = typeof entry === "object" && entry !== null ? [...entry] : [];
      if (pair.length !== 2) throw new TypeError("each entry of headers must be a pair [name, value]");
      append(list, pair[0], pair[1]);
    }
  } else {
    // Web IDL's record of byte strings: a key that is none, a symbol for one, throws before its value is asked for.
    const names = ownKeys(init);
    for (let at = 0; at < names.length; at++) {
      if (!isEnumerable(init, names[at])) continue;
      const name = `${names[at]}`;
      const lower = KNOWN_NAMES[name] ?? native.headerName(name);
      if (lower === undefined && matches(WIDE, name)) throw new TypeError(`${stringify(name)} is not a valid header name`);
      const value = init[name];
      append(list, lower ?? name, value);
    }
  }
  return list;
}

/** The result of `get` for a name that is absent. */
function noHeader(name) {
  toName(name);
  return null;
}

/** The value of `name` (lower case) in a header list, several of them joined as Fetch's "get" does, or null. */
export function getFromList(list, name) {
  let value = null;
  for (let at = 0; at < list.length; at += 2) {
    if (list[at] === name) value = value === null ? list[at + 1] : `${value}, ${list[at + 1]}`;
  }
  return value;
}

// The argument for which the constructor leaves everything undefined. It is not exported, so no script has it.
const NOTHING = Symbol("nothing");

let isHeaders;
let listOf;
let wrap;
/** The headers of the request that this instance was started for. */
export let incomingHeaders;
// How often one of them was asked for by its name. Few handlers ask for more than two, which is cheaper without a list.
let asked = 0;
const ASKED_MAX = 2;
// The iterator method of Headers, unless a script has replaced it.
let entries;

export class Headers {
  // Undefined while nothing but single headers of the incoming request were asked for.
  #list = undefined;
  #immutable = false;
  // For the guard "request-no-cors": see headers-no-cors.js.
  #allows = undefined;
  // The list as iteration shows it, made on demand and dropped by every change.
  #sorted = undefined;

  static {
    isHeaders = (value) => #list in value;
    listOf = (headers) => headers.#all();
    incomingHeaders = () => {
      const headers = new Headers(NOTHING);
      headers.#immutable = true;
      return headers;
    };
    wrap = (list, immutable, allows = undefined) => {
      const headers = new Headers(NOTHING);
      headers.#list = adopt(list);
      headers.#immutable = immutable;
      headers.#allows = allows;
      return headers;
    };
    definePairIterable(this, (headers) => (headers.#sorted ??= headers.#sortAndCombine()));
    entries = this.prototype.entries;
  }

  constructor(init = undefined) {
    if (init === NOTHING) return;
    this.#list = newList();
    if (init !== undefined) fillHeaderList(this.#list, init);
  }

  append(name, value) {
    if (arguments.length < 2) throw new TypeError("Headers.append needs a name and a value");
    name = toName(name);
    value = toValue(value, name);
    this.#change();
    if (this.#allows?.(name, value, getFromList(this.#list, name)) === false) return;
    this.#add(name, value);
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
    if (this.#list === undefined && asked++ < ASKED_MAX) return native.requestHeader(`${name}`) ?? noHeader(name);
    const list = this.#all();
    return getFromList(list, name) ?? getFromList(list, toName(name));
  }

  getSetCookie() {
    const values = [];
    const list = this.#all();
    for (let at = 0; at < list.length; at += 2) if (list[at] === "set-cookie") defineItem(values, list[at + 1]);
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
      this.#add(name, value);
    } else {
      this.#list[at + 1] = value;
      this.#remove(name, at + 2);
    }
  }

  /** The list, which is the incoming request's if there is none yet. */
  #all() {
    return (this.#list ??= adopt(native.requestHeaders()));
  }

  #find(name) {
    const list = this.#all();
    for (let at = 0; at < list.length; at += 2) if (list[at] === name) return at;
    return -1;
  }

  #add(name, value) {
    const list = this.#list;
    list[list.length] = name;
    list[list.length] = value;
  }

  #remove(name, from) {
    const list = this.#list;
    let kept = from;
    for (let at = from; at < list.length; at += 2) {
      if (list[at] === name) continue;
      list[kept] = list[at];
      list[kept + 1] = list[at + 1];
      kept += 2;
    }
    list.length = kept;
  }

  #change() {
    if (this.#immutable) {
      throw new TypeError("these headers are immutable; copy them first: new Headers(request.headers)");
    }
    this.#sorted = undefined;
  }

  /** Fetch 2.2.2 "sort and combine": one pair a name, except set-cookie, whose values cannot be joined. */
  #sortAndCombine() {
    const list = this.#all();
    const names = newList();
    for (let at = 0; at < list.length; at += 2) if (!includes(names, list[at])) names[names.length] = list[at];
    sort(names);
    const sorted = newList();
    const add = (name, value) => {
      sorted[sorted.length] = name;
      sorted[sorted.length] = value;
    };
    for (let at = 0; at < names.length; at++) {
      if (names[at] !== "set-cookie") add(names[at], getFromList(list, names[at]));
      else for (let from = 0; from < list.length; from += 2) if (list[from] === "set-cookie") add("set-cookie", list[from + 1]);
    }
    return sorted;
  }

  [inspect]() {
    const fields = {};
    const list = this.#all();
    for (let at = 0; at < list.length; at += 2) fields[list[at]] = getFromList(list, list[at]);
    return fields;
  }
}

export { listOf as headerListOf, wrap as headersFromList };

defineInterface(Headers);
