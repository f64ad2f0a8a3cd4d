// path.win32: paths as Windows has them. Programs read those that a browser sends as the names of uploads.
// https://nodejs.org/api/path.html#windows-vs-posix
import { checkString, invalidArgType } from "./errors.js";

const isSlash = (character) => character === "/" || character === "\\";

/** The path without the slashes at its end. A regular expression would begin anew at each slash of a long run. */
function withoutEndingSlashes(path) {
  let end = path.length;
  while (end > 0 && isSlash(path[end - 1])) end--;
  return path.slice(0, end);
}

const lastSlash = (path) => Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\"));

/** The parts of a path: device (`C:` or `\\server\share`), whether a slash follows it, and the rest. */
function split(path) {
  const share = /^[\\/]{2}([^\\/]+)[\\/]+([^\\/]+)(?:[\\/]|$)/.exec(path);
  if (share !== null) {
    const device = path.slice(0, share[0].length).replace(/[\\/]$/, "");
    return { device: `\\\\${share[1]}\\${share[2]}`, length: device.length, isRooted: true };
  }
  if (/^[A-Za-z]:/.test(path)) return { device: path.slice(0, 2), length: 2, isRooted: isSlash(path[2]) };
  return { device: "", length: 0, isRooted: isSlash(path[0]) };
}

/** The root with its slash as it is written. */
function rootOf(path) {
  const { length, isRooted } = split(path);
  return path.slice(0, isRooted ? length + 1 : length);
}

/** The segments without `.` and what `..` takes back. */
function reduce(rest, isRooted) {
  const segments = [];
  for (const segment of rest.split(/[\\/]+/)) {
    if (segment === "" || segment === ".") continue;
    if (segment !== "..") segments.push(segment);
    else if (segments.length > 0 && segments.at(-1) !== "..") segments.pop();
    else if (!isRooted) segments.push("..");
  }
  return segments;
}

export function normalize(path) {
  checkString(path, "path");
  if (path === "") return ".";
  const { device, length, isRooted } = split(path);
  const rest = path.slice(length);
  let text = reduce(rest, isRooted).join("\\");
  if (text === "" && !isRooted) text = ".";
  if (text !== "" && isSlash(path.at(-1))) text += "\\";
  // A path without a drive must not become one that has it.
  if (device === "" && !isRooted && (/:(?:[\\/]|$)/.test(path) || /^[A-Za-z]:/.test(text))) return `.\\${text}`;
  return `${device}${isRooted ? "\\" : ""}${text}`;
}

export function isAbsolute(path) {
  checkString(path, "path");
  return isSlash(path[0]) || /^[A-Za-z]:[\\/]/.test(path);
}

export function join(...paths) {
  for (const path of paths) checkString(path, "path");
  const parts = paths.filter((path) => path !== "");
  if (parts.length === 0) return ".";
  // Two slashes at the beginning are a server's name only if the first part has it.
  const joined = parts.join("\\");
  const isServer = /^[\\/]{2}[^\\/]/.test(parts[0]);
  return normalize(isServer ? joined : joined.replace(/^[\\/]{2,}/, "\\"));
}

export function resolve(...paths) {
  let device = "";
  let isRooted = false;
  let rest = "";
  for (let at = paths.length - 1; at >= 0 && !(isRooted && device !== ""); at--) {
    checkString(paths[at], `paths[${at}]`);
    if (paths[at] === "") continue;
    const root = split(paths[at]);
    if (root.device !== "") {
      if (device !== "" && root.device.toLowerCase() !== device.toLowerCase()) continue;
      device ||= root.device;
    }
    if (isRooted) continue;
    rest = `${paths[at].slice(root.length)}\\${rest}`;
    isRooted = root.isRooted;
  }
  // A component's current folder is the root, of whatever device.
  return `${device}\\${reduce(rest, true).join("\\")}`;
}

export function relative(from, to) {
  checkString(from, "from");
  checkString(to, "to");
  const [start, end] = [resolve(from), resolve(to)];
  if (start.toLowerCase() === end.toLowerCase()) return "";
  if (split(start).device.toLowerCase() !== split(end).device.toLowerCase()) return end;
  const [a, b] = [reduce(start.slice(split(start).length), true), reduce(end.slice(split(end).length), true)];
  let same = 0;
  while (same < a.length && same < b.length && a[same].toLowerCase() === b[same].toLowerCase()) same++;
  return [...a.slice(same).map(() => ".."), ...b.slice(same)].join("\\");
}

export function dirname(path) {
  checkString(path, "path");
  if (path === "") return ".";
  const root = rootOf(path);
  const rest = withoutEndingSlashes(path.slice(root.length));
  const end = lastSlash(rest);
  if (end > 0) return root + rest.slice(0, end);
  return root === "" ? "." : root;
}

export function basename(path, suffix = undefined) {
  if (suffix !== undefined) checkString(suffix, "suffix");
  checkString(path, "path");
  const rest = withoutEndingSlashes(/^[A-Za-z]:/.test(path) ? path.slice(2) : path);
  const name = rest.slice(lastSlash(rest) + 1);
  if (suffix === undefined || name === suffix || !name.endsWith(suffix)) return name;
  return name.slice(0, name.length - suffix.length);
}

export function extname(path) {
  const name = (checkString(path, "path"), basename(path));
  const at = name.lastIndexOf(".");
  return at <= 0 || name === ".." ? "" : name.slice(at);
}

export function parse(path) {
  checkString(path, "path");
  const root = rootOf(path);
  const base = basename(path.slice(root.length));
  const ext = extname(base);
  const rest = withoutEndingSlashes(path.slice(root.length));
  const dir = rest.slice(0, rest.length - base.length).replace(/[\\/]$/, "");
  return { root, dir: root + dir, base, ext, name: ext === "" ? base : base.slice(0, -ext.length) };
}

export function format(parts) {
  if (typeof parts !== "object" || parts === null) throw invalidArgType("pathObject", "Object", parts);
  const dir = parts.dir || parts.root;
  const ext = parts.ext ? `${parts.ext[0] === "." ? "" : "."}${parts.ext}` : "";
  const base = parts.base || `${parts.name || ""}${ext}`;
  if (!dir) return base;
  return dir === parts.root ? `${dir}${base}` : `${dir}\\${base}`;
}

export function toNamespacedPath(path) {
  if (typeof path !== "string" || path === "") return path;
  const resolved = resolve(path);
  if (/^\\\\[^?.]/.test(resolved)) return `\\\\?\\UNC\\${resolved.slice(2)}`;
  return /^[A-Za-z]:\\/.test(resolved) ? `\\\\?\\${resolved}` : path;
}

export const sep = "\\";
export const delimiter = ";";
