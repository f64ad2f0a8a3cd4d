// node:url. https://nodejs.org/api/url.html
import url from "../vendor/node/url.js";
import { checkString, invalidArgType, nodeError } from "./internal/errors.js";

export const { URL, URLSearchParams } = globalThis;
const { Url: ParsedUrl, parse: parseLegacy, pathToFileURL: toFileURL } = url;
/** The order of Node's properties, which JSON and loops over them show. */
const ORDER = [
  "protocol", "slashes", "auth", "host", "port", "hostname", "hash", "search", "query", "pathname", "path", "href",
];

// The package's errors are of classes of their own.
url.parse = function parse(text, parseQueryString, slashesDenoteHost) {
  if (text instanceof ParsedUrl) return text;
  checkString(text, "url");
  let parsed;
  try {
    parsed = parseLegacy(text, parseQueryString, slashesDenoteHost);
  } catch (error) {
    if (error.code !== "ERR_INVALID_URL") throw error;
    throw Object.assign(nodeError(TypeError, "ERR_INVALID_URL", "Invalid URL"), { input: text });
  }
  const ordered = Object.create(ParsedUrl.prototype);
  for (const name of ORDER) ordered[name] = parsed[name];
  return ordered;
};

url.fileURLToPath = function fileURLToPath(path) {
  if (typeof path === "string") path = new URL(path);
  else if (typeof path?.href !== "string" || typeof path.protocol !== "string" || path.auth !== undefined) {
    throw invalidArgType("path", ["string", "URL"], path);
  }
  if (path.protocol !== "file:") throw nodeError(TypeError, "ERR_INVALID_URL_SCHEME", "The URL must be of scheme file");
  if (path.hostname !== "") {
    const message = 'File URL host must be "localhost" or empty on linux';
    throw nodeError(TypeError, "ERR_INVALID_FILE_URL_HOST", message);
  }
  if (/%2f/i.test(path.pathname)) {
    const message = "File URL path must not include encoded / characters";
    throw nodeError(TypeError, "ERR_INVALID_FILE_URL_PATH", message);
  }
  return decodeURIComponent(path.pathname);
};

url.pathToFileURL = function pathToFileURL(path) {
  checkString(path, "path");
  return toFileURL(path);
};

export const {
  Url,
  parse,
  resolve,
  resolveObject,
  format,
  domainToASCII,
  domainToUnicode,
  pathToFileURL,
  fileURLToPath,
  urlToHttpOptions,
} = url;
export default url;
