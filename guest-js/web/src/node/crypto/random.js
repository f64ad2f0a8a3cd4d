// Random bytes, numbers and UUIDs. https://nodejs.org/api/crypto.html#cryptorandombytessize-callback
import "../../crypto/crypto.js";
import { Buffer } from "../buffer.js";
import { checkFunction, nodeError } from "../internal/errors.js";
import { checkBytes, checkInteger, cryptoError, fillRandom, later, outOfRange, viewOf, wrongType } from "./support.js";

const MOST = 2 ** 48 - 1;

export function randomBytes(size, callback = undefined) {
  checkInteger(size, "size");
  if (callback !== undefined) checkFunction(callback, "callback");
  const work = () => {
    const buffer = Buffer.alloc(size);
    fillRandom(viewOf(buffer));
    return buffer;
  };
  return callback === undefined ? work() : later(callback, work);
}

/** The part of a buffer that is to be filled; offset and size count elements. */
function partOf(buffer, offset, size) {
  const bytes = checkBytes(buffer, "buf");
  const width = buffer.BYTES_PER_ELEMENT ?? 1;
  const length = bytes.length / width;
  checkInteger(offset, "offset", 0, length);
  const count = size ?? length - offset;
  checkInteger(count, "size");
  if (offset + count > length) throw outOfRange("size + offset", `<= ${length}`, offset + count);
  return bytes.subarray(offset * width, (offset + count) * width);
}

export function randomFillSync(buffer, offset = 0, size = undefined) {
  fillRandom(partOf(buffer, offset, size));
  return buffer;
}

export function randomFill(buffer, ...rest) {
  const callback = rest.pop();
  checkFunction(callback, "callback");
  const part = partOf(buffer, rest[0] ?? 0, rest[1]);
  later(callback, () => {
    fillRandom(part);
    return buffer;
  });
}

/** A whole number from `min` up to but not including `max`, each as likely as the others. */
export function randomInt(min, max = undefined, callback = undefined) {
  if (max === undefined || typeof max === "function") return randomInt(0, min, max);
  if (!Number.isSafeInteger(min)) throw wrongType("min", "a safe integer", min);
  if (!Number.isSafeInteger(max)) throw wrongType("max", "a safe integer", max);
  if (callback !== undefined) checkFunction(callback, "callback");
  if (max <= min) throw outOfRange("max", `greater than the value of "min" (${min})`, max);
  const range = max - min;
  if (range > MOST) throw outOfRange(min === 0 ? "max" : "max - min", `<= ${MOST}`, range);
  const work = () => {
    const bytes = Buffer.alloc(6);
    // Numbers beyond the last whole multiple of the range would make the small ones likelier.
    const fair = 2 ** 48 - (2 ** 48 % range);
    for (;;) {
      fillRandom(viewOf(bytes));
      const number = bytes.readUIntBE(0, 6);
      if (number < fair) return min + (number % range);
    }
  };
  return callback === undefined ? work() : later(callback, work);
}

export function randomUUID(options = undefined) {
  if (options !== undefined && (typeof options !== "object" || options === null)) throw wrongType("options", "of type object", options);
  return globalThis.crypto.randomUUID();
}

export function timingSafeEqual(buf1, buf2) {
  const [one, other] = [["buf1", buf1], ["buf2", buf2]].map(([name, value]) => {
    const bytes = viewOf(value);
    if (bytes === undefined) {
      throw nodeError(TypeError, "ERR_INVALID_ARG_TYPE", `The "${name}" argument must be an instance of ArrayBuffer, Buffer, TypedArray, or DataView.`);
    }
    return bytes;
  });
  if (one.length !== other.length) {
    throw cryptoError(RangeError, "TIMING_SAFE_EQUAL_LENGTH", "Input buffers must have the same byte length");
  }
  let difference = 0;
  for (let at = 0; at < one.length; at++) difference |= one[at] ^ other[at];
  return difference === 0;
}
