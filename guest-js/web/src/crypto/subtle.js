// SubtleCrypto. https://w3c.github.io/webcrypto/#subtlecrypto-interface (14)
import native from "elias:native";
import { registry } from "../internal/registry.js";
import { defineInterface } from "../webidl/interfaces.js";
import { curveAlgorithms } from "./elliptic-curves.js";
import { dataError, invalidAccess, notSupported, syntaxError } from "./errors.js";
import { USAGES, isKey } from "./key.js";
import { bytes, hashOf, integer, nameOf } from "./parameters.js";
import { rsaAlgorithms } from "./rsa.js";
import { symmetricAlgorithms } from "./symmetric.js";

const INTERNAL = Symbol("internal");
const FORMATS = ["raw", "raw-public", "raw-secret", "pkcs8", "spki", "jwk"];
const ALGORITHMS = new Map([...symmetricAlgorithms, ...curveAlgorithms, ...rsaAlgorithms].map((algorithm) => [algorithm.name.toUpperCase(), algorithm]));

/** The algorithm that can do `operation`, and its parameters under its proper name. */
function normalize(value, operation) {
  const name = nameOf(value);
  const algorithm = ALGORITHMS.get(name.toUpperCase());
  if (algorithm?.[operation] === undefined) throw notSupported(`${operation} with ${name}`);
  const parameters = typeof value === "string" ? { name: algorithm.name } : value;
  return [algorithm, parameters];
}

/** Runs `operation` of the algorithm of a key that may be used so. */
function keyed(value, key, usage, operation) {
  const [algorithm, parameters] = normalize(value, operation);
  keyArgument(key);
  if (key.algorithm.name !== algorithm.name) throw invalidAccess(`the key is one of ${key.algorithm.name}, not of ${algorithm.name}`);
  if (!key.usages.includes(usage)) throw invalidAccess(`the key cannot be used to ${usage}`);
  return [algorithm, parameters];
}

function keyArgument(key) {
  if (!isKey(key)) throw new TypeError("the key must be a CryptoKey");
}

function usagesArgument(value) {
  const usages = [...value].map(String);
  const unknown = usages.find((usage) => !USAGES.includes(usage));
  if (unknown !== undefined) throw new TypeError(`"${unknown}" is not a key usage`);
  return [...new Set(usages)];
}

function formatArgument(value) {
  const format = `${value}`;
  if (!FORMATS.includes(format)) throw new TypeError(`"${format}" is not a key format`);
  return format;
}

function keyData(format, data) {
  if (format !== "jwk") {
    if (typeof data === "object" && data !== null && data.kty !== undefined) throw new TypeError(`the format ${format} takes bytes, not a JWK`);
    return bytes(data, "keyData");
  }
  if (typeof data !== "object" || data === null || ArrayBuffer.isView(data) || data instanceof ArrayBuffer) throw new TypeError("a JWK is an object");
  return data;
}

function importKey(format, data, value, extractable, usages) {
  const [algorithm, parameters] = normalize(value, "importKey");
  return algorithm.importKey(format, data, parameters, Boolean(extractable), usages);
}

function exportKey(format, key) {
  const algorithm = ALGORITHMS.get(key.algorithm.name.toUpperCase());
  if (algorithm.exportKey === undefined) throw notSupported(`exporting a key of ${key.algorithm.name}`);
  if (!key.extractable) throw invalidAccess("the key is not extractable");
  return algorithm.exportKey(format, key);
}

function lengthOf(value) {
  const [algorithm, parameters] = normalize(value, "getKeyLength");
  return algorithm.getKeyLength(parameters);
}

function deriveBits(algorithm, parameters, key, length) {
  return algorithm.deriveBits(parameters, key, length);
}

class SubtleCrypto {
  constructor(token = undefined) {
    if (token !== INTERNAL) throw new TypeError("Illegal constructor");
  }

  async digest(algorithm, data) {
    const hash = hashOf(algorithm);
    return native.crypto.digest(hash, bytes(data, "data")).buffer;
  }

  async generateKey(value, extractable, keyUsages) {
    const usages = usagesArgument(keyUsages);
    const [algorithm, parameters] = normalize(value, "generateKey");
    return algorithm.generateKey(parameters, Boolean(extractable), usages);
  }

  async importKey(format, data, algorithm, extractable, keyUsages) {
    const [named, usages] = [formatArgument(format), usagesArgument(keyUsages)];
    return importKey(named, keyData(named, data), algorithm, extractable, usages);
  }

