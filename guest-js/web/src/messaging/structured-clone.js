// structuredClone. https://html.spec.whatwg.org/#safe-passing-of-structured-data (2.7)
import { registry } from "../internal/registry.js";
import { isArrayBuffer } from "../webidl/bytes.js";
import { dictionary } from "../webidl/conversions.js";
import { DOMException } from "../webidl/dom-exception.js";
import { defineGlobals } from "../webidl/interfaces.js";

/** Classes of errors that a clone keeps, by name; any other is an Error. */
export const ERRORS = { __proto__: null, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError };
const WRAPPED = [Boolean, Number, String, BigInt];
/** The originals, since a script may delete the globals. */
const { ArrayBuffer, DataView } = globalThis;

export function uncloneable(what) {
  return new DOMException(`${what} cannot be cloned`, "DataCloneError");
}

/**
 * Kinds of objects that can be transferred, beside ArrayBuffers: `is(value)`, `isDetached(object)`, `shell()` for the
 * object that receives, and `move(from, to)` when nothing can fail any more.
 */
const transferables = [];
export const addTransferable = (kind) => void transferables.push(kind);

/** Clones `value`; `seen` maps each object to its clone, for cycles and for objects that are met twice. */
function clone(value, seen) {
  if (typeof value === "symbol") throw uncloneable(String(value));
  if (typeof value === "function") throw uncloneable(`the function ${value.name || "(anonymous)"}`);
  if (typeof value !== "object" || value === null) return value;
  const known = seen.get(value);
  if (known !== undefined) return known;
  const copy = emptyClone(value, seen);
  seen.set(value, copy);
  fillClone(copy, value, seen);
  return copy;
}

/** The clone without its content, which may refer back to it. */
function emptyClone(value, seen) {
  if (Array.isArray(value)) return new Array(value.length);
  if (isArrayBuffer(value)) return copyBuffer(value);
  if (ArrayBuffer.isView(value)) return copyView(value, seen);
  if (value instanceof Date) return new Date(value.getTime());
  if (value instanceof RegExp) return new RegExp(value.source, value.flags);
  if (value instanceof Map) return new Map();
  if (value instanceof Set) return new Set();
  if (value instanceof DOMException) return new DOMException(value.message, value.name);
  if (value instanceof Error) return new (ERRORS[value.name] ?? Error)();
  for (const Wrapper of WRAPPED) if (value instanceof Wrapper) return Object(value.valueOf());
  for (const copyOf of registry.serializers ?? []) {
    const copy = copyOf(value);
    if (copy !== undefined) return copy;
  }
  if (transferables.some((kind) => kind.is(value))) throw uncloneable(`a ${value[Symbol.toStringTag]} that is not in transfer`);
  const tag = hiddenState(value);
  if (tag !== undefined) throw uncloneable(`a ${tag}`);
  return {};
}

/**
 * The class of an object of a web interface, or of a Promise or a WeakMap, which has its state where no clone would
 * find it; undefined for others.
 */
export function hiddenState(value) {
  const tag = value[Symbol.toStringTag];
  const isHidden = typeof tag === "string" && typeof globalThis[tag] === "function" && value instanceof globalThis[tag];
  return isHidden ? tag : undefined;
}

function copyBuffer(buffer) {
  if (buffer.detached) throw uncloneable("an ArrayBuffer that was transferred already");
  if (!buffer.resizable) return buffer.slice(0);
  const copy = new ArrayBuffer(buffer.byteLength, { maxByteLength: buffer.maxByteLength });
  new Uint8Array(copy).set(new Uint8Array(buffer));
  return copy;
}

function copyView(view, seen) {
  const isDataView = view instanceof DataView;
  try {
    // Both throw for a view that its buffer has become too small for.
    if (isDataView) void view.byteLength;
    else view.keys();
  } catch {
    throw uncloneable("a view that is out of its buffer's bounds");
  }
  const View = isDataView ? DataView : globalThis[view[Symbol.toStringTag]];
  const buffer = clone(view.buffer, seen);
  if (tracksLength(view)) return new View(buffer, view.byteOffset);
  return new View(buffer, view.byteOffset, isDataView ? view.byteLength : view.length);
}

/** Whether a view's length follows that of its resizable buffer, which only shows when the buffer grows. */
export function tracksLength(view) {
  const { buffer, byteLength } = view;
  if (!buffer.resizable) return false;
  const size = buffer.byteLength;
  const grown = Math.min(size + 8, buffer.maxByteLength);
  buffer.resize(grown);
  const follows = view.byteLength !== byteLength;
  buffer.resize(size);
  return follows;
}

function fillClone(copy, value, seen) {
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
      // One that was deleted on the way, by a getter, is gone.
      if (!Object.hasOwn(value, key)) continue;
      // Not an assignment: a key "__proto__" is a property like any other.
      const item = clone(value[key], seen);
      Object.defineProperty(copy, key, { value: item, writable: true, enumerable: true, configurable: true });
    }
  }
}

/** The list of objects to be transferred, from an argument that is the list or has it as its member `transfer`. */
export function toTransfer(options) {
  const isList = options != null && typeof options[Symbol.iterator] === "function";
  const { transfer = [] } = isList ? { transfer: options } : dictionary(options, "the options");
  const list = [...transfer];
  for (const item of list) {
    if (typeof item !== "object" || item === null) throw new TypeError("what is in transfer must be objects");
  }
  return list;
}

/** "StructuredSerializeWithTransfer" and back: the clone of `value`, and what the objects in `transfer` have become. */
export function cloneWithTransfer(value, transfer) {
  const seen = new Map();
  const moves = [];
  for (const [index, item] of transfer.entries()) {
    if (transfer.indexOf(item) !== index) throw uncloneable("an object that is in transfer twice");
    const kind = transferables.find((it) => it.is(item));
    if (kind !== undefined) {
      if (kind.isDetached(item)) throw uncloneable("an object that was transferred already");
      const received = kind.shell();
      seen.set(item, received);
      moves.push(() => kind.move(item, received));
    } else if (isArrayBuffer(item)) {
      // The bytes move by a copy. Detaching first would be cheaper, but a view on a detached buffer has forgotten its place,
      // and a clone that fails must leave the buffers where they were.
      seen.set(item, copyBuffer(item));
      moves.push(() => item.transfer(0));
    } else {
      throw uncloneable("what is in transfer cannot be transferred, and");
    }
  }
  const copy = clone(value, seen);
  for (const move of moves) move();
  return { value: copy, transferred: transfer.map((item) => seen.get(item)) };
}

export function structuredClone(value, options = undefined) {
  if (arguments.length === 0) throw new TypeError("structuredClone needs a value");
  return cloneWithTransfer(value, toTransfer(dictionary(options, "the options of structuredClone"))).value;
}

// For other modules: a script may replace the global.
registry.structuredClone = (value) => structuredClone(value);

defineGlobals({ structuredClone });
