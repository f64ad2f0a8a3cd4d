// What every test has around it, the same text in each runtime: the scope of a worker as far as the suite asks for it, a
// base for relative URLs, and the results.

const { setTimeout } = globalThis;

/** Prepares the global scope before `testharness.js` runs. `base` is the URL under which the test's own file is served. */
export function prepare(base, { idl }) {
  globalThis.self ??= globalThis;
  globalThis.GLOBAL = { isWindow: () => false, isWorker: () => true, isShadowRealm: () => false };
  const url = new URL(base);
  if (globalThis.location?.href !== url.href) {
    const { href, search, origin, protocol, host, hostname, port, pathname, hash } = url;
    const value = { href, search, origin, protocol, host, hostname, port, pathname, hash, toString: () => href };
    Object.defineProperty(globalThis, "location", { value, configurable: true, writable: true, enumerable: true });
  }
  // Node reads the base of relative URLs from here; Deno has it from its command line, ELIAS from `location`.
  Object.defineProperty(globalThis, Symbol.for("undici.globalOrigin.1"), { value: url, configurable: true, writable: true });
  if (!resolvesRelative()) resolveAgainst(url);
  // The IDL harness asks which scope it is in.
  if (idl) globalThis.DedicatedWorkerGlobalScope = class DedicatedWorkerGlobalScope { static [Symbol.hasInstance](value) { return value === globalThis; } };
}

function resolvesRelative() {
  try {
    return new Request("relative").url !== "relative";
  } catch {
    return false;
  }
}

/** For runtimes without a base: proxies, so that names, lengths and `instanceof` stay theirs. */
function resolveAgainst(url) {
  const resolve = (input) => {
    if (typeof input !== "string") return input;
    try {
      new URL(input);
      return input;
    } catch {
      try {
        return new URL(input, url).href;
      } catch {
        return input;
      }
    }
  };
  const { fetch, Request } = globalThis;
  globalThis.fetch = new Proxy(fetch, { apply: (target, self, [input, ...rest]) => Reflect.apply(target, self, [resolve(input), ...rest]) });
  globalThis.Request = new Proxy(Request, {
    construct: (target, [input, ...rest], newTarget) => Reflect.construct(target, [resolve(input), ...rest], newTarget),
  });
}

/** Makes a variable of a classic script a property of the global object, unless the runtime has one of that name. */
export function share(name, get, set) {
  if (!(name in globalThis)) Object.defineProperty(globalThis, name, { get, set, enumerable: true, configurable: true });
}

/** In place of WebAssembly where there is none: the memory of a SharedArrayBuffer, for files that want nothing else of it. */
export const SHARED_MEMORY = {
  Memory: class Memory {
    constructor({ initial, shared }) {
      if (!shared) throw new ReferenceError("WebAssembly is not defined");
      this.buffer = new SharedArrayBuffer(initial * 65_536);
    }
  },
};

/**
 * Collects the results, once `testharness.js` is there: `promise` gives `{ status, message, tests: [{ name, status, message }] }`.
 * Status 0 is a pass. `seconds` is the time after which what has come is all.
 */
export function observe(seconds) {
  const { promise, resolve } = Promise.withResolvers?.() ?? deferred();
  const tests = [];
  const finish = (status, message) => resolve({ status, message, tests });
  globalThis.setup({ explicit_timeout: true });
  globalThis.add_result_callback(({ name, status, message }) => tests.push({ name, status, message }));
  globalThis.add_completion_callback((_, { status, message }) => finish(status, message));
  setTimeout(() => finish(2, "the test did not end in time"), seconds * 1000);
  return { promise, fail: (error) => finish(1, `${error}\n${error?.stack}`) };
}

function deferred() {
  const parts = {};
  parts.promise = new Promise((resolve) => (parts.resolve = resolve));
  return parts;
}
