// URL and URLSearchParams. https://url.spec.whatwg.org/#url-class (6.1), #interface-urlsearchparams (6.2)
//
// Parsing and serialising is native; a URL holds its serialisation, of which a part is asked for when a script reads it.
// Natives replace the constructors and the most used members: native/url/object.rs knows the fields of both classes, and
// calls the functions here for unusual cases.
import native from "elias:native";
import { toWellFormed } from "../internal/primordials.js";
import { registry } from "../internal/registry.js";
import { defineInterface, definePairIterable, inspect, replaceMembers, replaceClass } from "../webidl/interfaces.js";

// By their numbers in native.urlPart, and in what native.setUrl returns.
const HREF = 0;
const SHOWN = ["href", "origin", "protocol", "username", "password", "host", "hostname", "port", "pathname", "search", "searchParams", "hash"];
const PARTS = ["href", "protocol", "username", "password", "host", "hostname", "port", "pathname", "search", "hash", "origin"];

/** The URL as it is serialised, or null. */
function parse(url, base) {
  return native.serializeUrl(`${url}`, base === undefined ? undefined : `${base}`);
}

/** As in Node, by whose `code` packages tell it from other errors. */
function invalidUrl(message, input) {
  return Object.assign(new TypeError(message), { code: "ERR_INVALID_URL", input: `${input}` });
}

function needs(count, { length }) {
  if (length < count) throw new TypeError(`${count} argument${count > 1 ? "s are" : " is"} required, and there ${length === 1 ? "is" : "are"} ${length}`);
}

// Functions and not private methods, for which the engine would mark every instance.
let hrefOf;
let setQuery;

