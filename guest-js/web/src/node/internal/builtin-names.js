// The names of Node.js's built-in modules, whether a component can have them or not: tools ask which imports are no
// packages.

export const builtinModules = Object.freeze([
  "assert",
  "assert/strict",
  "async_hooks",
  "buffer",
  "child_process",
  "cluster",
  "console",
  "constants",
  "crypto",
  "dgram",
  "diagnostics_channel",
  "dns",
  "dns/promises",
  "domain",
  "events",
  "fs",
  "fs/promises",
  "http",
  "http2",
  "https",
  "inspector",
  "inspector/promises",
  "module",
  "net",
  "os",
  "path",
  "path/posix",
  "path/win32",
  "perf_hooks",
  "process",
  "punycode",
  "querystring",
  "readline",
  "readline/promises",
  "repl",
  "stream",
  "stream/consumers",
  "stream/promises",
  "stream/web",
  "string_decoder",
  "sys",
  "timers",
  "timers/promises",
  "tls",
  "trace_events",
  "tty",
  "url",
  "util",
  "util/types",
  "v8",
  "vm",
  "wasi",
  "worker_threads",
  "zlib",
]);

/** Modules that have their name with `node:` only. */
const WITH_SCHEME = ["node:sea", "node:sqlite", "node:test", "node:test/reporters"];

/** Whether there is a module of that name in Node.js, with `node:` or without. */
export function isBuiltin(name) {
  return WITH_SCHEME.includes(name) || builtinModules.includes(`${name}`.replace(/^node:/, ""));
}
