// The structured clone encoding, version 1: values as a JSON text that keeps what JSON alone would lose. Messages of
// service workers have it; docs/reference/workers.md describes it.
//
// The text is a table: `[1, root, entry, ...]`. A *slot*, such as the root or the value of a property, has a value
// itself, if JSON has it, or the number of its entry. So nothing nests, however deep the value does, and what is met
// twice is there once.
import { base64Of, bufferOf } from "../encoding/base64-bytes.js";
import { isArrayBuffer } from "../webidl/bytes.js";
import { DOMException } from "../webidl/dom-exception.js";
import { ERRORS, hiddenState, tracksLength } from "./structured-clone.js";

/** The originals, since a script may replace the globals. */
const { ArrayBuffer, DataView, Date, Map, RegExp, Set, Uint8Array } = globalThis;

const VERSION = 1;

/** What the text of a number begins with; a template would cost more than all else that is done for it. */
const BEGINNING = `[${VERSION},`;

/** The place of the first entry. */
const FIRST = 2;

/** The most UTF-16 units of a text, where nothing else is said. */
export const ENCODED_MAX = 1 << 20;

/** How many of a path's steps, and of a key's characters, an error shows. */
const STEPS_SHOWN = 20;
const KEY_SHOWN = 40;

/** The views by name. A text cannot name any other function of the global scope. */
const VIEWS = Object.create(null);
for (const View of [
  DataView, Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array, BigInt64Array,
  BigUint64Array, Float32Array, Float64Array,
]) {
  VIEWS[View.name] = View;
}
if (typeof Float16Array === "function") VIEWS.Float16Array = Float16Array;

const BOXED = [Boolean, Number, String, BigInt];

const NO_OPTIONS = Object.freeze({ __proto__: null });

/** Objects that are refused although they look plain, and how they are named. */
const refused = new WeakMap();

/** Has `encode` refuse an object, as `what`. */
export const refuseToEncode = (object, what) => void refused.set(object, what);

/** The slot of a primitive in the text; undefined for any other value. */
function primitiveSlot(value) {
  switch (typeof value) {
    case "string":
    case "boolean":
      return value;
    case "undefined":
      return ["undefined"];
    case "bigint":
      return ["bigint", `${value}`];
    case "number":
      if (Number.isFinite(value) && !Object.is(value, -0)) return value;
      return ["number", Object.is(value, -0) ? "-0" : `${value}`];
    default:
      return value === null ? null : undefined;
  }
}

class Encoder {
  /** Filled one after the other, while those that come after are found. */
  entries = [VERSION, null];
  #objects = [];
  #numbers = new Map();
  /** For each object, whose it is and where it stands there. */
  #owners = [];
  #size = 0;
  #what;
  #max;
  #classOf;
  /** What could not be cloned, by number, as texts that are shown in its place; undefined where that fails. */
  #shown;
  /** The last that could not be cloned: how it is named, and the error that was thrown for it. */
  #refusal = {};

  constructor(what, { max = ENCODED_MAX, classOf, isReadable = false }) {
    this.#what = what;
    this.#max = max;
    this.#classOf = classOf;
    this.#shown = isReadable ? new Map() : undefined;
  }

