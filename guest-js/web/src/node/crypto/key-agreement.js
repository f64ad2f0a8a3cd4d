// Key agreement: ECDH and X25519. https://nodejs.org/api/crypto.html#class-ecdh
import native from "elias:native";
import { concat } from "../../webidl/bytes.js";
import { checkFunction } from "../internal/errors.js";
import { CURVE_NAMES, FIELD_BYTES, curveNamed } from "./key-formats.js";
import { partsOf } from "./key.js";
import { bytesFrom, checkObject, checkString, checkedResult, cryptoError, encoded, later, opensslError, wrongKeyType, wrongValue } from "./support.js";

export const getCurves = () => Object.values(CURVE_NAMES);

export const badCurve = () => cryptoError(TypeError, "INVALID_CURVE", `Invalid EC curve name. There are ${getCurves().join(", ")}`);
const badPublic = () => cryptoError(Error, "ECDH_INVALID_PUBLIC_KEY", "Public key is not valid for specified curve");

/** A point in a form of SEC 1. */
function point(uncompressed, format = "uncompressed") {
  const x = uncompressed.subarray(1, (uncompressed.length + 1) / 2);
  const odd = uncompressed[uncompressed.length - 1] & 1;
  if (format === "uncompressed") return uncompressed;
  if (format === "compressed") return concat([Uint8Array.of(2 + odd), x]);
  if (format === "hybrid") return concat([Uint8Array.of(6 + odd), uncompressed.subarray(1)]);
  throw cryptoError(TypeError, "ECDH_INVALID_FORMAT", `Invalid ECDH format: ${format}`);
}

/** The uncompressed form of a point. */
function pointFrom(curve, bytes) {
  const plain = bytes[0] === 6 || bytes[0] === 7 ? concat([Uint8Array.of(4), bytes.subarray(1)]) : bytes;
  return checkedResult(native.crypto.convert("check-public", curve, plain), badPublic);
}

export class ECDH {
  #curve;
  #private;
  #public;

  constructor(curve) {
    checkString(curve, "curve");
    this.#curve = curveNamed(curve);
    if (this.#curve === undefined) throw badCurve();
  }

  static convertKey(key, curve, inputEncoding = undefined, outputEncoding = undefined, format = "uncompressed") {
    const named = curveNamed(curve);
    if (named === undefined) throw badCurve();
    return encoded(point(pointFrom(named, bytesFrom(key, "key", inputEncoding)), format).slice(), outputEncoding);
  }

  generateKeys(encoding = undefined, format = "uncompressed") {
    [this.#private, this.#public] = native.crypto.generate(this.#curve);
    return this.getPublicKey(encoding, format);
  }

  getPublicKey(encoding = undefined, format = "uncompressed") {
    if (this.#public === undefined) throw cryptoError(Error, "ECDH_INVALID_PUBLIC_KEY", "Failed to get ECDH public key");
    return encoded(point(this.#public, format).slice(), encoding);
  }

  getPrivateKey(encoding = undefined) {
    if (this.#private === undefined) throw cryptoError(Error, "ECDH_INVALID_PRIVATE_KEY", "Failed to get ECDH private key");
    return encoded(this.#private.slice(), encoding);
  }

  setPrivateKey(key, encoding = undefined) {
    const bytes = bytesFrom(key, "key", encoding);
    const bad = () => cryptoError(Error, "INVALID_KEYTYPE", "Private key is not valid for specified curve.");
    const missing = FIELD_BYTES[this.#curve] - bytes.length;
    if (missing < 0) throw bad();
    const scalar = concat([new Uint8Array(missing), bytes]);
    this.#public = checkedResult(native.crypto.convert("public-of", this.#curve, scalar), bad);
    this.#private = scalar;
  }

  setPublicKey(key, encoding = undefined) {
    this.#public = pointFrom(this.#curve, bytesFrom(key, "key", encoding));
  }

  computeSecret(other, inputEncoding = undefined, outputEncoding = undefined) {
    const theirs = pointFrom(this.#curve, bytesFrom(other, "otherPublicKey", inputEncoding));
    if (this.#private === undefined) throw cryptoError(Error, "INVALID_KEYPAIR", "Invalid key pair");
    return encoded(checkedResult(native.crypto.agree(this.#curve, this.#private, theirs), badPublic), outputEncoding);
  }
}

export const createECDH = (curve) => new ECDH(curve);

export function diffieHellman(options, callback = undefined) {
  checkObject(options, "options");
  const { privateKey, publicKey } = options;
  const [own, other] = [partsOf(privateKey), partsOf(publicKey)];
  if (own === undefined) throw wrongValue("options.privateKey", privateKey);
  if (other === undefined) throw wrongValue("options.publicKey", publicKey);
  if (privateKey.type !== "private") throw wrongKeyType(privateKey.type, "private");
  if (publicKey.type === "secret") throw wrongKeyType(publicKey.type, "private or public");
  if (own.kind !== other.kind || own.curve === undefined || own.kind === "ed25519") {
    throw cryptoError(Error, "INCOMPATIBLE_KEY", `Incompatible key types for Diffie-Hellman: ${own.kind} and ${other.kind}`);
  }
  const failed = () => opensslError("failed during derivation");
  const work = () => {
    if (own.curve !== other.curve) throw opensslError("different parameters", "digital envelope routines", "03000099");
    const theirs = publicKey.type === "private" ? checkedResult(native.crypto.convert("public-of", other.curve, other.material), failed) : other.material;
    return encoded(checkedResult(native.crypto.agree(own.curve, own.material, theirs), failed));
  };
  if (callback === undefined) return work();
  checkFunction(callback, "callback");
  return later(callback, work);
}
