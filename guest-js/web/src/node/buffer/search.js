// indexOf, lastIndexOf and includes of Buffer.
import { invalidArgType, unknownEncoding } from "../internal/errors.js";
import { canonicalName, encodings } from "./encodings.js";

const { indexOf, lastIndexOf } = Uint8Array.prototype;

/** Where the search begins; -1 if there is nowhere. */
function startOf(length, offset, needed, forward) {
  if (offset < 0) {
    if (offset + length >= 0) return length + offset;
    return forward || needed === 0 ? 0 : -1;
  }
  if (offset + needed <= length) return offset;
  if (needed === 0) return length;
  return forward ? -1 : length - 1;
}

function matches(bytes, needle, at) {
  for (let index = 0; index < needle.length; index++) if (bytes[at + index] !== needle[index]) return false;
  return true;
}

/** By the first byte, which the engine finds; `step` is the size of a character in bytes. */
function find(bytes, needle, offset, forward, step) {
  let at = startOf(bytes.length, offset, needle.length, forward);
  if (needle.length === 0) return at;
  if (bytes.length === 0 || at < 0 || needle.length > bytes.length || (step === 2 && needle.length < 2)) return -1;
  if (forward && at + needle.length > bytes.length) return -1;
  const last = bytes.length - needle.length;
  if (step === 2) at -= at % 2;
  if (!forward) at = Math.min(at, last - (step === 2 ? last % 2 : 0));
  for (;;) {
    at = forward ? indexOf.call(bytes, needle[0], at) : at < 0 ? -1 : lastIndexOf.call(bytes, needle[0], at);
    if (at < 0 || at > last) return -1;
    if (at % step === 0 && matches(bytes, needle, at)) return at;
    at += forward ? 1 : -1;
  }
}

/** The search in both directions, with Node.js's rules for arguments. */
export function search(bytes, value, offset, encoding, forward) {
  if (typeof offset === "string") [encoding, offset] = [offset, undefined];
  offset = Math.min(Math.max(+offset, -0x80000000), 0x7fffffff);
  if (Number.isNaN(offset)) offset = forward ? 0 : bytes.length;
  offset = Math.trunc(offset);
  if (typeof value === "number") {
    const at = startOf(bytes.length, offset, 1, forward);
    if (at < 0 || bytes.length === 0) return -1;
    return (forward ? indexOf : lastIndexOf).call(bytes, value & 255, at);
  }
  const name = encoding === undefined ? "utf8" : canonicalName(encoding);
  const step = name === "utf16le" ? 2 : 1;
  if (typeof value === "string") {
    if (name === undefined) throw unknownEncoding(encoding);
    return find(bytes, encodings[name].encode(value), offset, forward, step);
  }
  if (value instanceof Uint8Array) return find(bytes, value, offset, forward, step);
  throw invalidArgType("value", ["number", "string", "Buffer", "Uint8Array"], value);
}
