// node:buffer. https://nodejs.org/api/buffer.html
import native from "elias:native";
import { canonicalName, encodingOf, encodings } from "./buffer/encodings.js";
import { methods } from "./buffer/numbers.js";
import { search } from "./buffer/search.js";
import { isAscii, isUtf8, transcodedText } from "./buffer/transcode.js";
import {
  checkInteger,
  checkNumber,
  checkString,
  invalidArgType,
  invalidArgValue,
  nodeError,
  outOfBounds,
  outOfRange,
  unknownEncoding,
} from "./internal/errors.js";
import { isAnyArrayBuffer, isTypedArray } from "./util/types.js";

export const kMaxLength = 2 ** 32;
export const kStringMaxLength = 2 ** 29 - 24;
export const constants = Object.freeze({
  __proto__: null,
  MAX_LENGTH: kMaxLength,
  MAX_STRING_LENGTH: kStringMaxLength,
});
export const INSPECT_MAX_BYTES = 50;

const isBytes = (value) => value instanceof Uint8Array;

function checkBytes(value, name) {
  if (!isBytes(value)) throw invalidArgType(name, ["Buffer", "Uint8Array"], value);
}

class FastBuffer extends Uint8Array {}

// A function, for packages call it and extend it as such.
export function Buffer(value, encodingOrOffset, length) {
  if (typeof value === "number") {
    if (typeof encodingOrOffset === "string") throw invalidArgType("string", "string", value);
    return Buffer.alloc(value);
  }
  return Buffer.from(value, encodingOrOffset, length);
}
Object.defineProperty(Buffer, Symbol.species, {
  get() {
    return FastBuffer;
  },
  configurable: true,
});
Object.setPrototypeOf(Buffer, Uint8Array);
Buffer.prototype = FastBuffer.prototype;
Object.defineProperty(FastBuffer.prototype, "constructor", { value: Buffer, writable: true, configurable: true });
Buffer.poolSize = 8 * 1024;

const owned = (bytes) => new FastBuffer(bytes.buffer, bytes.byteOffset, bytes.length);

function fromText(text, encoding) {
  if (typeof encoding !== "string" || encoding.length === 0) return owned(native.utf8Encode(text));
  const ops = encodingOf(encoding);
  if (ops === undefined) throw unknownEncoding(encoding);
  return owned(ops.encode(text));
}

function fromArrayBuffer(buffer, offset, length) {
  offset = offset === undefined ? 0 : +offset || 0;
  const most = buffer.byteLength - offset;
  if (most < 0) throw outOfBounds("offset");
  if (length === undefined) return new FastBuffer(buffer, offset, most);
  length = +length;
  if (length > most) throw outOfBounds("length");
  return new FastBuffer(buffer, offset, length > 0 ? length : 0);
}

function fromArrayLike(list) {
  if (!(list.length > 0)) return new FastBuffer();
  const buffer = new FastBuffer(list.length);
  buffer.set(list);
  return buffer;
}

function fromObject(object) {
  if (object.length !== undefined || isAnyArrayBuffer(object.buffer))
    return typeof object.length === "number" ? fromArrayLike(object) : new FastBuffer();
  return object.type === "Buffer" && Array.isArray(object.data) ? fromArrayLike(object.data) : undefined;
}

function compare(one, other) {
  const common = Math.min(one.length, other.length);
  for (let at = 0; at < common; at++) if (one[at] !== other[at]) return one[at] < other[at] ? -1 : 1;
  return Math.sign(one.length - other.length);
}

function copyBytes(source, target, targetStart, sourceStart, sourceEnd) {
  const count = Math.min(
    Math.max(sourceEnd - sourceStart, 0),
    target.length - targetStart,
    source.length - sourceStart,
  );
  if (count <= 0) return 0;
  target.set(
    sourceStart === 0 && count === source.length
      ? source
      : new Uint8Array(source.buffer, source.byteOffset + sourceStart, count),
    targetStart,
  );
  return count;
}

