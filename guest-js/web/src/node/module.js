// node:module. https://nodejs.org/api/module.html
import native from "elias:native";
import { builtinModules, isBuiltin } from "./internal/builtin-names.js";
import { checkString, invalidArgValue, unavailable } from "./internal/errors.js";

export { builtinModules, isBuiltin };

/** A `require` that gives the modules of Node.js that the component has; all else was bundled. */
export function createRequire(filename) {
  if (!(filename instanceof URL || (typeof filename === "string" && /^(?:file:|\/)/.test(filename)))) {
    throw invalidArgValue("filename", filename, "must be a file URL object, file URL string, or absolute path string");
  }
  const require = (name) => {
    checkString(name, "id");
    const bare = name.replace(/^node:/, "");
    const found = isBuiltin(bare) ? native.builtinModule(bare) : undefined;
    if (found !== undefined) return found;
    throw unavailable(
      `require(${JSON.stringify(name)})`,
      "All code is bundled when the component is built: name the module in an import.",
    );
  };
  return Object.assign(require, { resolve: (name) => name, cache: Object.create(null), main: undefined });
}

export const syncBuiltinESMExports = () => {};
export const findSourceMap = () => undefined;

export function Module(id = "") {
  this.id = id;
  this.exports = {};
}
Object.assign(Module, { Module, builtinModules, isBuiltin, createRequire, syncBuiltinESMExports, findSourceMap });

export default Module;
