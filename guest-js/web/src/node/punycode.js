// node:punycode. https://nodejs.org/api/punycode.html
import punycode from "../vendor/node/punycode.js";

export const { decode, encode, toASCII, toUnicode, ucs2, version } = punycode;
export default punycode;