Object.assign(Buffer, {
  from(value, encodingOrOffset, length) {
    if (typeof value === "string") return fromText(value, encodingOrOffset);
    if (typeof value === "object" && value !== null) {
      if (isAnyArrayBuffer(value)) return fromArrayBuffer(value, encodingOrOffset, length);
      const primitive = value.valueOf && value.valueOf();
      if (
        primitive !== null &&
        primitive !== undefined &&
        primitive !== value &&
        (typeof primitive === "string" || typeof primitive === "object")
      ) {
        return Buffer.from(primitive, encodingOrOffset, length);
      }
      const made = fromObject(value);
      if (made !== undefined) return made;
      if (typeof value[Symbol.toPrimitive] === "function") {
        const text = value[Symbol.toPrimitive]("string");
        if (typeof text === "string") return fromText(text, encodingOrOffset);
      }
    }
    throw invalidArgType("first argument", ["string", "Buffer", "ArrayBuffer", "Array", "Array-like Object"], value);
  },

  copyBytesFrom(view, offset, length) {
    if (!isTypedArray(view)) throw invalidArgType("view", "TypedArray", view);
    if (view.length === 0) return new FastBuffer();
    if (offset !== undefined) checkInteger(offset, "offset", 0);
    const start = offset ?? 0;
    if (start >= view.length) return new FastBuffer();
    if (length !== undefined) checkInteger(length, "length", 0);
    const part = view.subarray(start, length === undefined ? view.length : start + length);
    return fromArrayLike(new Uint8Array(part.buffer, part.byteOffset, part.byteLength));
  },

  of(...items) {
    return fromArrayLike(items);
  },

  alloc(size, fill, encoding) {
    checkNumber(size, "size", 0, kMaxLength);
    const buffer = new FastBuffer(size);
    if (fill === undefined || fill === 0 || size === 0) return buffer;
    if (encoding !== undefined) checkString(encoding, "encoding");
    return fillBytes(buffer, fill, encoding, undefined, undefined);
  },

  allocUnsafe(size) {
    checkNumber(size, "size", 0, kMaxLength);
    return new FastBuffer(size);
  },

  allocUnsafeSlow(size) {
    return Buffer.allocUnsafe(size);
  },

  isBuffer: (value) => value instanceof Buffer,

  compare(one, other) {
    checkBytes(one, "buf1");
    checkBytes(other, "buf2");
    return one === other ? 0 : compare(one, other);
  },

  isEncoding: (encoding) =>
    typeof encoding === "string" && encoding.length !== 0 && canonicalName(encoding) !== undefined,

  concat(list, length) {
    if (!Array.isArray(list)) throw invalidArgType("list", "Array", list);
    if (list.length === 0) return new FastBuffer();
    if (length === undefined) length = list.reduce((sum, it) => sum + (it?.length || 0), 0);
    else checkInteger(length, "length", 0, kMaxLength);
    const whole = new FastBuffer(Number.isInteger(length) ? length : 0);
    let at = 0;
    list.forEach((part, index) => {
      checkBytes(part, `list[${index}]`);
      at += copyBytes(part, whole, at, 0, part.length);
    });
    return whole;
  },

  byteLength(value, encoding) {
    if (typeof value !== "string") {
      if (ArrayBuffer.isView(value) || isAnyArrayBuffer(value)) return value.byteLength;
      throw invalidArgType("string", ["string", "Buffer", "ArrayBuffer"], value);
    }
    return ((encoding ? encodingOf(encoding) : undefined) ?? encodings.utf8).byteLength(value);
  },
});

/** An index or a length that the methods for one encoding take: what can be read as an integer of at least zero. */
function arrayIndex(value, otherwise) {
  if (value === undefined) return otherwise;
  const index = Math.trunc(+value) || 0;
  if (index < 0) throw nodeError(RangeError, "ERR_OUT_OF_RANGE", "Index out of range");
  return index;
}

function sliceWith(ops) {
  return function (start, end) {
    const from = arrayIndex(start, 0);
    const to = Math.max(arrayIndex(end, this.length), from);
    if (to > this.length) throw nodeError(RangeError, "ERR_OUT_OF_RANGE", "Index out of range");
    return to === from ? "" : ops.slice(this, from, to);
  };
}

function writeWith(ops) {
  return function (text, offset, length) {
    if (typeof text !== "string") throw nodeError(TypeError, "ERR_INVALID_ARG_TYPE", "argument must be a string");
    const at = arrayIndex(offset, 0);
    if (at > this.length) throw outOfBounds("offset");
    const room = Math.min(arrayIndex(length, this.length - at), this.length - at);
    return room === 0 ? 0 : ops.write(this, text, at, room);
  };
}

const { prototype } = Buffer;

