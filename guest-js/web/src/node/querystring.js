// node:querystring. https://nodejs.org/api/querystring.html
import querystring from "../vendor/node/querystring.js";

export const { decode, encode, escape, parse, stringify, unescape } = querystring;
export default querystring;
