// Signatures. https://nodejs.org/api/crypto.html#class-sign
import native from "elias:native";
import stream from "../../vendor/node/readable-stream.js";
import { concat } from "../../webidl/bytes.js";
import { checkFunction } from "../internal/errors.js";
import { constants } from "./constants.js";
import { DerReader, derSequence, derUnsigned } from "./der.js";
import { FIELD_BYTES } from "./key-formats.js";
import { partsOf, privateKey, publicKey } from "./key.js";
import { pssSaltBytes } from "./rsa.js";
import {
  Chunks, HASH_BYTES, OTHER_HASHES, bytesFrom, checkBytes, checkString, cryptoError, dataBytes, encoded, hashNamed, later, lazyStream,
  opensslError, checkedResult, wrongValue,
} from "./support.js";

const LazyWritable = lazyStream(stream.Writable, ["_writableState"]);
const { RSA_PKCS1_PADDING, RSA_PKCS1_PSS_PADDING, RSA_PSS_SALTLEN_AUTO, RSA_PSS_SALTLEN_DIGEST } = constants;

/** How an options object says it wants to have signatures of ECDSA: whether as DER. */
function wantsDer(options) {
  const encoding = options?.dsaEncoding ?? "der";
  if (encoding !== "der" && encoding !== "ieee-p1363") throw wrongValue("options.dsaEncoding", encoding);
  return encoding === "der";
}

function toDer(signature) {
  const half = signature.length / 2;
  return derSequence(derUnsigned(signature.subarray(0, half)), derUnsigned(signature.subarray(half)));
}

/** Two numbers as long as the curve's order, of DER; undefined if it holds none. */
function fromDer(signature, size) {
  try {
    const reader = new DerReader(signature).enter();
    const numbers = [reader.unsigned(), reader.unsigned()];
    if (numbers.some((number) => number.length > size)) return undefined;
    return concat(numbers.flatMap((number) => [new Uint8Array(size - number.length), number]));
  } catch {
    return undefined;
  }
}

/** The length of PSS' salt, or undefined for PKCS #1 v1.5. */
function saltOf(parts, options, hash, whole, signature) {
  const padding = options?.padding ?? (parts.kind === "rsa-pss" ? RSA_PKCS1_PSS_PADDING : RSA_PKCS1_PADDING);
  if (padding === RSA_PKCS1_PADDING) return undefined;
  if (padding !== RSA_PKCS1_PSS_PADDING) throw opensslError("illegal or unsupported padding mode", undefined, "1C8000A5");
  const length = options?.saltLength ?? RSA_PSS_SALTLEN_AUTO;
  if (!Number.isInteger(length) || length < RSA_PSS_SALTLEN_AUTO) throw wrongValue("options.saltLength", length);
  if (length === RSA_PSS_SALTLEN_DIGEST) return HASH_BYTES[hash];
  return length === RSA_PSS_SALTLEN_AUTO ? pssSaltBytes(parts, hash, whole, signature) : length;
}

/** The hash of an algorithm's name; of none, what OpenSSL takes. Ed25519 has its own. */
function hashFor(parts, algorithm) {
  if (parts.kind === "ed25519") {
    if (algorithm !== undefined) throw opensslError("invalid digest", undefined, "1C80007A");
    return "SHA-512";
  }
  if (parts.kind === "x25519") throw opensslError("operation not supported for this keytype", "digital envelope routines", "03000096");
  return algorithm ?? "SHA-256";
}

const failed = () => opensslError("signing failed");

function signed(algorithm, data, key, options) {
  const parts = partsOf(key);
  const hash = hashFor(parts, algorithm);
  const der = wantsDer(options);
  if (parts.curve === undefined) {
    return checkedResult(native.crypto.rsaSign(saltOf(parts, options, hash, true), hash, parts.material, data), failed);
  }
  const signature = checkedResult(native.crypto.sign(parts.curve, hash, parts.material, data), failed);
  return parts.kind === "ec" && der ? toDer(signature) : signature;
}

function verified(algorithm, data, key, options, signature) {
  const parts = partsOf(key);
  const hash = hashFor(parts, algorithm);
  const der = wantsDer(options);
  if (parts.curve === undefined) {
    const salt = saltOf(parts, options, hash, false, signature);
    return salt !== null && native.crypto.rsaVerify(salt, hash, parts.material, data, signature);
  }
  const plain = parts.kind === "ec" && der ? fromDer(signature, FIELD_BYTES[parts.curve]) : signature;
  return plain !== undefined && native.crypto.verify(parts.curve, hash, parts.material, data, plain);
}

class Signing extends LazyWritable {
  #hash;
  #chunks = new Chunks();

  constructor(algorithm, options = undefined) {
    super(options);
    checkString(algorithm, "algorithm");
    this.#hash = hashNamed(algorithm);
    if (this.#hash === undefined) throw cryptoError(TypeError, "INVALID_DIGEST", `Invalid digest: ${algorithm}. ${OTHER_HASHES}`);
  }

  update(data, encoding = undefined) {
    this.#chunks.push(dataBytes(data, encoding));
    return this;
  }

  /** The hash, and all that was put in. */
  _state() {
    return [this.#hash, this.#chunks.whole()];
  }

  _write(chunk, encoding, callback) {
    this.update(chunk, encoding);
    callback();
  }
}

export class Sign extends Signing {
  sign(key, encoding = undefined) {
    if (!key) throw cryptoError(Error, "SIGN_KEY_REQUIRED", "No key provided to sign");
    return encoded(signed(...this._state(), privateKey(key), key), encoding);
  }
}

export class Verify extends Signing {
  verify(key, signature, encoding = undefined) {
    const bytes = bytesFrom(signature, "signature", encoding);
    return verified(...this._state(), publicKey(key), key, bytes);
  }
}

export const createSign = (algorithm, options = undefined) => new Sign(algorithm, options);
export const createVerify = (algorithm, options = undefined) => new Verify(algorithm, options);

function digestOf(algorithm) {
  if (algorithm === null || algorithm === undefined) return undefined;
  checkString(algorithm, "algorithm");
  const hash = hashNamed(algorithm);
  if (hash === undefined) throw cryptoError(TypeError, "INVALID_DIGEST", `Invalid digest: ${algorithm}. ${OTHER_HASHES}`);
  return hash;
}

/** Runs `work` at once, or for a callback. */
function done(callback, work) {
  if (callback === undefined) return work();
  checkFunction(callback, "callback");
  return later(callback, work);
}

export function sign(algorithm, data, key, callback = undefined) {
  const [hash, message] = [digestOf(algorithm), checkBytes(data, "data")];
  if (!key) throw cryptoError(Error, "SIGN_KEY_REQUIRED", "No key provided to sign");
  return done(callback, () => encoded(signed(hash, message, privateKey(key), key)));
}

export function verify(algorithm, data, key, signature, callback = undefined) {
  const [hash, message, bytes] = [digestOf(algorithm), checkBytes(data, "data"), checkBytes(signature, "signature")];
  return done(callback, () => verified(hash, message, publicKey(key), key, bytes));
}