const URLClass = class URL {
  #href;
  // Made when a script asks for it; from then on each follows the other.
  #params = undefined;

  static {
    hrefOf = (url) => url.#href;
    setQuery = (url, query) => (url.#href = native.setUrl(url.#href, "search", query)?.[HREF] ?? url.#href);
    // The attributes differ in their names only.
    PARTS.forEach((part, index) => {
      // Accessors of a literal have the names that the standard wants, "get hash" and the like.
      const accessors = {
        get [part]() {
          const href = this.#href;
          return index === HREF ? href : native.urlPart(href, index);
        },
        set [part](value) {
          const href = this.#href;
          const changed = part === "href" ? parse(value, undefined) : (native.setUrl(href, part, `${value}`)?.[HREF] ?? null);
          if (changed !== null) this.#href = changed;
          else if (part === "href") throw invalidUrl(`Invalid URL: ${value}`, value);
          if ((part === "search" || part === "href") && this.#params !== undefined) forgetParams(this.#params);
        },
      };
      const { get, set } = Object.getOwnPropertyDescriptor(accessors, part);
      Object.defineProperty(this.prototype, part, { get, set: part === "origin" ? undefined : set, configurable: true });
    });
  }

  constructor(url, base = undefined) {
    // Without an argument there is "undefined", which is not a URL either.
    this.#href = base === undefined && typeof url === "string" ? native.serializeUrl(url, undefined) : parse(url, base);
    if (this.#href === null) {
      if (base === undefined) throw invalidUrl(`Invalid URL: ${url}`, url);
      throw Object.assign(invalidUrl(`Invalid URL: ${url} with base ${base}`, url), { base: `${base}` });
    }
  }

  static canParse(url, base = undefined) {
    needs(1, arguments);
    return parse(url, base) !== null;
  }

  static parse(url, base = undefined) {
    needs(1, arguments);
    return parse(url, base) === null ? null : new URL(url, base);
  }

  get searchParams() {
    return (this.#params ??= followingParams(this));
  }

  toString() {
    return this.#href;
  }

  toJSON() {
    return this.#href;
  }

  [inspect]() {
    return Object.fromEntries(SHOWN.map((part) => [part, this[part]]));
  }
};

// The argument for which the constructor leaves everything undefined. It is not exported, so no script has it.
const NOTHING = Symbol("nothing");

let followingParams;
let forgetParams;
let listOf;
let replaceList;
let changed;

const URLSearchParamsClass = class URLSearchParams {
  // Flat: [name, value, name, value, ...]. Before it is decoded it is the encoded text; undefined if that text is the
  // query of the URL.
  #list = undefined;
  // The URL of which these are the params: its query follows each change.
  #url = undefined;

  static {
    followingParams = (url) => {
      const params = new this(NOTHING);
      params.#url = url;
      return params;
    };
    forgetParams = (params) => (params.#list = undefined);
    listOf = (params) => {
      const list = params.#list;
      if (typeof list === "object") return list;
      return (params.#list = list === undefined ? native.urlParams(hrefOf(params.#url)) : native.formDecode(list));
    };
    replaceList = (params, list) => (params.#list = list);
    changed = (params) => {
      if (params.#url !== undefined) setQuery(params.#url, native.formEncode(params.#list));
    };
    registry.isURLSearchParams = (value) => #list in value;
    definePairIterable(this, listOf);
  }

  constructor(init = "") {
    if (init === NOTHING) return;
    if ((typeof init !== "object" && typeof init !== "function") || init === null) {
      init = `${init}`;
      this.#list = init.startsWith("?") ? init.slice(1) : init;
      return;
    }
    this.#list = [];
    if (init[Symbol.iterator] != null) {
      for (const entry of init) {
        const pair = typeof entry === "object" && entry !== null ? [...entry] : [];
        if (pair.length !== 2) throw new TypeError("each entry must be a pair [name, value]");
        this.#list.push(toUsv(pair[0]), toUsv(pair[1]));
      }
    } else {
      const record = new Map();
      for (const key of Object.keys(init)) record.set(toUsv(key), toUsv(init[key]));
      for (const [name, value] of record) this.#list.push(name, value);
    }
  }

  get size() {
    return listOf(this).length / 2;
  }

  append(name, value) {
    needs(2, arguments);
    const list = listOf(this);
    list.push(toUsv(name), toUsv(value));
    changed(this);
  }

  delete(name, value = undefined) {
    needs(1, arguments);
    filter(this, matcher(name, value));
    changed(this);
  }

  get(...args) {
    if (args.length === 0) needs(1, args);
    const list = listOf(this);
    const name = toUsv(args[0]);
    for (let at = 0; at < list.length; at += 2) if (list[at] === name) return list[at + 1];
    return null;
  }

  getAll(name) {
    needs(1, arguments);
    name = toUsv(name);
    const list = listOf(this);
    return list.filter((_, at) => at % 2 === 1 && list[at - 1] === name);
  }

  has(name, value = undefined) {
    needs(1, arguments);
    return find(listOf(this), matcher(name, value)) >= 0;
  }

  set(name, value) {
    needs(2, arguments);
    name = toUsv(name);
    value = toUsv(value);
    const matches = matcher(name);
    const list = listOf(this);
    const at = find(list, matches);
    if (at < 0) {
      list.push(name, value);
    } else {
      list[at + 1] = value;
      filter(this, matches, at + 2);
    }
    changed(this);
  }

  sort() {
    const list = listOf(this);
    const names = list.filter((_, at) => at % 2 === 0);
    // By UTF-16 code units and stable, which is what comparing strings and Array's sort are.
    const order = names.map((_, index) => index).sort((a, b) => (names[a] < names[b] ? -1 : names[a] > names[b] ? 1 : 0));
    replaceList(this, order.flatMap((index) => [names[index], list[index * 2 + 1]]));
    changed(this);
  }

  toString() {
    return native.formEncode(listOf(this));
  }

  [inspect]() {
    const list = listOf(this);
    return Array.from({ length: list.length / 2 }, (_, at) => [list[2 * at], list[2 * at + 1]]);
  }
};

const toUsv = (value) => toWellFormed(`${value}`);

function matcher(name, value = undefined) {
  name = toUsv(name);
  if (value === undefined) return (key) => key === name;
  value = toUsv(value);
  return (key, other) => key === name && other === value;
}

function find(list, matches) {
  for (let at = 0; at < list.length; at += 2) if (matches(list[at], list[at + 1])) return at;
  return -1;
}

/** Drops the pairs that match, from `start` on. */
function filter(params, matches, start = 0) {
  const list = listOf(params);
  const kept = list.slice(0, start);
  for (let at = start; at < list.length; at += 2) {
    if (!matches(list[at], list[at + 1])) kept.push(list[at], list[at + 1]);
  }
  replaceList(params, kept);
}

export const URLSearchParams = replaceClass(
  URLSearchParamsClass,
  native.nativeUrlConstructor(URLSearchParamsClass, new URLSearchParamsClass("")),
);
// Its arguments' number is asked for in the cheapest way; the method has the length that the standard says.
Object.defineProperty(URLSearchParams.prototype.get, "length", { value: 1 });
replaceMembers(URLSearchParams.prototype, ["get", "has", "getAll", "size"], native.nativeUrlMember);

export const URL = replaceClass(URLClass, native.nativeUrlConstructor(URLClass, new URLClass("http://localhost/")));
replaceMembers(URL.prototype, [...PARTS, "searchParams", "toString", "toJSON"], native.nativeUrlMember);

defineInterface(URL);
defineInterface(URLSearchParams);
