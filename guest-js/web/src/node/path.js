// node:path, as on POSIX systems. https://nodejs.org/api/path.html
import path from "../vendor/node/path.js";

export const { basename, dirname, extname, format, isAbsolute, join, normalize, parse, relative, resolve, sep, delimiter } = path;
export const toNamespacedPath = (text) => text;
path.toNamespacedPath = toNamespacedPath;
export const posix = path;
// Paths of Windows never get into a component.
export const win32 = path;
path.win32 = path;
export default path;
