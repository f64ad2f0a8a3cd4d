// KeyObject, and keys from any of the formats in which functions accept them.
// https://nodejs.org/api/crypto.html#class-keyobject
import native from "elias:native";
import { isKey, materialOf, newKey } from "../../crypto/key.js";
import { Buffer } from "../buffer.js";
import { DerReader, formatPem, isDerError, parsePem } from "./der.js";
import {
  CURVE_NAMES, jwkOf, pkcs1Of, pkcs8Of, readCertificate, readJwk, readPkcs1Private, readPkcs1Public, readPkcs8, readSec1, readSpki, rsaNumbers,
  rsaPublicOf, sec1Of, spkiOf, unsupportedKey,
} from "./key-formats.js";
import { openPem, openPkcs8, sealPkcs8 } from "./key-passphrase.js";
import {
  bytesFrom, checkBytes, checkObject, cryptoError, encoded, opensslError, checkedResult, secretOf, viewOf, wrongKeyType, wrongType, wrongValue,
} from "./support.js";

const INTERNAL = Symbol("internal");
const KINDS = "of type string or an instance of ArrayBuffer, Buffer, TypedArray, DataView, KeyObject, or CryptoKey";

/** The content of a KeyObject: see key-formats.js; of a secret, its bytes. */
let partsOf;

const invalidKey = () => opensslError("invalid key", "elliptic curve routines", "10000087");

/** The public key of a private one. */
export function publicPartsOf(parts) {
  if (parts.curve === undefined) return rsaPublicOf(parts);
  return { ...parts, material: checkedResult(native.crypto.convert("public-of", parts.curve, parts.material), invalidKey) };
}

export class KeyObject {
  #type;
  #parts;