  encode(value) {
    this.entries[1] = this.#slot(value, 0, "");
    for (let number = FIRST; number < this.entries.length; number += 1) {
      this.entries[number] = this.#entryOrShown(this.#objects[number - FIRST], number);
    }
    const isReference = (slot) => Array.isArray(slot) && slot.length === 1;
    const show = (_, slot) => (isReference(slot) ? (this.#shown.get(slot[0]) ?? slot) : slot);
    const text = JSON.stringify(this.entries, this.#shown && show);
    if (text.length > this.#max) this.#tooLarge();
    return text;
  }

  #tooLarge() {
    throw tooLarge(this.#what, this.#max);
  }

  /** Counts what is sure to be in the text, so that too large a value is refused before all of it was looked at. */
  #count(characters) {
    this.#size += characters;
    if (this.#size > this.#max) this.#tooLarge();
  }

  #refuse(what, owner, step) {
    const path = this.#path(owner, step);
    this.#refusal = { what, error: new DOMException(`${what} cannot be cloned: it is ${path}`, "DataCloneError") };
    throw this.#refusal.error;
  }

  #path(owner, step) {
    if (owner === 0) return this.#what;
    const steps = [step];
    for (let at = owner; at >= FIRST; at = this.#owners[at - FIRST].owner) steps.push(this.#owners[at - FIRST].step);
    steps.pop(); // the root's, which has none
    steps.reverse();
    // A path without a name before it begins with that of a property.
    const shown = (this.#what + steps.slice(0, STEPS_SHOWN).map(stepText).join("")).replace(/^\./, "");
    return steps.length <= STEPS_SHOWN ? shown : `${shown}... (${steps.length - STEPS_SHOWN} more)`;
  }

  /** The slot of a value that stands at `step`, as `stepText` takes it, of the object with the number `owner`. */
  #slot(value, owner, step) {
    this.#count(typeof value === "string" ? value.length + 3 : 2);
    const slot = primitiveSlot(value);
    if (slot !== undefined) return slot;
    if (typeof value === "symbol" || typeof value === "function") {
      const name = shorten(String(typeof value === "symbol" ? value : value.name));
      const what = typeof value === "symbol" ? name : `the function ${name || "(anonymous)"}`;
      return this.#shown === undefined ? this.#refuse(what, owner, step) : shownText(what);
    }
    let number = this.#numbers.get(value);
    if (number === undefined) {
      number = this.entries.push(null) - 1;
      this.#numbers.set(value, number);
      this.#objects.push(value);
      this.#owners.push({ owner, step });
    }
    return [number];
  }

  #entryOrShown(value, number) {
    try {
      return this.#entry(value, number);
    } catch (error) {
      if (this.#shown === undefined || error !== this.#refusal.error) throw error;
      this.#shown.set(number, shownText(this.#refusal.what));
      return {};
    }
  }

  #entry(value, number) {
    const here = (what) => {
      const { owner, step } = this.#owners[number - FIRST];
      this.#refuse(what, owner, step);
    };
    const className = this.#classOf?.(value);
    const what = refused.get(value);
    if (what !== undefined && className === undefined) here(what);
    if (Array.isArray(value)) return this.#array(value, number);
    if (isArrayBuffer(value)) return this.#buffer(value, here);
    if (ArrayBuffer.isView(value)) return this.#view(value, number, here);
    if (value instanceof Date) return ["date", Number.isNaN(value.getTime()) ? null : value.getTime()];
    if (value instanceof RegExp) return this.#texts(["regexp", value.source, value.flags]);
    if (value instanceof Map) return this.#map(value, number);
    if (value instanceof Set) return this.#set(value, number);
    if (value instanceof DOMException) return this.#texts(["exception", value.name, value.message]);
    if (value instanceof Error) return this.#error(value, number);
    for (const Box of BOXED) if (value instanceof Box) return ["boxed", this.#slot(value.valueOf(), number, "valueOf")];
    const tag = hiddenState(value);
    if (tag !== undefined) here(`a ${tag}`);
    const properties = this.#properties(value, number);
    return className === undefined ? properties : ["instance", this.#texts([className])[0], properties];
  }

  #texts(entry) {
    for (const text of entry) this.#count(text.length + 3);
    return entry;
  }

  #array(value, number) {
    const keys = Object.keys(value);
    const { length } = value;
    const isDense = keys.length === length && (length === 0 || keys[length - 1] === `${length - 1}`);
    if (!isDense) return ["sparse", length, this.#properties(value, number)];
    const entry = ["array"];
    for (let at = 0; at < length; at += 1) entry.push(this.#slot(value[at], number, at));
    return entry;
  }

  /** The own enumerable properties as an object without a prototype, where `__proto__` is a key like any other. */
  #properties(value, number) {
    const properties = Object.create(null);
    for (const key of Object.keys(value)) {
      // One that was deleted on the way, by a getter, is gone.
      if (!Object.hasOwn(value, key)) continue;
      this.#count(key.length + 3);
      properties[key] = this.#slot(value[key], number, key);
    }
    return properties;
  }

  #map(value, number) {
    const entry = ["map"];
    for (const [key, item] of [...value]) {
      entry.push(this.#slot(key, number, ["keys", (entry.length - 1) / 2]));
      const isPrimitive = primitiveSlot(key) !== undefined;
      const step = isPrimitive ? ["get", key] : ["values", (entry.length - 2) / 2];
      entry.push(this.#slot(item, number, step));
    }
    return entry;
  }

  #set(value, number) {
    const entry = ["set"];
    for (const item of [...value]) entry.push(this.#slot(item, number, ["values", entry.length - 1]));
    return entry;
  }

  #error(value, number) {
    const text = (member) => (typeof member === "string" ? member : null);
    const message = Object.hasOwn(value, "message") ? `${value.message}` : null;
    const entry = ["error", `${value.name}`, message, text(value.stack)];
    for (const member of entry) this.#count((member?.length ?? 4) + 3);
    if (Object.hasOwn(value, "cause")) entry.push(this.#slot(value.cause, number, "cause"));
    return entry;
  }

  #buffer(value, here) {
    if (value.detached) here("an ArrayBuffer that was transferred");
    this.#count(Math.ceil(value.byteLength / 3) * 4);
    const entry = ["buffer", base64Of(new Uint8Array(value))];
    if (value.resizable) entry.push(value.maxByteLength);
    return entry;
  }

  #view(value, number, here) {
    const isDataView = value instanceof DataView;
    try {
      // Both throw for a view that its buffer has become too small for.
      if (isDataView) void value.byteLength;
      else value.keys();
    } catch {
      here("a view that is out of its buffer's bounds");
    }
    const name = isDataView ? "DataView" : value[Symbol.toStringTag];
    const entry = ["view", name, this.#slot(value.buffer, number, "buffer"), value.byteOffset];
    if (!tracksLength(value)) entry.push(isDataView ? value.byteLength : value.length);
    return entry;
  }
}

/**
 * How a path goes on: to an item, by its number; to a Map's value, by its key; to what a method gives, by its name and
 * a number; to a property.
 */
function stepText(step) {
  if (typeof step === "number") return `[${step}]`;
  if (typeof step === "object") {
    const [method, key] = step;
    if (method !== "get") return `.${method}()[${key}]`;
    return `.get(${typeof key === "string" ? JSON.stringify(shorten(key)) : String(key)})`;
  }
  if (/^[A-Za-z_$][\w$]*$/.test(step) && step.length <= KEY_SHOWN) return `.${step}`;
  return `[${JSON.stringify(shorten(step))}]`;
}

const shorten = (name) => (name.length > KEY_SHOWN ? `${name.slice(0, KEY_SHOWN)}...` : name);

/** What is shown in place of what cannot be cloned, such as `[Function add]` for `the function add`. */
function shownText(what) {
  const noun = what.replace(/^(?:an?|the) /, "");
  return `[${noun[0].toUpperCase()}${noun.slice(1)}]`;
}

const tooLarge = (what, max) =>
  new RangeError(`${what || "the state"} is larger than ${max} characters when it is encoded`);

/**
 * The text of a value. `what` names the value in errors. The options are
 * - `max`: the most UTF-16 units of the text;
 * - `classOf(object)`: the name of the class that an object is to have again where it is decoded, if it is a plain one;
 * - `isReadable`: what cannot be cloned is a text such as `[Function add]`.
 *
 * Throws a DataCloneError with the path of what cannot be cloned, and a RangeError if the text would be longer.
 */
export function encode(value, what = "the value", options = NO_OPTIONS) {
  const slot = primitiveSlot(value);
  if (slot === undefined) return new Encoder(what, options).encode(value);
  // It has no entries, and needs no encoder: many messages and most answers are such.
  const text = typeof slot === "number" ? BEGINNING + slot + "]" : JSON.stringify([VERSION, slot]);
  const max = options.max ?? ENCODED_MAX;
  if (text.length > max) throw tooLarge(what, max);
  return text;
}

/** An error with that name: of the class of this name, if the language has it. */
export function errorNamed(name, message) {
  const error = new (ERRORS[name] ?? Error)();
  if (message !== null) define(error, "message", message);
  if (error.name !== name) define(error, "name", name);
  return error;
}

const define = (object, key, value) =>
  Object.defineProperty(object, key, { __proto__: null, value, writable: true, configurable: true });

const defineEnumerable = (object, key, value) =>
  Object.defineProperty(object, key, { __proto__: null, value, writable: true, enumerable: true, configurable: true });

const malformed = (why) => new TypeError(`the text is not a structured clone: ${why}`);

/** Fails unless the condition, which an encoded text meets, is met. */
function check(condition, why) {
  if (!condition) throw malformed(why);
}

const isCount = (value) => Number.isSafeInteger(value) && value >= 0;
const isText = (value) => typeof value === "string";
const isNull = (value) => value === null;

class Decoder {
  #entries;
  /** The objects by their numbers; those that the content of others decides are made when it is looked at. */
  #objects = [];
  #instanceOf;
  /** What the root's property `fields` is assigned to; undefined where it becomes an object of its own. */
  #fields;

  constructor(entries, { instanceOf, fields }) {
    this.#entries = entries;
    this.#instanceOf = instanceOf;
    this.#fields = fields;
  }

  decode() {
    const entries = this.#entries;
    check(Array.isArray(entries) && entries.length >= FIRST, "it must be a list");
    check(entries[0] === VERSION, `its version must be ${VERSION}`);
    const fieldsAt = this.#fields && entries[entries[1]?.[0]]?.fields?.[0];
    // Buffers before their views.
    for (let number = FIRST; number < entries.length; number += 1) {
      if (isView(entries[number])) continue;
      this.#objects[number] = number === fieldsAt ? this.#fields : this.#make(entries[number]);
    }
    for (let number = FIRST; number < entries.length; number += 1) {
      if (isView(entries[number])) this.#objects[number] = this.#makeView(entries[number]);
    }
    for (let number = FIRST; number < entries.length; number += 1) this.#fill(this.#objects[number], entries[number]);
    return this.#value(entries[1]);
  }

  /** The value of a slot. */
  #value(slot) {
    if (!Array.isArray(slot)) {
      check(typeof slot !== "object" || slot === null, "an object stands in place of a value");
      return slot;
    }
    const [kind, text] = slot;
    if (typeof kind === "number") {
      check(slot.length === 1 && isCount(kind) && kind >= FIRST && kind < this.#entries.length, "no such entry");
      return this.#objects[kind];
    }
    if (kind === "undefined" && slot.length === 1) return undefined;
    check(slot.length === 2 && isText(text), "a value of an unknown kind");
    if (kind === "bigint") {
      check(/^-?\d+$/.test(text), "not a bigint");
      return BigInt(text);
    }
    check(kind === "number" && /^(?:-0|NaN|-?Infinity)$/.test(text), "a value of an unknown kind");
    return Number(text);
  }

  /** The object of an entry, without what may refer back to it. */
  #make(entry) {
    if (!Array.isArray(entry)) {
      check(typeof entry === "object" && entry !== null, "an entry must be an object or a list");
      return {};
    }
    const [kind, first, second] = entry;
    switch (kind) {
      case "array":
        return [];
      case "sparse":
        check(entry.length === 3 && isCount(first) && first < 2 ** 32, "not an array");
        check(typeof second === "object" && second !== null && !Array.isArray(second), "not an array");
        return Object.defineProperty([], "length", { __proto__: null, value: first });
      case "map":
        check(entry.length % 2 === 1, "not a Map");
        return new Map();
      case "set":
        return new Set();
      case "date":
        check(entry.length === 2 && (isNull(first) || typeof first === "number"), "not a Date");
        return new Date(first ?? NaN);
      case "regexp":
        check(entry.length === 3 && isText(first) && isText(second), "not a RegExp");
        return attempt(() => new RegExp(first, second), "not a RegExp");
      case "exception":
        check(entry.length === 3 && isText(first) && isText(second), "not a DOMException");
        return new DOMException(second, first);
      case "error":
        check((entry.length === 4 || entry.length === 5) && isText(first), "not an error");
        check((isNull(second) || isText(second)) && (isNull(entry[3]) || isText(entry[3])), "not an error");
        return errorNamed(first, second);
      case "boxed": {
        check(entry.length === 2, "not a boxed value");
        const value = this.#value(first);
        check(["boolean", "number", "string", "bigint"].includes(typeof value), "not a boxed value");
        return Object(value);
      }
      case "buffer":
        check(entry.length <= 3 && isText(first), "not an ArrayBuffer");
        return attempt(() => bufferOf(first, second), "not an ArrayBuffer");
      case "instance":
        check(this.#instanceOf !== undefined && isText(first), "an entry of an unknown kind");
        check(entry.length === 3 && typeof second === "object" && second !== null, "not an instance");
        return this.#instanceOf(first);
      default:
        throw malformed("an entry of an unknown kind");
    }
  }

  #makeView([, name, buffer, offset, length]) {
    const View = isText(name) ? VIEWS[name] : undefined;
    check(View !== undefined && Array.isArray(buffer) && isCount(offset), "not a view");
    check(length === undefined || isCount(length), "not a view");
    const target = this.#value(buffer);
    check(isArrayBuffer(target), "a view of what is not a buffer");
    return attempt(() => new View(target, offset, length), "a view that is out of its buffer's bounds");
  }

  #fill(object, entry) {
    if (object === this.#fields) return this.#assign(object, entry);
    if (!Array.isArray(entry)) return this.#fillProperties(object, entry);
    const [kind, , properties] = entry;
    if (kind === "array") {
      for (let at = 1; at < entry.length; at += 1) defineEnumerable(object, at - 1, this.#value(entry[at]));
    } else if (kind === "instance") {
      this.#fillProperties(object, properties);
    } else if (kind === "sparse") {
      const { length } = object;
      this.#fillProperties(object, properties);
      check(object.length === length, "an array with an index past its end");
    } else if (kind === "map") {
      for (let at = 1; at < entry.length; at += 2) object.set(this.#value(entry[at]), this.#value(entry[at + 1]));
    } else if (kind === "set") {
      for (let at = 1; at < entry.length; at += 1) object.add(this.#value(entry[at]));
    } else if (kind === "error") {
      if (isText(entry[3])) define(object, "stack", entry[3]);
      if (entry.length === 5) define(object, "cause", this.#value(entry[4]));
    }
  }

  /** As an assignment does, so that a setter is called. */
  #assign(object, properties) {
    for (const key of Object.keys(properties)) {
      if (key === "__proto__") defineEnumerable(object, key, this.#value(properties[key]));
      else object[key] = this.#value(properties[key]);
    }
  }

  #fillProperties(object, properties) {
    for (const key of Object.keys(properties)) {
      const value = this.#value(properties[key]);
      attempt(() => defineEnumerable(object, key, value), "a property that an array cannot have");
    }
  }
}

const isView = (entry) => Array.isArray(entry) && entry[0] === "view";

function attempt(make, why) {
  try {
    return make();
  } catch {
    throw malformed(why);
  }
}

/**
 * The value of a text that `encode` gave. A TypeError if it is another text. The options are
 * - `max`: the most UTF-16 units of the text;
 * - `instanceOf(name)`: gives an object of a class without its properties, where the text may have such;
 * - `fields`: the object that the properties of the root's `fields` are assigned to, in their order.
 */
export function decode(text, options = NO_OPTIONS) {
  const max = options.max ?? ENCODED_MAX;
  if (typeof text !== "string") throw malformed("it must be a string");
  if (text.length > max) throw malformed(`it is longer than ${max} characters`);
  let entries;
  try {
    entries = JSON.parse(text);
  } catch {
    throw malformed("it must be JSON");
  }
  // Many messages, and the arguments of many calls, need no decoder.
  if (Array.isArray(entries) && entries[0] === VERSION) {
    if (entries.length === FIRST && isOfJson(entries[1])) return entries[1];
    if (entries.length === FIRST + 1 && isListOfJson(entries[1], entries[FIRST])) return entries[FIRST].slice(1);
  }
  return new Decoder(entries, options).decode();
}

/** Whether a slot has its value itself, as JSON has it. */
const isOfJson = (slot) => typeof slot !== "object" || slot === null;

/** Whether a slot is the first entry, and this is a list of values that JSON has. */
function isListOfJson(slot, entry) {
  if (!Array.isArray(slot) || slot.length !== 1 || slot[0] !== FIRST) return false;
  if (!Array.isArray(entry) || entry[0] !== "array") return false;
  for (let at = 1; at < entry.length; at += 1) if (!isOfJson(entry[at])) return false;
  return true;
}
