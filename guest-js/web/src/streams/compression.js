// CompressionStream and DecompressionStream. https://compression.spec.whatwg.org/
import native from "elias:native";
import { unsharedBytesOf } from "../webidl/bytes.js";
import { defineInterface } from "../webidl/interfaces.js";
import { TransformStream } from "./transform.js";

const FORMATS = ["brotli", "deflate", "deflate-raw", "gzip"];

function coder(name, count, format, compresses) {
  if (count === 0) throw new TypeError(`new ${name}() needs a format`);
  if (!FORMATS.includes(`${format}`)) {
    throw new TypeError(`${JSON.stringify(`${format}`)} is not a format of ${name}; there are ${FORMATS.join(", ")}`);
  }
  const id = native.coderNew(`${format}`, compresses);
  const enqueue = (controller, bytes) => {
    if (bytes.length > 0) controller.enqueue(bytes);
  };
  return new TransformStream({
    transform(chunk, controller) {
      const bytes = unsharedBytesOf(chunk);
      if (bytes === undefined) throw new TypeError(`${name} takes an ArrayBuffer or a view on one, which must not be shared`);
      enqueue(controller, native.coderPush(id, bytes));
    },
    flush(controller) {
      enqueue(controller, native.coderEnd(id));
    },
    cancel() {
      native.coderDrop(id);
    },
  });
}

export class CompressionStream {
  #transform;

  constructor(format) {
    this.#transform = coder("CompressionStream", arguments.length, format, true);
  }

  get readable() {
    return this.#transform.readable;
  }

  get writable() {
    return this.#transform.writable;
  }
}

export class DecompressionStream {
  #transform;

  constructor(format) {
    this.#transform = coder("DecompressionStream", arguments.length, format, false);
  }

  get readable() {
    return this.#transform.readable;
  }

  get writable() {
    return this.#transform.writable;
  }
}

defineInterface(CompressionStream);
defineInterface(DecompressionStream);