  async exportKey(format, key) {
    const named = formatArgument(format);
    keyArgument(key);
    return exportKey(named, key);
  }

  async encrypt(value, key, data) {
    const plain = bytes(data, "data");
    const [algorithm, parameters] = keyed(value, key, "encrypt", "encrypt");
    return algorithm.encrypt(parameters, key, plain);
  }

  async decrypt(value, key, data) {
    const sealed = bytes(data, "data");
    const [algorithm, parameters] = keyed(value, key, "decrypt", "decrypt");
    return algorithm.decrypt(parameters, key, sealed);
  }

  async sign(value, key, data) {
    const message = bytes(data, "data");
    const [algorithm, parameters] = keyed(value, key, "sign", "sign");
    return algorithm.sign(parameters, key, message);
  }

  async verify(value, key, signature, data) {
    const [signed, message] = [bytes(signature, "signature"), bytes(data, "data")];
    const [algorithm, parameters] = keyed(value, key, "verify", "verify");
    return algorithm.verify(parameters, key, signed, message);
  }

  async deriveBits(value, key, length = null) {
    const bits = length === null ? null : integer(length, "length");
    const [algorithm, parameters] = keyed(value, key, "deriveBits", "deriveBits");
    return deriveBits(algorithm, parameters, key, bits);
  }

  async deriveKey(value, key, derived, extractable, keyUsages) {
    const usages = usagesArgument(keyUsages);
    normalize(derived, "importKey");
    const length = lengthOf(derived);
    const [algorithm, parameters] = keyed(value, key, "deriveKey", "deriveBits");
    const secret = deriveBits(algorithm, parameters, key, length);
    return importKey("raw", new Uint8Array(secret), derived, extractable, usages);
  }

  async wrapKey(format, key, wrappingKey, value) {
    const named = formatArgument(format);
    keyArgument(key);
    const [algorithm, parameters] = keyed(value, wrappingKey, "wrapKey", operationOf(value, "wrapKey", "encrypt"));
    const exported = exportKey(named, key);
    const plain = named === "jwk" ? native.utf8Encode(JSON.stringify(exported)) : new Uint8Array(exported);
    return (algorithm.wrapKey ?? algorithm.encrypt)(parameters, wrappingKey, plain);
  }

  async unwrapKey(format, wrapped, unwrappingKey, value, keyAlgorithm, extractable, keyUsages) {
    const [named, usages] = [formatArgument(format), usagesArgument(keyUsages)];
    const sealed = bytes(wrapped, "wrappedKey");
    const [algorithm, parameters] = keyed(value, unwrappingKey, "unwrapKey", operationOf(value, "unwrapKey", "decrypt"));
    normalize(keyAlgorithm, "importKey");
    const plain = new Uint8Array((algorithm.unwrapKey ?? algorithm.decrypt)(parameters, unwrappingKey, sealed));
    return importKey(named, named === "jwk" ? parseJwk(plain) : plain, keyAlgorithm, extractable, usages);
  }

  /** The public key of a private one. */
  async getPublicKey(key, keyUsages) {
    const usages = usagesArgument(keyUsages);
    keyArgument(key);
    if (key.type !== "private") throw key.type === "secret" ? notSupported("the public key of a secret") : invalidAccess("this is a public key already");
    const algorithm = ALGORITHMS.get(key.algorithm.name.toUpperCase());
    if (usages.some((usage) => !algorithm.usages.includes(usage))) throw syntaxError("the key cannot be used so");
    const all = algorithm.exportKey("jwk", key);
    const { kty, crv, x, y, n, e } = all;
    return algorithm.importKey("jwk", { kty, crv, x, y, n, e }, key.algorithm, true, usages);
  }
}

/** The algorithm's own operation for wrapping, or the one for encrypting. */
function operationOf(value, own, other) {
  return ALGORITHMS.get(nameOf(value).toUpperCase())?.[own] === undefined ? other : own;
}

function parseJwk(bytes) {
  let jwk;
  try {
    jwk = JSON.parse(native.utf8Decode(bytes, false, false));
  } catch {
    throw dataError("the unwrapped data is not a JWK");
  }
  if (typeof jwk !== "object" || jwk === null || jwk.kty === undefined) throw dataError("the unwrapped data is not a JWK");
  return jwk;
}

defineInterface(SubtleCrypto);
registry.subtle = new SubtleCrypto(INTERNAL);
