// node:buffer. https://nodejs.org/api/buffer.html
//
// The class is that of the package `buffer`. What is done most, UTF-8, goes through the engine's natives.
import native from "elias:native";
import { Buffer, INSPECT_MAX_BYTES, SlowBuffer, kMaxLength } from "../vendor/node/buffer.js";
import { nodeError } from "./internal/errors.js";

const { prototype } = Buffer;
const vendored = {
  from: Buffer.from,
  isEncoding: Buffer.isEncoding,
  byteLength: Buffer.byteLength,
  toString: prototype.toString,
  write: prototype.write,
};

// The engine's own are ten times as fast.
const { toHex, toBase64 } = Uint8Array.prototype;

const isUtf8Name = (encoding) => encoding === undefined || encoding === null || encoding === "" || /^utf-?8$/i.test(encoding);
const isBase64Url = (encoding) => typeof encoding === "string" && encoding.length === 9 && encoding.toLowerCase() === "base64url";

function own(bytes) {
  return Object.setPrototypeOf(bytes, prototype);
}

Buffer.from = function from(value, encoding, length) {
  if (typeof value === "string") {
    if (isUtf8Name(encoding)) return own(native.utf8Encode(value.toWellFormed()));
    if (isBase64Url(encoding)) return vendored.from(value, "base64");
    // What follows the first pair that is no byte does not count.
    if (encoding === "hex") return vendored.from(/^(?:[\da-f]{2})*/i.exec(value)[0], encoding);
    if (typeof encoding === "string" && !Buffer.isEncoding(encoding)) {
      throw nodeError(TypeError, "ERR_UNKNOWN_ENCODING", `Unknown encoding: ${encoding}`);
    }
  }
  try {
    return vendored.from(value, encoding, length);
  } catch (error) {
    if (error instanceof TypeError) error.code ??= "ERR_INVALID_ARG_TYPE";
    throw error;
  }
};

Buffer.isEncoding = (encoding) => isBase64Url(encoding) || vendored.isEncoding(encoding);

Buffer.byteLength = function byteLength(value, encoding) {
  return vendored.byteLength(value, isBase64Url(encoding) ? "base64" : encoding);
};

Buffer.copyBytesFrom = function copyBytesFrom(view, offset = 0, length = view.length - offset) {
  const part = view.subarray(offset, offset + length);
  return Buffer.from(new Uint8Array(part.buffer, part.byteOffset, part.byteLength));
};

prototype.toString = function toString(encoding, start = 0, end = this.length) {
  if (this.length === 0) return "";
  const from = Math.max(0, start | 0);
  const to = Math.min(this.length, end);
  if (isUtf8Name(encoding)) return to <= from ? "" : native.utf8Decode(new Uint8Array(this.buffer, this.byteOffset + from, to - from), false, true);
  if (isBase64Url(encoding)) {
    return vendored.toString.call(this, "base64", from, to).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
  }
  if (toHex !== undefined && (encoding === "hex" || encoding === "base64")) {
    if (to <= from) return "";
    return (encoding === "hex" ? toHex : toBase64).call(from === 0 && to === this.length ? this : this.subarray(from, to));
  }
  return vendored.toString.call(this, encoding, start, end);
};
prototype.toLocaleString = prototype.toString;

prototype.write = function write(text, offset, length, encoding) {
  const args = [text, offset, length, encoding].map((it) => (isBase64Url(it) && it !== text ? "base64" : it));
  return vendored.write.apply(this, args.slice(0, arguments.length));
};

for (const name of ["UInt8", "UInt16LE", "UInt16BE", "UInt32LE", "UInt32BE", "UIntLE", "UIntBE", "BigUInt64LE", "BigUInt64BE"]) {
  const alias = name.replace("UInt", "Uint");
  prototype[`read${alias}`] ??= prototype[`read${name}`];
  prototype[`write${alias}`] ??= prototype[`write${name}`];
}

/** How util.inspect and console.log show a buffer. */
prototype[Symbol.for("nodejs.util.inspect.custom")] = function () {
  const shown = [...this.subarray(0, INSPECT_MAX_BYTES)].map((byte) => (byte + 0x100).toString(16).slice(1)).join(" ");
  const more = this.length - INSPECT_MAX_BYTES;
  return `<Buffer${shown === "" ? "" : ` ${shown}`}${more > 0 ? ` ... ${more} more byte${more > 1 ? "s" : ""}` : ""}>`;
};
prototype.inspect = prototype[Symbol.for("nodejs.util.inspect.custom")];

const bytes = (input) => (ArrayBuffer.isView(input) ? new Uint8Array(input.buffer, input.byteOffset, input.byteLength) : new Uint8Array(input));

export function isUtf8(input) {
  try {
    native.utf8Decode(bytes(input), true, true);
    return true;
  } catch {
    return false;
  }
}

export const isAscii = (input) => bytes(input).every((byte) => byte < 0x80);
export const transcode = (source, from, to) => Buffer.from(Buffer.from(source).toString(from), to);
export const constants = Object.freeze({ MAX_LENGTH: kMaxLength, MAX_STRING_LENGTH: 2 ** 30 - 2 });
export const kStringMaxLength = constants.MAX_STRING_LENGTH;
export const { atob, btoa, Blob, File } = globalThis;

export { Buffer, INSPECT_MAX_BYTES, SlowBuffer, kMaxLength };
export default {
  Buffer, SlowBuffer, INSPECT_MAX_BYTES, kMaxLength, kStringMaxLength, constants, isUtf8, isAscii, transcode, atob, btoa, Blob, File,
};