  static {
    partsOf = (value) => (typeof value === "object" && value !== null && #parts in value ? value.#parts : undefined);
  }

  constructor(token, type, parts) {
    if (token !== INTERNAL) {
      if (!["secret", "public", "private"].includes(token)) throw wrongValue("type", token);
      throw wrongType("handle", "of type object", type);
    }
    this.#type = type;
    this.#parts = parts;
  }

  static from(key) {
    if (!isKey(key)) throw wrongType("key", "an instance of CryptoKey", key);
    return ofCryptoKey(key);
  }

  get type() {
    return this.#type;
  }

  equals(other) {
    const others = partsOf(other);
    if (others === undefined) throw wrongType("otherKeyObject", "an instance of KeyObject", other);
    if (other.type !== this.#type) return false;
    const [one, two] = [this, other].map((key) => (key.type === "secret" ? partsOf(key) : bytesOf(key)));
    return one.length === two.length && one.every((byte, at) => byte === two[at]);
  }

  get [Symbol.toStringTag]() {
    return "KeyObject";
  }
}

class SecretKeyObject extends KeyObject {
  get symmetricKeySize() {
    return partsOf(this).length;
  }

  [secretOf]() {
    return partsOf(this);
  }

  export(options = undefined) {
    if (options !== undefined) checkObject(options, "options");
    const format = options?.format ?? "buffer";
    if (format === "jwk") return { kty: "oct", k: Buffer.from(partsOf(this)).toString("base64url") };
    if (format !== "buffer") throw wrongValue("options.format", format);
    return encoded(partsOf(this).slice());
  }

  /** A CryptoKey with the same secret. */
  toCryptoKey(algorithm, extractable, usages) {
    const { name, hash } = typeof algorithm === "string" ? { name: algorithm } : algorithm;
    const hashed = hash === undefined ? {} : { hash: typeof hash === "string" ? { name: hash } : hash };
    const lengthy = /^(?:HKDF|PBKDF2)$/.test(name) ? {} : { length: this.symmetricKeySize * 8 };
    return newKey("secret", { name, ...lengthy, ...hashed }, extractable, usages, partsOf(this));
  }
}

class AsymmetricKeyObject extends KeyObject {
  get asymmetricKeyType() {
    return partsOf(this).kind;
  }

  get asymmetricKeyDetails() {
    const parts = partsOf(this);
    if (parts.curve !== undefined) return parts.kind === "ec" ? { namedCurve: CURVE_NAMES[parts.curve] } : {};
    const [n, e] = rsaNumbers(parts, this.type === "private");
    const modulusLength = n.length * 8 - Math.clz32(n[0]) + 24;
    return { modulusLength, publicExponent: BigInt(`0x${Buffer.from(e).toString("hex")}`) };
  }

  [secretOf]() {
    throw wrongKeyType(this.type, "secret");
  }

  /** A CryptoKey with the same key. */
  toCryptoKey(algorithm, extractable, usages) {
    const { curve, material } = partsOf(this);
    const { name, hash } = typeof algorithm === "string" ? { name: algorithm } : algorithm;
    if (curve !== undefined) {
      return newKey(this.type, curve.startsWith("P-") ? { name, namedCurve: curve } : { name }, extractable, usages, material);
    }
    const [n, e] = rsaNumbers(partsOf(this), this.type === "private");
    const all = { name, modulusLength: n.length * 8 - Math.clz32(n[0]) + 24, publicExponent: e.slice(), hash: typeof hash === "string" ? { name: hash } : hash };
    return newKey(this.type, all, extractable, usages, material);
  }
}

class PublicKeyObject extends AsymmetricKeyObject {
  export(options) {
    return exported(this, options, ["spki", "pkcs1"]);
  }
}

class PrivateKeyObject extends AsymmetricKeyObject {
  export(options) {
    return exported(this, options, ["pkcs8", "pkcs1", "sec1"]);
  }
}

const CLASSES = { secret: SecretKeyObject, public: PublicKeyObject, private: PrivateKeyObject };

export const keyObject = (type, parts) => new CLASSES[type](INTERNAL, type, parts);
export { partsOf };

/** The DER that says all of a key. */
function bytesOf(key) {
  const parts = partsOf(key);
  if (key.type === "public") return spkiOf(parts);
  return pkcs8Of(parts, parts.kind === "ec" ? publicPartsOf(parts).material : undefined);
}

/** A key in the format that `options` ask for; `name` is that of the options. */
export function exported(key, options, types, name = "options") {
  checkObject(options, name);
  const parts = partsOf(key);
  const isPrivate = key.type === "private";
  const { format, type, cipher, passphrase } = options;
  if (format === "jwk") return jwkOf(parts, isPrivate, isPrivate && parts.curve !== undefined ? publicPartsOf(parts).material : undefined);
  if (format !== "pem" && format !== "der") throw wrongValue(`${name}.format`, format);
  if (!types.includes(type)) throw wrongValue(`${name}.type`, type);
  const incompatible = (kind) =>
    cryptoError(Error, "INCOMPATIBLE_KEY_OPTIONS", `The selected key encoding ${type} can only be used for ${kind} keys.`);
  let [label, bytes] = ["PRIVATE KEY", undefined];
  if (type === "pkcs1") {
    if (parts.kind !== "rsa") throw incompatible("RSA");
    [label, bytes] = [`RSA ${isPrivate ? "PRIVATE" : "PUBLIC"} KEY`, pkcs1Of(parts, isPrivate)];
  } else if (type === "sec1") {
    if (parts.kind !== "ec") throw incompatible("EC");
    [label, bytes] = ["EC PRIVATE KEY", sec1Of(parts.curve, parts.material, publicPartsOf(parts).material)];
  } else {
    [label, bytes] = [isPrivate ? "PRIVATE KEY" : "PUBLIC KEY", bytesOf(key)];
  }
  if (cipher !== undefined) {
    if (type !== "pkcs8") throw cryptoError(Error, "INCOMPATIBLE_KEY_OPTIONS", `The selected key encoding ${type} does not support encryption.`);
    [label, bytes] = ["ENCRYPTED PRIVATE KEY", sealPkcs8(bytes, bytesFrom(passphrase, `${name}.passphrase`), cipher)];
  }
  return format === "pem" ? formatPem(label, bytes) : encoded(bytes.slice());
}

function ofCryptoKey(key) {
  if (key.type === "secret") return keyObject("secret", materialOf(key));
  const { name, namedCurve } = key.algorithm;
  if (name.startsWith("RSA")) return keyObject(key.type, { kind: "rsa", curve: undefined, material: materialOf(key) });
  const curve = namedCurve ?? name;
  return keyObject(key.type, { kind: namedCurve === undefined ? name.toLowerCase() : "ec", curve, material: materialOf(key) });
}

const needsPassphrase = () => cryptoError(TypeError, "MISSING_PASSPHRASE", "Passphrase required for encrypted key");

/** The readers of PEM blocks by label: whether the block holds a private key, and the function that reads it. */
const LABELS = {
  "PRIVATE KEY": [true, readPkcs8],
  "RSA PRIVATE KEY": [true, readPkcs1Private],
  "EC PRIVATE KEY": [true, readSec1],
  "PUBLIC KEY": [false, readSpki],
  "RSA PUBLIC KEY": [false, readPkcs1Public],
  CERTIFICATE: [false, readCertificate],
};
const TYPES = { pkcs8: [true, readPkcs8], sec1: [true, readSec1], spki: [false, readSpki], pkcs1: undefined };

/** Calls a reader; what is not DER is not a key. */
function reading(read) {
  try {
    return read();
  } catch (error) {
    throw isDerError(error) ? unsupportedKey() : error;
  }
}

function ofPem(text, passphrase) {
  const block = parsePem(text);
  if (block === undefined) throw unsupportedKey();
  let { label, bytes } = block;
  if (label === "ENCRYPTED PRIVATE KEY" || block.headers["DEK-Info"] !== undefined) {
    if (passphrase === undefined) throw needsPassphrase();
    bytes = block.headers["DEK-Info"] === undefined ? openPkcs8(bytes, passphrase) : openPem(bytes, block.headers["DEK-Info"], passphrase);
    if (label === "ENCRYPTED PRIVATE KEY") label = "PRIVATE KEY";
  }
  if (!Object.hasOwn(LABELS, label)) throw unsupportedKey();
  const [isPrivate, read] = LABELS[label];
  return [isPrivate, read(bytes)];
}

function ofDer(bytes, type, passphrase, wantsPrivate) {
  if (type === "pkcs8" && passphrase !== undefined && new DerReader(bytes).enter().tag === 0x30) {
    return [true, readPkcs8(openPkcs8(bytes, passphrase))];
  }
  if (type === "pkcs1") {
    // RSAPrivateKey begins with a version, and has nine numbers.
    const reader = new DerReader(bytes).enter();
    reader.pass();
    reader.pass();
    return reader.done ? [false, readPkcs1Public(bytes)] : [true, readPkcs1Private(bytes)];
  }
  if (type === undefined && !wantsPrivate) return [false, readSpki(bytes)];
  if (!Object.hasOwn(TYPES, type ?? "")) throw wrongValue("key.type", type);
  const [isPrivate, read] = TYPES[type];
  return [isPrivate, read(bytes)];
}

/** A private or public key of what a function was given as one; `wants` is "private", "public" or "any" (a public or private one). */
function asymmetric(given, wants, name = "key") {
  if (isKey(given)) return asymmetric(ofCryptoKey(given), wants, name);
  if (partsOf(given) !== undefined) {
    if (given.type === "secret" || (wants === "private" && given.type !== "private")) throw wrongKeyType(given.type, wants === "private" ? "private" : "private or public");
    return given;
  }
  const options = typeof given === "object" && given !== null && viewOf(given) === undefined && "key" in given ? given : { key: given };
  if (options !== given && typeof given !== "string" && viewOf(given) === undefined) throw wrongType(name, KINDS, given);
  const { key, format = "pem", type, passphrase, encoding } = options;
  if (partsOf(key) !== undefined || isKey(key)) return asymmetric(key, wants, name);
  if (format === "jwk") {
    checkObject(key, "key.key");
    const isPrivate = wants === "private" || (wants === "any" && key.d !== undefined);
    return keyObject(isPrivate ? "private" : "public", reading(() => readJwk(key, isPrivate)));
  }
  if (typeof key !== "string" && viewOf(key) === undefined) throw wrongType("key.key", KINDS, key);
  if (format !== "pem" && format !== "der") throw wrongValue("options.format", format);
  const bytes = bytesFrom(key, "key.key", encoding);
  const phrase = passphrase === undefined || passphrase === null ? undefined : bytesFrom(passphrase, "options.passphrase", encoding);
  const [isPrivate, parts] = reading(() =>
    format === "pem" ? ofPem(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1"), phrase) : ofDer(bytes, type, phrase, wants === "private"));
  if (wants === "private" && !isPrivate) throw unsupportedKey();
  return keyObject(isPrivate ? "private" : "public", parts);
}

export const privateKey = (given) => asymmetric(given, "private");
/** A public key; a private one stands for its own. */
export function publicKey(given) {
  const key = asymmetric(given, "any");
  return key.type === "private" ? keyObject("public", publicPartsOf(partsOf(key))) : key;
}

export function createSecretKey(key, encoding = undefined) {
  const bytes = typeof key === "string" ? bytesFrom(key, "key", encoding) : checkBytes(key, "key");
  return keyObject("secret", bytes.slice());
}

export function createPrivateKey(key) {
  if (partsOf(key) !== undefined) throw wrongType("key", "of type string or an instance of ArrayBuffer, Buffer, TypedArray, or DataView", key);
  return privateKey(key);
}

export function createPublicKey(key) {
  if (partsOf(key) !== undefined && key.type !== "private") throw wrongKeyType(key.type, "private");
  return publicKey(key);
}
