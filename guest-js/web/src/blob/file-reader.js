// FileReader, FileReaderSync and ProgressEvent. https://w3c.github.io/FileAPI/#APIASynch (6), https://xhr.spec.whatwg.org/#interface-progressevent (6)
import native from "elias:native";
import { btoa } from "../encoding/base64.js";
import { TextDecoder } from "../encoding/text.js";
import { Event, EventTarget, defineEventHandler, fire } from "../events/event-target.js";
import { registry } from "../internal/registry.js";
import { dictionary } from "../webidl/conversions.js";
import { DOMException } from "../webidl/dom-exception.js";
import { defineInterface } from "../webidl/interfaces.js";

const STATES = { EMPTY: 0, LOADING: 1, DONE: 2 };
const EVENTS = ["loadstart", "progress", "load", "abort", "error", "loadend"];
// String.fromCharCode takes its characters as arguments, of which the stack holds only so many.
const CHARACTERS_PER_CALL = 4096;

export class ProgressEvent extends Event {
  #lengthComputable;
  #loaded;
  #total;

  constructor(type, init = undefined) {
    super(...arguments);
    const { lengthComputable = false, loaded = 0, total = 0 } = dictionary(init, "the init of a ProgressEvent");
    this.#lengthComputable = Boolean(lengthComputable);
    this.#loaded = Number(loaded) || 0;
    this.#total = Number(total) || 0;
  }

  get lengthComputable() {
    return this.#lengthComputable;
  }

  get loaded() {
    return this.#loaded;
  }

  get total() {
    return this.#total;
  }
}

function bytesOfBlob(blob, method) {
  const bytes = typeof blob === "object" && blob !== null ? registry.bytesOfBlob(blob) : undefined;
  if (bytes === undefined) throw new TypeError(`${method} needs a Blob`);
  return bytes;
}

function toBinaryString(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += CHARACTERS_PER_CALL) {
    text += String.fromCharCode.apply(undefined, bytes.subarray(at, at + CHARACTERS_PER_CALL));
  }
  return text;
}

/** "Package data" (6.3.1): the encoding is the one asked for, else the type's, else UTF-8; a byte order mark wins. */
function toText(bytes, type, encoding) {
  for (const label of [markOf(bytes), encoding, native.mimeType(type)?.[2]]) {
    if (label === undefined || label === null) continue;
    try {
      return new TextDecoder(label).decode(bytes);
    } catch {
      // There is no such encoding here: the next one.
    }
  }
  return native.utf8Decode(bytes, false, false);
}

function markOf([first, second, third]) {
  if (first === 0xef && second === 0xbb && third === 0xbf) return "utf-8";
  if (first === 0xfe && second === 0xff) return "utf-16be";
  return first === 0xff && second === 0xfe ? "utf-16le" : undefined;
}

const PACKAGES = {
  readAsArrayBuffer: (bytes) => bytes.slice().buffer,
  readAsBinaryString: toBinaryString,
  readAsText: toText,
  readAsDataURL: (bytes, type) => `data:${type || "application/octet-stream"};base64,${btoa(toBinaryString(bytes))}`,
};

export class FileReader extends EventTarget {
  #state = STATES.EMPTY;
  #result = null;
  #error = null;
  // Which reading is on: the steps of one that was aborted see another.
  #reading = undefined;

  get readyState() {
    return this.#state;
  }

  get result() {
    return this.#result;
  }

  get error() {
    return this.#error;
  }

  readAsArrayBuffer(blob) {
    this.#read("readAsArrayBuffer", blob, undefined);
  }

  readAsBinaryString(blob) {
    this.#read("readAsBinaryString", blob, undefined);
  }

  readAsText(blob, encoding = undefined) {
    this.#read("readAsText", blob, encoding === undefined ? undefined : `${encoding}`);
  }

  readAsDataURL(blob) {
    this.#read("readAsDataURL", blob, undefined);
  }

  abort() {
    this.#result = null;
    if (this.#state !== STATES.LOADING) return;
    this.#state = STATES.DONE;
    this.#reading = undefined;
    this.#fire("abort", 0, 0);
    if (this.#state !== STATES.LOADING) this.#fire("loadend", 0, 0);
  }

  #read(method, blob, encoding) {
    if (!(#state in this)) throw new TypeError("not a FileReader");
    const bytes = bytesOfBlob(blob, method);
    if (this.#state === STATES.LOADING) throw new DOMException("the FileReader is reading already", "InvalidStateError");
    this.#state = STATES.LOADING;
    this.#result = this.#error = null;
    const reading = (this.#reading = {});
    const { length } = bytes;
    const steps = [
      () => this.#fire("loadstart", 0, length),
      () => length > 0 && this.#fire("progress", length, length),
      () => {
        this.#state = STATES.DONE;
        this.#result = PACKAGES[method](bytes, blob.type, encoding);
        this.#fire("load", length, length);
      },
      () => this.#fire("loadend", length, length),
    ];
    // Each step is a task. The last follows the one before at once in the standard, where promise jobs still run between.
    const next = () => {
      if (this.#reading !== reading) return;
      const step = steps.shift();
      if (steps.length > 0) native.setTimer(next, 0, false, true);
      step();
    };
    native.setTimer(next, 0, false, true);
  }

  #fire(type, loaded, total) {
    fire(this, new ProgressEvent(type, { lengthComputable: total > 0, loaded, total }));
  }
}

for (const name of Object.keys(STATES)) {
  for (const target of [FileReader, FileReader.prototype]) {
    Object.defineProperty(target, name, { value: STATES[name], enumerable: true });
  }
}
for (const type of EVENTS) defineEventHandler(FileReader.prototype, type);

/** The blobs here are in memory, so reading one takes no time. */
export class FileReaderSync {
  // Only the brand.
  #brand = undefined;

  readAsArrayBuffer(blob) {
    return this.#read("readAsArrayBuffer", blob, undefined);
  }

  readAsBinaryString(blob) {
    return this.#read("readAsBinaryString", blob, undefined);
  }

  readAsText(blob, encoding = undefined) {
    return this.#read("readAsText", blob, encoding === undefined ? undefined : `${encoding}`);
  }

  readAsDataURL(blob) {
    return this.#read("readAsDataURL", blob, undefined);
  }

  #read(method, blob, encoding) {
    return PACKAGES[method](bytesOfBlob(blob, method), blob.type, encoding);
  }
}

defineInterface(ProgressEvent);
defineInterface(FileReader);
defineInterface(FileReaderSync);
