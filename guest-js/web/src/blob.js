// Blob and File. https://w3c.github.io/FileAPI/#blob-section (3), #file-section (4)
import native from "elias:native";
import { needed, registry } from "./registry.js";
import { bytesOf, concat, defineInterface, inspect } from "./webidl.js";

const PRINTABLE_ASCII = /^[\x20-\x7e]*$/;

export class Blob {
  #bytes;
  #type;

  static {
    registry.bytesOfBlob = (value) => (#bytes in value ? value.#bytes : undefined);
  }

  constructor(parts = [], options = undefined) {
    if (typeof parts !== "object" || parts === null || parts[Symbol.iterator] == null) {
      throw new TypeError("the parts of a Blob must be an array");
    }
    const { type = "", endings = "transparent" } = options ?? {};
    if (endings !== "transparent") throw new TypeError('the option endings can only be "transparent"');
    const chunks = [];
    for (const part of parts) {
      const isObject = typeof part === "object" && part !== null;
      const bytes = isObject ? (registry.bytesOfBlob(part) ?? bytesOf(part)) : undefined;
      chunks.push(bytes ?? native.utf8Encode(`${part}`));
    }
    // Even a single chunk is copied, because a Blob never changes.
    const all = concat(chunks);
    this.#bytes = chunks.length === 1 ? all.slice() : all;
    this.#type = PRINTABLE_ASCII.test(`${type}`) ? `${type}`.toLowerCase() : "";
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

  slice(start = 0, end = this.size, type = "") {
    const part = new Blob([], { type });
    part.#bytes = this.#bytes.slice(start, end);
    return part;
  }

  stream() {
    return needed("streamFromBody", "stream()", "ReadableStream")(null, this.#bytes.slice());
  }

  [inspect]() {
    return { size: this.size, type: this.type };
  }
}

export class File extends Blob {
  #name;
  #lastModified;

  constructor(parts, name, options = undefined) {
    if (arguments.length < 2) throw new TypeError("new File() needs its parts and a name");
    super(parts, options);
    this.#name = `${name}`.toWellFormed();
    this.#lastModified = options?.lastModified === undefined ? undefined : Math.trunc(Number(options.lastModified)) || 0;
  }

  get name() {
    return this.#name;
  }

  /** Unless given, the time at which it is first asked for: a component that never asks needs no clock. */
  get lastModified() {
    return (this.#lastModified ??= Date.now());
  }
}

defineInterface(Blob);
defineInterface(File);
registry.Blob = Blob;
registry.File = File;
