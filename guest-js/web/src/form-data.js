// FormData. https://xhr.spec.whatwg.org/#interface-formdata (5)
import { needed, registry } from "./registry.js";
import { defineInterface, definePairIterable, inspect } from "./webidl.js";

export class FormData {
  // Flat: [name, value, name, value, ...].
  #list = [];

  static {
    registry.isFormData = (value) => #list in value;
    registry.formDataFromPairs = (pairs) => {
      const form = new FormData();
      form.#list = pairs;
      return form;
    };
    definePairIterable(this, (form) => form.#list);
  }

  constructor(form = undefined) {
    if (form !== undefined) throw new TypeError("there are no HTML forms here: new FormData() takes no argument");
  }

  append(name, value, filename = undefined) {
    this.#list.push(toName(name), toValue(value, filename));
  }

  delete(name) {
    name = toName(name);
    this.#list = this.#list.filter((_, at, list) => list[at - (at % 2)] !== name);
  }

  get(name) {
    return this.getAll(name)[0] ?? null;
  }

  getAll(name) {
    name = toName(name);
    return this.#list.filter((_, at, list) => at % 2 === 1 && list[at - 1] === name);
  }

  has(name) {
    return this.getAll(name).length > 0;
  }

  set(name, value, filename = undefined) {
    name = toName(name);
    value = toValue(value, filename);
    const at = this.#list.findIndex((key, index) => index % 2 === 0 && key === name);
    if (at < 0) {
      this.#list.push(name, value);
      return;
    }
    this.#list[at + 1] = value;
    this.#list = this.#list.filter((_, index, list) => index <= at + 1 || list[index - (index % 2)] !== name);
  }

  [inspect]() {
    return Object.fromEntries(this);
  }
}

const toName = (name) => `${name}`.toWellFormed();

/** An entry's value is a string or a File: a plain Blob becomes a File called "blob". */
function toValue(value, filename) {
  if (typeof value !== "object" || value === null || registry.bytesOfBlob?.(value) === undefined) {
    if (filename !== undefined) throw new TypeError("only a Blob can have a file name");
    return `${value}`.toWellFormed();
  }
  const File = needed("File", "a Blob in a FormData", "File");
  if (value instanceof File && filename === undefined) return value;
  return new File([value], filename ?? value.name ?? "blob", { type: value.type });
}

defineInterface(FormData);
