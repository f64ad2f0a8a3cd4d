// node:path, as on POSIX systems. https://nodejs.org/api/path.html
import vendored from "../vendor/node/path.js";
import { checkString, invalidArgType } from "./internal/errors.js";
import * as win32Path from "./internal/path-win32.js";

// The package's functions look at their arguments without Node.js's codes.
const path = { ...vendored };
for (const name of ["dirname", "extname", "isAbsolute", "normalize", "parse"]) {
  const run = vendored[name];
  path[name] = { [name]: (text) => (checkString(text, "path"), run(text)) }[name];
}
for (const name of ["join", "resolve"]) {
  const run = vendored[name];
  path[name] = {
    [name]: (...texts) => (
      texts.forEach((text, at) => checkString(text, name === "join" ? "path" : `paths[${at}]`)),
      run(...texts)
    ),
  }[name];
}
path.basename = function basename(text, suffix) {
  if (suffix !== undefined) checkString(suffix, "suffix");
  checkString(text, "path");
  return vendored.basename(text, suffix);
};
path.relative = function relative(from, to) {
  checkString(from, "from");
  checkString(to, "to");
  return vendored.relative(from, to);
};
path.format = function format(parts) {
  if (typeof parts !== "object" || parts === null) throw invalidArgType("pathObject", "Object", parts);
  return vendored.format(parts);
};
path.toNamespacedPath = (text) => text;
path.posix = path;
path.win32 = { ...win32Path, posix: path };
path.win32.win32 = path.win32;

export const {
  basename,
  dirname,
  extname,
  format,
  isAbsolute,
  join,
  normalize,
  parse,
  relative,
  resolve,
  sep,
  delimiter,
  toNamespacedPath,
  posix,
  win32,
} = path;
export default path;
