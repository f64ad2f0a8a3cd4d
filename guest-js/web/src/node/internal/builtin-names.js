// The modules of Node.js that there are.

export const builtinModules = Object.freeze([
  "assert", "assert/strict", "async_hooks", "buffer", "console", "constants", "crypto", "diagnostics_channel", "events", "http", "https",
  "module", "net", "os", "path", "path/posix", "perf_hooks", "process", "punycode", "querystring", "stream", "stream/consumers",
  "stream/promises", "stream/web", "string_decoder", "sys", "timers", "timers/promises", "tty", "url", "util", "util/types", "zlib",
]);

/** Whether there is a module of that name, with `node:` or without. */
export const isBuiltin = (name) => builtinModules.includes(`${name}`.replace(/^node:/, ""));
