// The methods of Buffer that read and write numbers. https://nodejs.org/api/buffer.html#bufreadbigint64beoffset
import { checkNumber, invalidArgType, outOfBounds, outOfRange } from "../internal/errors.js";

function boundsError(value, length, name = "offset") {
  if (Math.floor(value) !== value) {
    checkNumber(value, name);
    return outOfRange(name, "an integer", value);
  }
  return length < 0 ? outOfBounds() : outOfRange(name, `>= ${name === "offset" ? 0 : 1} and <= ${length}`, value);
}

function checkBounds(buffer, offset, bytes) {
  checkNumber(offset, "offset");
  if (buffer[offset] === undefined || buffer[offset + bytes - 1] === undefined)
    throw boundsError(offset, buffer.length - bytes);
}

function checkByteLength(offset, bytes) {
  if (offset === undefined) throw invalidArgType("offset", "number", offset);
  if (bytes === undefined) throw invalidArgType("byteLength", "number", bytes);
  if (!(bytes >= 1 && bytes <= 6) || Math.floor(bytes) !== bytes) {
    checkNumber(bytes, "byteLength");
    throw boundsError(bytes, 6, "byteLength");
  }
  checkNumber(bytes, "byteLength");
}

function readUnsigned(buffer, offset, bytes, little) {
  checkBounds(buffer, offset, bytes);
  let value = 0;
  // Not by shifts: there may be six bytes.
  if (little) for (let at = bytes - 1; at >= 0; at--) value = value * 256 + buffer[offset + at];
  else for (let at = 0; at < bytes; at++) value = value * 256 + buffer[offset + at];
  return value;
}

function readSigned(buffer, offset, bytes, little) {
  const value = readUnsigned(buffer, offset, bytes, little);
  const limit = 2 ** (bytes * 8 - 1);
  return value < limit ? value : value - 2 * limit;
}

function checkValue(value, min, max, bytes) {
  if (!(value > max || value < min)) return;
  const n = typeof min === "bigint" ? "n" : "";
  const bits = bytes * 8;
  let range;
  if (bytes <= 4) range = `>= ${min} and <= ${max}`;
  else if (min === 0 || min === 0n) range = `>= 0${n} and < 2${n} ** ${bits}${n}`;
  else range = `>= -(2${n} ** ${bits - 1}${n}) and < 2${n} ** ${bits - 1}${n}`;
  throw outOfRange("value", range, value);
}

function writeInteger(buffer, value, offset, bytes, little, signed) {
  value = +value;
  const limit = 2 ** (bytes * 8 - (signed ? 1 : 0));
  if (bytes === 1) checkNumber(offset, "offset");
  checkValue(value, signed ? -limit : 0, limit - 1, bytes);
  checkBounds(buffer, offset, bytes);
  let rest = Math.trunc(value) || 0;
  if (rest < 0) rest += 2 ** (bytes * 8);
  for (let at = 0; at < bytes; at++) {
    buffer[offset + (little ? at : bytes - 1 - at)] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  return offset + bytes;
}

const scratch = new DataView(new ArrayBuffer(8));
const scratchBytes = new Uint8Array(scratch.buffer);

function readByView(read, bytes, little) {
  return function (offset = 0) {
    checkBounds(this, offset, bytes);
    for (let at = 0; at < bytes; at++) scratchBytes[at] = this[offset + at];
    return scratch[read](0, little);
  };
}

function writeFloat(write, bytes, little) {
  return function (value, offset = 0) {
    value = +value;
    checkBounds(this, offset, bytes);
    scratch[write](0, value, little);
    for (let at = 0; at < bytes; at++) this[offset + at] = scratchBytes[at];
    return offset + bytes;
  };
}

function writeBigInteger(little, signed) {
  const [min, max] = signed ? [-(2n ** 63n), 2n ** 63n - 1n] : [0n, 2n ** 64n - 1n];
  return function (value, offset = 0) {
    checkValue(value, min, max, 8);
    checkBounds(this, offset, 8);
    // A number that is not a bigint throws here, as it does in Node.js.
    let rest = value & 0xffffffffffffffffn;
    for (let at = 0; at < 8; at++) {
      this[offset + (little ? at : 7 - at)] = Number(rest & 0xffn);
      rest >>= 8n;
    }
    return offset + 8;
  };
}

/** All of them by name. */
export const methods = {};

for (const [end, little] of [
  ["LE", true],
  ["BE", false],
]) {
  for (const [kind, read, signed] of [
    ["UInt", readUnsigned, false],
    ["Int", readSigned, true],
  ]) {
    methods[`read${kind}${end}`] = function (offset, byteLength) {
      checkByteLength(offset, byteLength);
      return read(this, offset, byteLength, little);
    };
    methods[`write${kind}${end}`] = function (value, offset, byteLength) {
      checkByteLength(offset, byteLength);
      return writeInteger(this, value, offset, byteLength, little, signed);
    };
    for (const bytes of [1, 2, 4]) {
      const name = bytes === 1 ? `${kind}8` : `${kind}${bytes * 8}${end}`;
      methods[`read${name}`] ??= function (offset = 0) {
        return read(this, offset, bytes, little);
      };
      methods[`write${name}`] ??= function (value, offset = 0) {
        return writeInteger(this, value, offset, bytes, little, signed);
      };
    }
  }
  methods[`readFloat${end}`] = readByView("getFloat32", 4, little);
  methods[`readDouble${end}`] = readByView("getFloat64", 8, little);
  methods[`readBigInt64${end}`] = readByView("getBigInt64", 8, little);
  methods[`readBigUInt64${end}`] = readByView("getBigUint64", 8, little);
  methods[`writeFloat${end}`] = writeFloat("setFloat32", 4, little);
  methods[`writeDouble${end}`] = writeFloat("setFloat64", 8, little);
  methods[`writeBigInt64${end}`] = writeBigInteger(little, true);
  methods[`writeBigUInt64${end}`] = writeBigInteger(little, false);
}
for (const name of Object.keys(methods)) {
  Object.defineProperty(methods[name], "name", { value: name, configurable: true });
  if (name.includes("UInt")) methods[name.replace("UInt", "Uint")] = methods[name];
}
