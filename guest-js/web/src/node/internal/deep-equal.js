// Deep equality as node:assert and node:util have it. https://nodejs.org/api/assert.html#assertdeepstrictequalactual-expected-message
import * as types from "../util/types.js";

/** Whether two values are alike; `strict` compares prototypes, and primitives with Object.is instead of ==. */
export function isDeepEqual(a, b, strict) {
  return compare(a, b, strict, []);
}

const isObject = (value) => typeof value === "object" && value !== null;

function compare(a, b, strict, seen) {
  if (a === b) return a !== 0 || !strict || Object.is(a, b);
  if (!isObject(a) || !isObject(b)) {
    if (typeof a === "number" && typeof b === "number" && Number.isNaN(a) && Number.isNaN(b)) return true;
    // biome-ignore lint/suspicious/noDoubleEquals: loose equality is what the legacy mode means
    return !strict && !isObject(a) && !isObject(b) && typeof a !== "function" && typeof b !== "function" && a == b;
  }
  if (strict && Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false;
  if (Object.prototype.toString.call(a) !== Object.prototype.toString.call(b) || Array.isArray(a) !== Array.isArray(b)) return false;
  // Values that are being compared further up count as equal here: a difference would show there.
  if (seen.some(([x, y]) => x === a && y === b)) return true;
  seen.push([a, b]);
  const equal = contents(a, b, strict, seen) && properties(a, b, strict, seen);
  seen.pop();
  return equal;
}

function contents(a, b, strict, seen) {
  if (Array.isArray(a)) return a.length === b.length;
  if (types.isDate(a)) return types.isDate(b) && Object.is(a.getTime(), b.getTime());
  if (types.isRegExp(a)) return types.isRegExp(b) && a.source === b.source && a.flags === b.flags && a.lastIndex === b.lastIndex;
  if (types.isNativeError(a)) return a.message === b.message && a.name === b.name && compare(a.cause, b.cause, strict, seen);
  if (types.isBoxedPrimitive(a)) return types.isBoxedPrimitive(b) && Object.is(a.valueOf(), b.valueOf());
  if (types.isAnyArrayBuffer(a)) return sameBytes(new Uint8Array(a), new Uint8Array(b));
  if (types.isArrayBufferView(a)) {
    if (a.byteLength !== b.byteLength) return false;
    if (!strict && /^Float/.test(a[Symbol.toStringTag])) return a.every((value, at) => value === b[at]);
    return sameBytes(new Uint8Array(a.buffer, a.byteOffset, a.byteLength), new Uint8Array(b.buffer, b.byteOffset, b.byteLength));
  }
  if (types.isSet(a)) return types.isSet(b) && a.size === b.size && matches([...a], [...b], (x, y) => compare(x, y, strict, seen));
  if (types.isMap(a)) {
    const alike = ([key, value], [otherKey, other]) => compare(key, otherKey, strict, seen) && compare(value, other, strict, seen);
    return types.isMap(b) && a.size === b.size && matches([...a], [...b], alike);
  }
  return !(types.isWeakMap(a) || types.isWeakSet(a) || types.isPromise(a));
}

function sameBytes(a, b) {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}

/** Whether each of `items` has one of `others` to itself. */
function matches(items, others, alike) {
  return items.every((item, at) => {
    // Most often both are in the same order.
    const found = at < others.length && others[0] !== undefined && alike(item, others[0]) ? 0 : others.findIndex((other) => alike(item, other));
    if (found >= 0) others.splice(found, 1);
    return found >= 0;
  });
}

function keysOf(value, strict) {
  let keys = Object.keys(value);
  if (types.isTypedArray(value)) keys = keys.filter((key) => !/^\d+$/.test(key));
  if (!strict) return keys;
  return [...keys, ...Object.getOwnPropertySymbols(value).filter((key) => Object.prototype.propertyIsEnumerable.call(value, key))];
}

function properties(a, b, strict, seen) {
  const keys = keysOf(a, strict);
  if (keys.length !== keysOf(b, strict).length) return false;
  return keys.every((key) => Object.prototype.propertyIsEnumerable.call(b, key) && compare(a[key], b[key], strict, seen));
}
