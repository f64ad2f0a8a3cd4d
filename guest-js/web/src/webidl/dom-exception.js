// DOMException. https://webidl.spec.whatwg.org/#idl-DOMException (4.3)
import { indexOf, slice } from "../internal/primordials.js";
import { defineInterface } from "./interfaces.js";

// The legacy codes, in order from 1; an empty string is a code whose name nothing uses any more.
const LEGACY_NAMES = [
  "IndexSizeError", "", "HierarchyRequestError", "WrongDocumentError", "InvalidCharacterError", "",
  "NoModificationAllowedError", "NotFoundError", "NotSupportedError", "InUseAttributeError", "InvalidStateError",
  "SyntaxError", "InvalidModificationError", "NamespaceError", "InvalidAccessError", "", "TypeMismatchError",
  "SecurityError", "NetworkError", "AbortError", "URLMismatchError", "QuotaExceededError", "TimeoutError",
  "InvalidNodeTypeError", "DataCloneError",
];

// The constants that do not follow from the names.
const CONSTANT_NAMES = {
  2: "DOMSTRING_SIZE_ERR",
  6: "NO_DATA_ALLOWED_ERR",
  10: "INUSE_ATTRIBUTE_ERR",
  16: "VALIDATION_ERR",
  21: "URL_MISMATCH_ERR",
};

/** The message and the name of each. */
const fields = new WeakMap();

function field(exception, index) {
  const own = fields.get(exception);
  if (own === undefined) throw new TypeError("the object is not a DOMException");
  return own[index];
}

// An Error made by Error's constructor, and so with a stack, but not a subclass: Error is not its prototype.
export class DOMException {
  constructor(message = "", name = "Error") {
    const exception = Reflect.construct(Error, [], new.target);
    message = `${message}`;
    name = `${name}`;
    fields.set(exception, [message, name]);
    // The engine knows name and message of those that have them as data.
    const { stack } = exception;
    if (typeof stack === "string") {
      const title = message === "" ? name : `${name}: ${message}`;
      const value = title + slice(stack, indexOf(stack, "\n"));
      Object.defineProperty(exception, "stack", { value, writable: true, configurable: true });
    }
    return exception;
  }

  get name() {
    return field(this, 1);
  }

  get message() {
    return field(this, 0);
  }

  get code() {
    const name = field(this, 1);
    return name === "" ? 0 : LEGACY_NAMES.indexOf(name) + 1;
  }
}
Object.setPrototypeOf(DOMException.prototype, Error.prototype);

LEGACY_NAMES.forEach((name, index) => {
  const code = index + 1;
  const constant =
    CONSTANT_NAMES[code] ?? `${name.replace(/Error$/, "").replace(/([a-z])([A-Z])/g, "$1_$2").toUpperCase()}_ERR`;
  for (const target of [DOMException, DOMException.prototype]) {
    Object.defineProperty(target, constant, { value: code, enumerable: true });
  }
});

defineInterface(DOMException);

/** A limit was gone over. https://webidl.spec.whatwg.org/#quotaexceedederror (4.4) */
export class QuotaExceededError extends DOMException {
  #quota;
  #requested;

  constructor(message = "", options = undefined) {
    super(message, "QuotaExceededError");
    const { quota, requested } = options ?? {};
    this.#quota = amount(quota, "quota");
    this.#requested = amount(requested, "requested");
    if (this.#quota !== null && this.#requested !== null && this.#requested < this.#quota) {
      throw new RangeError("requested must not be less than quota");
    }
  }

  get quota() {
    return this.#quota;
  }

  get requested() {
    return this.#requested;
  }
}

function amount(value, name) {
  if (value === undefined) return null;
  value = Number(value);
  if (!Number.isFinite(value)) throw new TypeError(`${name} must be a finite number`);
  if (value < 0) throw new RangeError(`${name} must not be negative`);
  return value;
}

defineInterface(QuotaExceededError);
