// Blob and File. https://w3c.github.io/FileAPI/#blob-section (3), #file-section (4)
import native from "elias:native";
import { registry, requireRegistered } from "../internal/registry.js";
import { bytesOf, concat } from "../webidl/bytes.js";
import { dictionary, enumeration } from "../webidl/conversions.js";
import { defineInterface, inspect } from "../webidl/interfaces.js";

const PRINTABLE_ASCII = /^[\x20-\x7e]*$/;
const INTEGER_MAX = Number.MAX_SAFE_INTEGER;

const toType = (type) => (PRINTABLE_ASCII.test(type) ? type.toLowerCase() : "");

/** Web IDL's [Clamp] long long. */
function toClamped(value) {
  value = Math.min(Math.max(Number(value), -INTEGER_MAX), INTEGER_MAX);
  const floor = Math.floor(value);
  // Half is rounded to what is even; not a number is 0.
  if (value - floor === 0.5) return floor + (floor % 2 === 0 ? 0 : 1);
  return Math.round(value) || 0;
}

/** The parts of a Blob, strings made of all that is neither a Blob nor bytes. */
function toParts(parts) {
  const iterator = typeof parts === "object" && parts !== null ? parts[Symbol.iterator] : undefined;
  if (typeof iterator !== "function") throw new TypeError("the parts of a Blob must be an array or another iterable object");
  const converted = [];
  for (const part of { [Symbol.iterator]: () => iterator.call(parts) }) {
    const isObject = typeof part === "object" && part !== null;
    converted.push(isObject ? (registry.bytesOfBlob(part) ?? bytesOf(part) ?? `${part}`) : `${part}`);
  }
  return converted;
}

export class Blob {
  // Never written to, and so shared by slices.
  #bytes;
  #type = "";

  static {
    registry.bytesOfBlob = (value) => (#bytes in value ? value.#bytes : undefined);
    registry.cloneOfBlob = (value) => (#bytes in value ? registry.blobOfBytes(value.#bytes, value.#type) : undefined);
    /** A Blob of bytes that nobody else writes to. */
    registry.blobOfBytes = (bytes, type) => {
      const blob = new Blob();
      blob.#bytes = bytes;
      blob.#type = type;
      return blob;
    };
  }

  constructor(parts = undefined, options = undefined) {
    const converted = parts === undefined ? [] : toParts(parts);
    const { endings = "transparent", type = "" } = dictionary(options, "the options of a Blob");
    const isNative = enumeration(endings, ["transparent", "native"], "endings of a Blob") === "native";
    this.#type = toType(`${type}`);
    const chunks = converted.map((part) => {
      if (typeof part !== "string") return part;
      return native.utf8Encode(isNative ? part.replace(/\r\n?/g, "\n") : part);
    });
    // Even a single chunk is copied, because a Blob never changes.
    const all = concat(chunks);
    this.#bytes = chunks.length === 1 ? all.slice() : all;
  }

  get size() {
    return this.#bytes.byteLength;
  }

  get type() {
    return this.#type;
  }

  async arrayBuffer() {
    return this.#bytes.slice().buffer;
  }

  async bytes() {
    return this.#bytes.slice();
  }

  async text() {
    return native.utf8Decode(this.#bytes, false, false);
  }

  slice(start = undefined, end = undefined, type = undefined) {
    const from = start === undefined ? 0 : toClamped(start);
    const to = end === undefined ? this.size : toClamped(end);
    const part = new Blob();
    part.#bytes = this.#bytes.subarray(from, to);
    part.#type = type === undefined ? "" : toType(`${type}`);
    return part;
  }

  stream() {
    return requireRegistered("streamFromBody", "stream()")(null, this.#bytes.slice());
  }

  [inspect]() {
    return { size: this.size, type: this.type };
  }
}

export class File extends Blob {
  #name;
  #lastModified;

  static {
    registry.cloneOfFile = (value) => (#name in value ? registry.renameFile(value, value.#name) : undefined);
    /** The file of an entry of a form: what `value` is, under another name. */
    registry.renameFile = (value, name) => {
      const file = new File([value], name, { type: value.type });
      if (#lastModified in value) file.#lastModified = value.#lastModified;
      return file;
    };
  }

  constructor(parts, name, options = undefined) {
    if (arguments.length < 2) throw new TypeError("new File() needs its parts and a name");
    if (parts === undefined) throw new TypeError("the parts of a File must be an array or another iterable object");
    name = `${name}`.toWellFormed();
    super(parts, options);
    this.#name = name;
    const lastModified = options?.lastModified;
    if (lastModified !== undefined) this.#lastModified = Math.trunc(Number(lastModified)) || 0;
  }

  get name() {
    return this.#name;
  }

  /** Unless given, the time at which it is first asked for: a component that never asks needs no clock. */
  get lastModified() {
    return (this.#lastModified ??= Date.now());
  }
}

// For structuredClone; a subclass comes back as what of ours it is.
(registry.serializers ??= []).push((value) => registry.cloneOfFile(value) ?? registry.cloneOfBlob(value));

defineInterface(Blob);
defineInterface(File);
registry.Blob = Blob;
registry.File = File;
