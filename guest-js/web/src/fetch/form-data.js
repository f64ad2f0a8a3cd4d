// FormData. https://xhr.spec.whatwg.org/#interface-formdata (5)
// As a body: https://html.spec.whatwg.org/#multipart-form-data (4.10.21.8), RFC 7578.
import native from "elias:native";
import { File } from "../blob/blob.js";
import { registry } from "../internal/registry.js";
import { concat } from "../webidl/bytes.js";
import { defineInterface, definePairIterable, inspect } from "../webidl/interfaces.js";
import { Body } from "./body.js";

const MULTIPART_TYPE = "multipart/form-data";
const FORM_TYPE = "application/x-www-form-urlencoded";

const isBlob = (value) => typeof value === "object" && value !== null && registry.bytesOfBlob(value) !== undefined;

export class FormData {
  // Flat: [name, value, name, value, ...].
  #list = [];

  static {
    registry.isFormData = (value) => #list in value;
    registry.encodeForm = (form) => encode(form.#list);
    registry.decodeForm = (bytes, mimeType) => {
      const form = new FormData();
      form.#list = decode(bytes, mimeType);
      return form;
    };
    definePairIterable(this, (form) => form.#list);
  }

  constructor(form = undefined, submitter = undefined) {
    if (form !== undefined || (submitter !== undefined && submitter !== null)) {
      throw new TypeError("HTML forms do not exist here: call new FormData() without an argument");
    }
  }

  append(name, value, filename = undefined) {
    checkArguments("append", 2, arguments);
    this.#list.push(toName(name), toValue(value, filename, arguments.length > 2));
  }

  delete(name) {
    checkArguments("delete", 1, arguments);
    name = toName(name);
    this.#list = this.#list.filter((_, at, list) => list[at - (at % 2)] !== name);
  }

  get(name) {
    checkArguments("get", 1, arguments);
    return this.#all(name)[0] ?? null;
  }

  getAll(name) {
    checkArguments("getAll", 1, arguments);
    return this.#all(name);
  }

  has(name) {
    checkArguments("has", 1, arguments);
    return this.#all(name).length > 0;
  }

  set(name, value, filename = undefined) {
    checkArguments("set", 2, arguments);
    name = toName(name);
    value = toValue(value, filename, arguments.length > 2);
    const at = this.#list.findIndex((key, index) => index % 2 === 0 && key === name);
    if (at < 0) {
      this.#list.push(name, value);
      return;
    }
    this.#list[at + 1] = value;
    this.#list = this.#list.filter((_, index, list) => index <= at + 1 || list[index - (index % 2)] !== name);
  }

  #all(name) {
    name = toName(name);
    return this.#list.filter((_, at, list) => at % 2 === 1 && list[at - 1] === name);
  }

  [inspect]() {
    return Object.fromEntries(this);
  }
}

function checkArguments(method, count, given) {
  if (given.length < count) throw new TypeError(`FormData.${method} needs ${count} arguments, and got ${given.length}`);
}

const toName = (name) => `${name}`.toWellFormed();

/** An entry's value is a string or a File: a plain Blob becomes a File called "blob". */
function toValue(value, filename, hasFilename) {
  if (!isBlob(value)) {
    if (hasFilename) throw new TypeError("only a Blob can have a file name");
    return `${value}`.toWellFormed();
  }
  if (value instanceof File && filename === undefined) return value;
  return registry.renameFile(value, filename ?? "blob");
}

const escape = (name) => name.replaceAll("\n", "%0A").replaceAll("\r", "%0D").replaceAll('"', "%22");
const toCrlf = (text) => text.replace(/\r\n?|\n/g, "\r\n");

/** No entry contains it: that would take guessing 128 random bits. */
function newBoundary() {
  const random = new Uint8Array(16);
  native.randomFill(random);
  return `----EliasFormBoundary${Array.from(random, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

function encode(list) {
  const boundary = newBoundary();
  const chunks = [];
  let text = "";
  for (let at = 0; at < list.length; at += 2) {
    const value = list[at + 1];
    text += `--${boundary}\r\nContent-Disposition: form-data; name="${escape(toCrlf(list[at]))}"`;
    if (typeof value === "string") {
      text += `\r\n\r\n${toCrlf(value)}\r\n`;
      continue;
    }
    text += `; filename="${escape(value.name)}"\r\nContent-Type: ${value.type || "application/octet-stream"}\r\n\r\n`;
    chunks.push(native.utf8Encode(text), registry.bytesOfBlob(value));
    text = "\r\n";
  }
  chunks.push(native.utf8Encode(`${text}--${boundary}--\r\n`));
  return new Body(concat(chunks), undefined, `${MULTIPART_TYPE}; boundary=${boundary}`);
}

/** The entries of a body of the type [serialization, essence, charset, boundary], or null. */
function decode(bytes, mimeType) {
  const essence = mimeType?.[1];
  if (essence === FORM_TYPE) return native.formDecode(native.utf8Decode(bytes, false, true));
  if (essence !== MULTIPART_TYPE) {
    const found = essence === undefined ? "the content-type is missing" : `the content-type is ${essence}`;
    throw new TypeError(`formData() reads ${MULTIPART_TYPE} and ${FORM_TYPE}, and ${found}`);
  }
  const boundary = mimeType[3];
  if (!boundary) throw new TypeError(`the content-type ${MULTIPART_TYPE} has no boundary`);
  const parts = native.parseMultipart(bytes, boundary);
  const list = [];
  for (let at = 0; at < parts.length; at += 4) {
    const [name, filename, type, content] = parts.slice(at, at + 4);
    list.push(name, toEntry(filename ?? undefined, type, content));
  }
  return list;
}

function toEntry(filename, type, content) {
  if (filename === undefined) return native.utf8Decode(content, false, true);
  return new File([content], filename, { type: type ?? "text/plain" });
}

defineInterface(FormData);
