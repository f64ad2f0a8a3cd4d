// URLPattern. https://urlpattern.spec.whatwg.org/#urlpattern-class (1)
import { dictionary } from "../webidl/conversions.js";
import { defineInterface } from "../webidl/interfaces.js";
import * as canonical from "./pattern/canonical.js";
import { matchesSpecial, parseConstructorString } from "./pattern/constructor-string.js";
import { compareParts, compile, DEFAULT, escapePattern, fillParts, HOSTNAME, PATHNAME } from "./pattern/parts.js";
import { URL } from "./url.js";

const COMPONENTS = ["protocol", "username", "password", "hostname", "port", "pathname", "search", "hash"];

const usv = (value) => `${value}`.toWellFormed();

/** Reads the members of a URLPatternInit, in the order of their names. */
function readInit(value) {
  const init = {};
  for (const name of ["baseURL", "hash", "hostname", "password", "pathname", "port", "protocol", "search", "username"]) {
    const member = value?.[name];
    if (member !== undefined) init[name] = usv(member);
  }
  return init;
}

/**
 * Processes a URLPatternInit (1.7): what `baseURL` gives for components that come before those that are there. For patterns the
 * components stay as they are; else they are brought into their canonical form, and what cannot be is a TypeError.
 */
function processInit(init, isPattern) {
  const result = {};
  const has = (...names) => names.some((name) => init[name] !== undefined);
  const ofBase = (value) => (isPattern ? escapePattern(value) : value);
  let base = null;
  if (init.baseURL !== undefined) {
    base = URL.parse(init.baseURL);
    if (base === null) throw new TypeError(`the baseURL ${JSON.stringify(init.baseURL.slice(0, 200))} is not a URL`);
    if (!has("protocol")) result.protocol = ofBase(base.protocol.slice(0, -1));
    if (!isPattern && !has("protocol", "hostname", "port", "username")) result.username = base.username;
    if (!isPattern && !has("protocol", "hostname", "port", "username", "password")) result.password = base.password;
    if (!has("protocol", "hostname")) result.hostname = ofBase(base.hostname);
    if (!has("protocol", "hostname", "port")) result.port = base.port;
    if (!has("protocol", "hostname", "port", "pathname")) result.pathname = ofBase(base.pathname);
    if (!has("protocol", "hostname", "port", "pathname", "search")) result.search = ofBase(base.search.slice(1));
    if (!has("protocol", "hostname", "port", "pathname", "search", "hash")) result.hash = ofBase(base.hash.slice(1));
  }
  const form = (name, value, ...more) => (isPattern ? value : canonical[name](value, ...more));
  if (has("protocol")) result.protocol = form("protocol", init.protocol.replace(/:$/, ""));
  for (const name of ["username", "password", "hostname"]) if (has(name)) result[name] = form(name, init[name]);
  if (has("port")) result.port = form("port", init.port, result.protocol);
  if (has("pathname")) {
    let path = init.pathname;
    const isOpaque = base !== null && !base.pathname.startsWith("/") && base.hostname === "";
    if (base !== null && !isOpaque && !isAbsolute(path, isPattern)) {
      const folder = ofBase(base.pathname);
      path = folder.slice(0, folder.lastIndexOf("/") + 1) + path;
    }
    const scheme = result.protocol ?? "";
    result.pathname = form(scheme === "" || canonical.isSpecial(scheme) ? "pathname" : "opaquePathname", path);
  }
  if (has("search")) result.search = form("search", init.search.replace(/^\?/, ""));
  if (has("hash")) result.hash = form("hash", init.hash.replace(/^#/, ""));
  return result;
}

const isAbsolute = (path, isPattern) => (isPattern ? /^(?:\/|\\\/|\{\/)/ : /^\//).test(path);
const isIpv6 = (pattern) => /^(?:\[.|\{\[|\\\[)/s.test(pattern);

class URLPattern {
  #components = {};

  constructor(input = {}, baseURL = undefined, options = undefined) {
    if (typeof baseURL === "object" || typeof baseURL === "function") {
      if (options !== undefined) throw new TypeError("the options of a URLPattern come last");
      [baseURL, options] = [undefined, baseURL];
    }
    const ignoreCase = Boolean(options?.ignoreCase);
    let init;
    if (isObject(input)) {
      if (baseURL !== undefined) throw new TypeError("a base URL is for text; an object has baseURL");
      init = readInit(input);
    } else {
      init = parseConstructorString(usv(input));
      if (baseURL === undefined && init.protocol === undefined) {
        throw new TypeError("a pattern without a protocol needs a base URL");
      }
      if (baseURL !== undefined) init.baseURL = usv(baseURL);
    }
    const all = processInit(init, true);
    for (const name of COMPONENTS) all[name] ??= "*";
    if (canonical.isDefaultPort(all.protocol, all.port)) all.port = "";
    const protocol = compile(all.protocol, canonical.protocol, DEFAULT);
    const isHierarchical = matchesSpecial(protocol);
    const path = isHierarchical ? canonical.pathname : canonical.opaquePathname;
    const pathOptions = isHierarchical ? PATHNAME : DEFAULT;
    this.#components = {
      protocol,
      username: compile(all.username, canonical.username, DEFAULT),
      password: compile(all.password, canonical.password, DEFAULT),
      hostname: compile(all.hostname, isIpv6(all.hostname) ? canonical.ipv6Hostname : canonical.hostname, HOSTNAME),
      port: compile(all.port, (value) => canonical.port(value), DEFAULT),
      pathname: compile(all.pathname, path, pathOptions, ignoreCase),
      search: compile(all.search, canonical.search, DEFAULT, ignoreCase),
      hash: compile(all.hash, canonical.hash, DEFAULT, ignoreCase),
    };
  }

  static {
    for (const name of COMPONENTS) {
      const accessors = {
        get [name]() {
          return this.#components[name].pattern;
        },
      };
      const { get } = Object.getOwnPropertyDescriptor(accessors, name);
      Object.defineProperty(URLPattern.prototype, name, { get, configurable: true });
    }
  }

  get hasRegExpGroups() {
    return COMPONENTS.some((name) => this.#components[name].hasRegExpGroups);
  }

  test(input = {}, baseURL = undefined) {
    return this.#match(input, baseURL) !== null;
  }

  exec(input = {}, baseURL = undefined) {
    return this.#match(input, baseURL);
  }

  /** A component that the pattern matches, with the values of `groups` for its named groups. A proposal. */
  generate(component, groups) {
    if (!COMPONENTS.includes(`${component}`)) throw new TypeError(`a URLPattern has no component ${component}`);
    const compiled = this.#components[component];
    const values = { __proto__: null };
    for (const name of Object.keys(dictionary(groups, "the groups"))) values[name] = usv(groups[name]);
    const result = compiled.encode(fillParts(compiled.parts, values));
    if (!compiled.regexp.test(result)) throw new TypeError(`the pattern does not match ${JSON.stringify(result)}, which it would make`);
    return result;
  }

  /** Whether a component of one pattern is less exact than another's (-1), as exact (0) or more (1). A proposal. */
  static compareComponent(component, left, right) {
    if (!COMPONENTS.includes(`${component}`)) throw new TypeError(`a URLPattern has no component ${component}`);
    return compareParts(left.#components[component].parts, right.#components[component].parts);
  }

  /** Match (1.4). */
  #match(input, baseURL) {
    const found = valuesOf(input, baseURL);
    if (found === null) return null;
    const result = { inputs: found.inputs };
    for (const name of COMPONENTS) {
      const { regexp, names } = this.#components[name];
      const value = found.values[name];
      const matched = regexp.exec(value);
      if (matched === null) return null;
      const groups = {};
      names.forEach((group, at) => (groups[group] = matched[at + 1]));
      result[name] = { input: value, groups };
    }
    return result;
  }
}

const isObject = (value) => (typeof value === "object" && value !== null) || typeof value === "function";

/** The components of what is matched, and the arguments as they are shown; null for what is not a URL. */
function valuesOf(input, baseURL) {
  if (isObject(input) && !(input instanceof URL)) {
    if (baseURL !== undefined) throw new TypeError("a base URL is for text; an object has baseURL");
    const init = readInit(input);
    try {
      const values = processInit(init, false);
      for (const name of COMPONENTS) values[name] ??= "";
      return { inputs: [init], values };
    } catch {
      return null;
    }
  }
  const inputs = [usv(input)];
  if (baseURL !== undefined) inputs.push(usv(baseURL));
  const url = URL.parse(...inputs);
  if (url === null) return null;
  const { protocol, username, password, hostname, port, pathname, search, hash } = url;
  const values = { protocol: protocol.slice(0, -1), username, password, hostname, port, pathname };
  return { inputs, values: { ...values, search: search.slice(1), hash: hash.slice(1) } };
}

defineInterface(URLPattern);
