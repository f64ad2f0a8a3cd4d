// node:string_decoder. https://nodejs.org/api/string_decoder.html
import vendored from "../vendor/node/string-decoder.js";
import { canonicalName } from "./buffer/encodings.js";
import { invalidArgType, unknownEncoding } from "./internal/errors.js";

const { StringDecoder: Vendored } = vendored;

// A function, for packages call and extend it as such.
export function StringDecoder(encoding = undefined) {
  const name = encoding === undefined || encoding === null || encoding === "" ? "utf8" : canonicalName(encoding);
  if (name === undefined) throw unknownEncoding(encoding);
  // base64url is base64 in other letters.
  Vendored.call(this, name === "base64url" ? "base64" : name);
  this.encoding = name;
  if (name !== "base64url") return;
  const inLetters = (text) => text.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
  const { write, end } = this;
  this.write = (bytes) => inLetters(write.call(this, bytes));
  this.end = (bytes) => inLetters(end.call(this, bytes));
}
Object.setPrototypeOf(StringDecoder.prototype, Vendored.prototype);

const { write } = Vendored.prototype;
Vendored.prototype.write = function (bytes) {
  if (typeof bytes === "string") return bytes;
  if (!ArrayBuffer.isView(bytes)) throw invalidArgType("buf", ["Buffer", "TypedArray", "DataView"], bytes);
  return write.call(this, bytes);
};

export default { StringDecoder };
