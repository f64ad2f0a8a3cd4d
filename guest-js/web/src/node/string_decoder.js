// node:string_decoder. https://nodejs.org/api/string_decoder.html
import vendored from "../vendor/node/string-decoder.js";

export const { StringDecoder } = vendored;
export default { StringDecoder };
