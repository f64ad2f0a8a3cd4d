// node:module. https://nodejs.org/api/module.html
import { unavailable } from "./internal/errors.js";

export const builtinModules = Object.freeze([
  "assert", "async_hooks", "buffer", "console", "constants", "diagnostics_channel", "events", "http", "https", "module", "net", "os",
  "path", "perf_hooks", "process", "punycode", "querystring", "stream", "string_decoder", "timers", "tty", "url", "util", "zlib",
]);
export const isBuiltin = (name) => builtinModules.includes(`${name}`.replace(/^node:/, "").split("/")[0]);

export function createRequire() {
  return (name) => {
    throw unavailable(`require(${JSON.stringify(name)})`, "All code is bundled when the component is built: name the module in an import.");
  };
}

export default { builtinModules, isBuiltin, createRequire };