for (const [name, encoding] of Object.entries({
  ascii: "ascii",
  base64: "base64",
  base64url: "base64url",
  latin1: "latin1",
  hex: "hex",
  ucs2: "utf16le",
  utf8: "utf8",
})) {
  for (const [kind, make] of [
    ["Slice", sliceWith],
    ["Write", writeWith],
  ]) {
    const method = make(encodings[encoding]);
    Object.defineProperty(method, "name", { value: `${name}${kind}`, configurable: true });
    prototype[`${name}${kind}`] = method;
  }
}

/** An argument of `slice` or `subarray` as an offset from 0 to `length`; negative ones count from the end. */
function adjusted(offset, length) {
  offset = Math.trunc(offset) || 0;
  if (offset < 0) return Math.max(offset + length, 0);
  return Math.min(offset, length);
}

function fillBytes(buffer, value, offset, end, encoding) {
  if (typeof value === "string") {
    if (offset === undefined || typeof offset === "string") [encoding, offset, end] = [offset, 0, buffer.length];
    else if (typeof end === "string") [encoding, end] = [end, buffer.length];
    const name = encoding === undefined || encoding === null || encoding === "" ? "utf8" : canonicalName(encoding);
    if (name === undefined || typeof (encoding ?? "") !== "string") {
      checkString(encoding, "encoding");
      throw unknownEncoding(encoding);
    }
    if (value.length === 0) value = 0;
    else if (value.length === 1 && (name === "latin1" || (name === "utf8" && value.charCodeAt(0) < 128)))
      value = value.charCodeAt(0);
    encoding = name;
  }
  if (offset === undefined) {
    [offset, end] = [0, buffer.length];
  } else {
    checkNumber(offset, "offset", 0, kMaxLength);
    if (end === undefined) end = buffer.length;
    else checkNumber(end, "end", 0, buffer.length);
    if (offset >= end) return buffer;
  }
  if (typeof value !== "string" && !ArrayBuffer.isView(value))
    return Uint8Array.prototype.fill.call(buffer, value, offset, end);
  const pattern =
    typeof value === "string"
      ? encodings[encoding].encode(value)
      : new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  if (pattern.length === 0) throw invalidArgValue("value", value);
  offset = Math.trunc(offset);
  for (let at = offset; at < end; at += pattern.length)
    copyBytes(pattern, buffer, at, 0, Math.min(pattern.length, end - at));
  return buffer;
}

function swap(buffer, bytes) {
  if (buffer.length % bytes !== 0)
    throw nodeError(RangeError, "ERR_INVALID_BUFFER_SIZE", `Buffer size must be a multiple of ${bytes * 8}-bits`);
  for (let at = 0; at < buffer.length; at += bytes)
    Uint8Array.prototype.reverse.call(new Uint8Array(buffer.buffer, buffer.byteOffset + at, bytes));
  return buffer;
}

const start = (value, name, most = kMaxLength) => {
  if (value === undefined) return 0;
  checkInteger(value, name, 0, most);
  return value;
};

