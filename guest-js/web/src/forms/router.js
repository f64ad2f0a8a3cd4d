// The router of createAPI: finds the endpoint for a method and a path.
//
// A pattern is a path of segments: `users` matches itself, `:id` any one segment, and `*rest` at the end all remaining
// segments. If several patterns match, the most specific one wins: segment by segment, a name goes before `:id`, and
// that before `*rest`. The order in which routes were added does not matter.

const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);
const PARAMETER = /^[:*][A-Za-z_][A-Za-z0-9_]*$/;

/** `"GET /users/:id"`, or `{ method, path }`, as a method and the segments of its path. GET where no method is named. */
export function parseEndpoint(endpoint) {
  const text = typeof endpoint === "object" && endpoint !== null ? `${endpoint.method ?? "GET"} ${endpoint.path}` : `${endpoint}`;
  const [, method = "GET", path] = /^(?:([A-Za-z]+)\s+)?(\/\S*)$/.exec(text.trim()) ?? [];
  if (path === undefined || !METHODS.has(method.toUpperCase())) {
    throw new TypeError(`the endpoint ${JSON.stringify(text)} is not a method and a path, such as "GET /users/:id"`);
  }
  const segments = path.split("/").slice(1);
  const names = segments.filter((segment) => /^[:*]/.test(segment));
  const wrong = names.find((name) => !PARAMETER.test(name) || names.indexOf(name) !== names.lastIndexOf(name));
  if (wrong !== undefined) throw new TypeError(`the parameter ${wrong} of the endpoint ${JSON.stringify(text)} needs a name of its own`);
  if (segments.slice(0, -1).some((segment) => segment.startsWith("*"))) {
    throw new TypeError(`in the endpoint ${JSON.stringify(text)} something follows a *parameter, which takes all that is left`);
  }
  return { method: method.toUpperCase(), segments };
}

const KINDS = { ":": 1, "*": 2 };
const kind = (segment) => KINDS[segment[0]] ?? 0;

/** Negative if `a` is more specific than `b`. */
function compare(a, b) {
  for (let at = 0; at < Math.max(a.length, b.length); at++) {
    const difference = kind(a[at] ?? "*") - kind(b[at] ?? "*");
    if (difference !== 0) return difference;
  }
  return 0;
}

/** The parameters, if the segments match; else undefined. */
function fit(pattern, segments) {
  const params = Object.create(null);
  for (let at = 0; at < pattern.length; at++) {
    const expected = pattern[at];
    if (expected[0] === "*") {
      params[expected.slice(1)] = segments.slice(at).join("/");
      return params;
    }
    if (at >= segments.length) return undefined;
    if (expected[0] === ":") {
      if (segments[at] === "") return undefined;
      params[expected.slice(1)] = segments[at];
    } else if (expected !== segments[at]) return undefined;
  }
  return pattern.length === segments.length ? params : undefined;
}

/** Routes, and what they lead to. */
export class Router {
  #routes = [];

  add({ method, segments }, target) {
    const shape = segments.map((segment) => (kind(segment) === 0 ? segment : segment[0])).join("/");
    if (this.#routes.some((route) => route.method === method && route.shape === shape)) {
      throw new TypeError(`there is a handler for ${method} /${segments.join("/")} already`);
    }
    this.#routes.push({ method, segments, shape, target });
    this.#routes.sort((a, b) => compare(a.segments, b.segments));
  }

  /**
   * `{ target, params }`; `{ allow }`, the methods of a path that has the wrong one; or nothing. HEAD is answered by GET.
   * A path that is not percent-encoded UTF-8 is a URIError.
   */
  find(method, path) {
    const segments = path.split("/").slice(1).map(decodeURIComponent);
    const allow = new Set();
    for (const route of this.#routes) {
      const params = fit(route.segments, segments);
      if (params === undefined) continue;
      if (route.method === method || (method === "HEAD" && route.method === "GET" && !this.#has("HEAD", segments))) {
        return { target: route.target, params };
      }
      allow.add(route.method);
      if (route.method === "GET") allow.add("HEAD");
    }
    return allow.size === 0 ? undefined : { allow: [...allow].sort() };
  }

  #has(method, segments) {
    return this.#routes.some((route) => route.method === method && fit(route.segments, segments) !== undefined);
  }
}
