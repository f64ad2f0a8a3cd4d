// structuredClone. https://html.spec.whatwg.org/#safe-passing-of-structured-data (2.7)
import { DOMException } from "./dom-exception.js";
import { defineGlobals, isArrayBuffer } from "./webidl.js";

const ERRORS = { EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError };
const WRAPPED = [Boolean, Number, String, BigInt];

function uncloneable(what) {
  return new DOMException(`${what} cannot be cloned`, "DataCloneError");
}

/** Clones `value`; `seen` maps each object to its clone, for cycles and for objects that are met twice. */
function clone(value, seen) {
  if (typeof value === "symbol") throw uncloneable(String(value));
  if (typeof value === "function") throw uncloneable(`the function ${value.name || "(anonymous)"}`);
  if (typeof value !== "object" || value === null) return value;
  const known = seen.get(value);
  if (known !== undefined) return known;
  const copy = shell(value, seen);
  seen.set(value, copy);
  fill(copy, value, seen);
  return copy;
}

/** The clone without what is in it, which may lead back to it. */
function shell(value, seen) {
  if (Array.isArray(value)) return new Array(value.length);
  if (isArrayBuffer(value)) return value.slice(0);
  if (ArrayBuffer.isView(value)) {
    const buffer = clone(value.buffer, seen);
    return new (viewClass(value))(buffer, value.byteOffset, value instanceof DataView ? value.byteLength : value.length);
  }
  if (value instanceof Date) return new Date(value.getTime());
  if (value instanceof RegExp) return new RegExp(value.source, value.flags);
  if (value instanceof Map) return new Map();
  if (value instanceof Set) return new Set();
  if (value instanceof DOMException) return new DOMException(value.message, value.name);
  if (value instanceof Error) return new (ERRORS[value.name] ?? Error)();
  for (const Wrapper of WRAPPED) if (value instanceof Wrapper) return Object(value.valueOf());
  // An object of a web interface, and a Promise or a WeakMap, has its state where no clone would find it.
  const tag = value[Symbol.toStringTag];
  if (typeof tag === "string" && globalThis[tag] && value instanceof globalThis[tag]) throw uncloneable(`a ${tag}`);
  return {};
}

function viewClass(view) {
  return view instanceof DataView ? DataView : globalThis[view[Symbol.toStringTag]];
}

function fill(copy, value, seen) {
  if (value instanceof Map) {
    for (const [key, item] of [...value]) copy.set(clone(key, seen), clone(item, seen));
  } else if (value instanceof Set) {
    for (const item of [...value]) copy.add(clone(item, seen));
  } else if (value instanceof Error) {
    for (const key of ["message", "stack", "cause"]) {
      if (!Object.hasOwn(value, key)) continue;
      const item = key === "cause" ? clone(value.cause, seen) : `${value[key]}`;
      Object.defineProperty(copy, key, { value: item, writable: true, configurable: true });
    }
  } else if (Array.isArray(value) || Object.getPrototypeOf(copy) === Object.prototype) {
    for (const key of Object.keys(value)) {
      // Not an assignment: a key "__proto__" is a property like any other.
      const item = clone(value[key], seen);
      Object.defineProperty(copy, key, { value: item, writable: true, enumerable: true, configurable: true });
    }
  }
}

export function structuredClone(value, options = undefined) {
  if (arguments.length === 0) throw new TypeError("structuredClone needs a value");
  const transfer = [...(options?.transfer ?? [])];
  for (const [index, item] of transfer.entries()) {
    if (!isArrayBuffer(item)) throw uncloneable("what is in transfer is no ArrayBuffer and");
    if (item.detached) throw uncloneable("an ArrayBuffer that was transferred already");
    if (transfer.indexOf(item) !== index) throw uncloneable("an ArrayBuffer that is in transfer twice");
  }
  const copy = clone(value, new Map());
  // The bytes move by a copy. Detaching first would be cheaper, but a view on a detached buffer has forgotten its place,
  // and a clone that fails must leave the buffers where they were.
  for (const buffer of transfer) buffer.transfer(0);
  return copy;
}

defineGlobals({ structuredClone });
