// Shared by the parts of node:crypto: arguments, results, and the errors that packages compare.
import native from "elias:native";
import { isKey, materialOf } from "../../crypto/key.js";
import { concat } from "../../webidl/bytes.js";
import { Buffer } from "../buffer.js";
import { nodeError, unavailable } from "../internal/errors.js";
import { KECCAK_NAMES } from "./keccak.js";

const INT32_MAX = 2 ** 31 - 1;

/** The names of hashes: how OpenSSL writes them, and how the natives do. */
const HASHES = { md5: "MD5", sha1: "SHA-1", sha256: "SHA-256", sha384: "SHA-384", sha512: "SHA-512" };

/** Bytes of a hash. */
export const HASH_BYTES = { MD5: 16, "SHA-1": 20, "SHA-256": 32, "SHA-384": 48, "SHA-512": 64 };

/** The native's name of the hash that Node.js calls `name` ("sha256", "SHA-256", "RSA-SHA256"); undefined if there is none. */
export function hashNamed(name) {
  const key = `${name}`.toLowerCase().replace(/^rsa-/, "").replace(/^sha-/, "sha");
  return Object.hasOwn(HASHES, key) ? HASHES[key] : undefined;
}

/** The hint for a hash that is not supported. */
export const OTHER_HASHES = `There are ${Object.keys(HASHES).join(", ")}; the package @noble/hashes has others.`;

export const getHashes = () => [
  ...Object.keys(HASHES).map((name) => `RSA-${name.toUpperCase()}`), ...Object.keys(HASHES), ...KECCAK_NAMES,
];

/** How Node.js shows what it was given in place of something else. */
function received(value) {
  if (value === null || value === undefined) return ` Received ${value}`;
  if (typeof value === "function") return ` Received function ${value.name}`;
  if (typeof value === "object") {
    return value.constructor?.name ? ` Received an instance of ${value.constructor.name}` : " Received an object";
  }
  const shown = typeof value === "string" ? `'${value.length > 28 ? `${value.slice(0, 25)}...` : value}'` : `${String(value)}`;
  return ` Received type ${typeof value} (${shown})`;
}

/** The TypeError for something of the wrong type; `expected` begins with "of type" or "an instance of". */
export function wrongType(name, expected, value) {
  const what = name.includes(".") ? "property" : "argument";
  return nodeError(TypeError, "ERR_INVALID_ARG_TYPE", `The "${name}" ${what} must be ${expected}.${received(value)}`);
}

export function wrongValue(name, value, reason = "is invalid") {
  const what = name.includes(".") ? "property" : "argument";
  const shown = typeof value === "string" ? `'${value}'` : String(value);
  return nodeError(TypeError, "ERR_INVALID_ARG_VALUE", `The ${what} '${name}' ${reason}. Received ${shown}`);
}

export function outOfRange(name, range, value) {
  let shown = String(value);
  if (Number.isInteger(value) && Math.abs(value) > 2 ** 32) shown = shown.replace(/\B(?=(?:\d{3})+$)/g, "_");
  return nodeError(RangeError, "ERR_OUT_OF_RANGE", `The value of "${name}" is out of range. It must be ${range}. Received ${shown}`);
}

export const cryptoError = (Base, name, message) => nodeError(Base, `ERR_CRYPTO_${name}`, message);

export const noSuchDigest = (name) => cryptoError(TypeError, "INVALID_DIGEST", `Invalid digest: ${name}`);

const LIBRARIES = { "rsa routines": "RSA_", "digital envelope routines": "EVP_", "elliptic curve routines": "EC_" };

/** A failure as OpenSSL reports it. */
export function opensslError(reason, library = "Provider routines", number = "1C800064") {
  const code = `ERR_OSSL_${LIBRARIES[library] ?? ""}${reason.toUpperCase().replaceAll(" ", "_")}`;
  const error = nodeError(Error, code, `error:${number}:${library}::${reason}`);
  return Object.assign(error, { library, reason });
}

/** Bytes that a native gave, or the error that `failed` makes of why it did not. */
export function checkedResult(given, failed) {
  if (typeof given === "string") throw failed(given);
  return given;
}

export function checkString(value, name) {
  if (typeof value !== "string") throw wrongType(name, "of type string", value);
}

/** A whole number from `least` to `most`. */
export function checkInteger(value, name, least = 0, most = INT32_MAX) {
  if (typeof value !== "number") throw wrongType(name, "of type number", value);
  if (!Number.isInteger(value)) throw outOfRange(name, "an integer", value);
  if (value < least || value > most) throw outOfRange(name, `>= ${least} && <= ${most}`, value);
}

export function checkObject(value, name) {
  if (typeof value !== "object" || value === null) throw wrongType(name, "of type object", value);
}

