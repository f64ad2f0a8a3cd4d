// node:url. https://nodejs.org/api/url.html
import url from "../vendor/node/url.js";
import { checkString } from "./internal/errors.js";

export const { URL, URLSearchParams } = globalThis;
const { pathToFileURL: toFileURL } = url;
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