Object.assign(prototype, methods, {
  toString(encoding, from, to) {
    if (arguments.length === 0) return this.utf8Slice(0, this.length);
    const { length } = this;
    if (from <= 0) from = 0;
    else if (from >= length) return "";
    else from = Math.trunc(from) || 0;
    to = to === undefined || to > length ? length : Math.trunc(to) || 0;
    if (to <= from) return "";
    const ops = encoding === undefined ? encodings.utf8 : encodingOf(encoding);
    if (ops === undefined) throw unknownEncoding(encoding);
    return ops.slice(this, from, to);
  },

  write(text, offset, length, encoding) {
    if (offset === undefined) return this.utf8Write(text, 0, this.length);
    if (length === undefined && typeof offset === "string") {
      [encoding, offset, length] = [offset, 0, this.length];
    } else {
      checkInteger(offset, "offset", 0, this.length);
      const room = this.length - offset;
      if (length === undefined) {
        length = room;
      } else if (typeof length === "string") {
        [encoding, length] = [length, room];
      } else {
        checkInteger(length, "length", 0, this.length);
        length = Math.min(length, room);
      }
    }
    if (!encoding) return this.utf8Write(text, offset, length);
    const ops = encodingOf(encoding);
    if (ops === undefined) throw unknownEncoding(encoding);
    if (typeof text !== "string") throw nodeError(TypeError, "ERR_INVALID_ARG_TYPE", "argument must be a string");
    return ops.write(this, text, offset, length);
  },

  equals(other) {
    checkBytes(other, "otherBuffer");
    return this === other || (this.byteLength === other.byteLength && compare(this, other) === 0);
  },

  compare(target, targetStart, targetEnd, sourceStart, sourceEnd) {
    checkBytes(target, "target");
    if (arguments.length === 1) return compare(this, target);
    targetStart = start(targetStart, "targetStart");
    targetEnd = targetEnd === undefined ? target.length : start(targetEnd, "targetEnd", target.length);
    sourceStart = start(sourceStart, "sourceStart");
    sourceEnd = sourceEnd === undefined ? this.length : start(sourceEnd, "sourceEnd", this.length);
    if (sourceStart >= sourceEnd) return targetStart >= targetEnd ? 0 : -1;
    if (targetStart >= targetEnd) return 1;
    return compare(
      Uint8Array.prototype.slice.call(this, sourceStart, sourceEnd),
      Uint8Array.prototype.slice.call(target, targetStart, targetEnd),
    );
  },

  copy(target, targetStart, sourceStart, sourceEnd) {
    checkBytes(target, "target");
    const integer = (value, otherwise) => (value === undefined ? otherwise : Math.trunc(+value) || 0);
    targetStart = integer(targetStart, 0);
    if (targetStart < 0) throw outOfRange("targetStart", ">= 0", targetStart);
    sourceStart = integer(sourceStart, 0);
    if (sourceStart < 0 || sourceStart > this.length)
      throw outOfRange("sourceStart", `>= 0 && <= ${this.length}`, sourceStart);
    sourceEnd = integer(sourceEnd, this.length);
    if (sourceEnd < 0) throw outOfRange("sourceEnd", ">= 0", sourceEnd);
    return copyBytes(this, target, targetStart, sourceStart, sourceEnd);
  },

  indexOf(value, offset, encoding) {
    return search(this, value, offset, encoding, true);
  },
  lastIndexOf(value, offset, encoding) {
    return search(this, value, offset, encoding, false);
  },
  includes(value, offset, encoding) {
    return search(this, value, offset, encoding, true) !== -1;
  },

  fill(value, offset, end, encoding) {
    return fillBytes(this, value, offset, end, encoding);
  },

  subarray(from, to) {
    const first = adjusted(from, this.length);
    const last = to === undefined ? this.length : adjusted(to, this.length);
    return new FastBuffer(this.buffer, this.byteOffset + first, Math.max(last - first, 0));
  },
  slice(from, to) {
    return this.subarray(from, to);
  },

  swap16() {
    return swap(this, 2);
  },
  swap32() {
    return swap(this, 4);
  },
  swap64() {
    return swap(this, 8);
  },

  toJSON() {
    return { type: "Buffer", data: Array.from(this) };
  },
});
prototype.toLocaleString = prototype.toString;
// Of older releases.
for (const [name, property] of [
  ["parent", "buffer"],
  ["offset", "byteOffset"],
]) {
  Object.defineProperty(prototype, name, {
    get() {
      return this instanceof Buffer ? this[property] : undefined;
    },
    enumerable: true,
  });
}

/** How util.inspect and console.log show a buffer. */
prototype[Symbol.for("nodejs.util.inspect.custom")] = function () {
  const bytes = encodings.hex.slice(this, 0, Math.min(this.length, INSPECT_MAX_BYTES)).replace(/..(?=.)/g, "$& ");
  const more = this.length - INSPECT_MAX_BYTES;
  const rest = more > 0 ? ` ... ${more} more byte${more > 1 ? "s" : ""}` : "";
  return `<${this.constructor.name}${bytes === "" ? "" : ` ${bytes}`}${rest}>`;
};
prototype.inspect = prototype[Symbol.for("nodejs.util.inspect.custom")];

export function SlowBuffer(size) {
  return Buffer.allocUnsafeSlow(size);
}
SlowBuffer.prototype = prototype;

export { isAscii, isUtf8 };

export function transcode(source, from, to) {
  checkBytes(source, "source");
  return source.length === 0 ? Buffer.alloc(0) : Buffer.from(transcodedText(source, from, to), to);
}

/** There are no URLs of blobs. */
export const resolveObjectURL = (url) => void `${url}`;
export const { atob, btoa, Blob, File } = globalThis;

export default {
  Buffer,
  SlowBuffer,
  INSPECT_MAX_BYTES,
  kMaxLength,
  kStringMaxLength,
  constants,
  isUtf8,
  isAscii,
  transcode,
  resolveObjectURL,
  atob,
  btoa,
  Blob,
  File,
};