const BYTES = "an instance of ArrayBuffer, Buffer, TypedArray, or DataView";

/** The bytes of a view or a buffer, not copied; undefined for anything else. */
export function viewOf(value) {
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  if (value instanceof ArrayBuffer || (typeof SharedArrayBuffer === "function" && value instanceof SharedArrayBuffer)) return new Uint8Array(value);
  return undefined;
}

/** The bytes of a text in an encoding ("buffer" and nothing mean UTF-8), or of a view or a buffer. */
export function bytesFrom(value, name, encoding = undefined) {
  if (typeof value === "string") return asBytes(Buffer.from(value, encoding === "buffer" ? undefined : encoding));
  const view = viewOf(value);
  if (view === undefined) throw wrongType(name, `of type string or ${BYTES}`, value);
  return view;
}

/** The bytes of what hashes, signatures and ciphers are updated with. */
export function dataBytes(value, encoding) {
  if (typeof value === "string" || ArrayBuffer.isView(value)) return bytesFrom(value, "data", encoding);
  throw wrongType("data", "of type string or an instance of Buffer, TypedArray, or DataView", value);
}

export function checkBytes(value, name) {
  const view = viewOf(value);
  if (view === undefined) throw wrongType(name, BYTES, value);
  return view;
}

/** A Buffer's bytes as the plain array that natives take. */
export const asBytes = (buffer) => new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length);

/** Bytes as a Buffer, or as a text if there is an encoding. */
export function encoded(bytes, encoding = undefined) {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  return encoding && encoding !== "buffer" ? buffer.toString(encoding) : buffer;
}

export const EMPTY = new Uint8Array(0);

/** Chunks that come one by one, kept until all are there: the natives take a whole. Each is copied, for its owner may reuse it. */
export class Chunks {
  #parts = [];
  bytes = 0;

  push(chunk) {
    if (chunk.length === 0) return;
    this.#parts.push(chunk.slice());
    this.bytes += chunk.length;
  }

  whole() {
    if (this.#parts.length === 0) return EMPTY;
    this.#parts = [concat(this.#parts)];
    return this.#parts[0];
  }
}

/** Random bytes; the host gives 64 KiB at a time. */
export function fillRandom(bytes) {
  for (let at = 0; at < bytes.length; at += 65536) native.randomFill(bytes.subarray(at, at + 65536));
  return bytes;
}

/** The bytes of a secret: of a text, a view, a KeyObject or a CryptoKey of type secret. */
export function secretBytes(key, name, encoding = undefined) {
  if (key?.[secretOf] !== undefined) return key[secretOf]();
  if (isKey(key)) {
    if (key.type !== "secret") throw wrongKeyType(key.type, "secret");
    return materialOf(key);
  }
  if (typeof key === "string" || viewOf(key) !== undefined) return bytesFrom(key, name, encoding);
  throw wrongType(name, "of type string or an instance of ArrayBuffer, Buffer, TypedArray, DataView, KeyObject, or CryptoKey", key);
}

/** The method by which a KeyObject gives its secret. */
export const secretOf = Symbol("secret");

export const wrongKeyType = (type, expected) =>
  cryptoError(TypeError, "INVALID_KEY_OBJECT_TYPE", `Invalid key object type ${type}, expected ${expected}.`);

/** Runs `work` now; its result or error goes to the callback later, as an operation of another thread would end. */
export function later(callback, work) {
  let outcome;
  try {
    outcome = [null, work()];
  } catch (error) {
    outcome = [error];
  }
  queueMicrotask(() => callback(...outcome));
}

/** A function in the place of one that a component does not have. */
export function missing(name, instead) {
  const refuse = function () {
    throw unavailable(`crypto.${name}`, instead);
  };
  Object.defineProperty(refuse, "name", { value: name, configurable: true });
  return refuse;
}

/**
 * A class of streams whose state is made when something first asks for it, because most hashes and ciphers are never used as
 * streams.
 */
export function lazyStream(Base, states) {
  // A function and no derived class, whose `super` would call Base.
  function Lazy(options) {
    Object.defineProperty(this, "_options", { value: options, writable: true, configurable: true });
  }
  Object.setPrototypeOf(Lazy, Base);
  Object.setPrototypeOf(Lazy.prototype, Base.prototype);
  for (const state of states) {
    Object.defineProperty(Lazy.prototype, state, {
      configurable: true,
      get() {
        if (!Object.hasOwn(this, "_options")) return undefined;
        Base.call(this, this._options);
        return this[state];
      },
      set(value) {
        Object.defineProperty(this, state, { value, writable: true, enumerable: true, configurable: true });
      },
    });
  }
  return Lazy;
}
