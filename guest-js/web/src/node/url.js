// node:url. https://nodejs.org/api/url.html
import url from "../vendor/node/url.js";

export const { URL, URLSearchParams } = globalThis;
export const {
  Url, parse, resolve, resolveObject, format, domainToASCII, domainToUnicode, pathToFileURL, fileURLToPath, urlToHttpOptions,
} = url;
export default url;
