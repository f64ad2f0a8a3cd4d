// RSA encryption, and RSA operations on plain numbers. https://nodejs.org/api/crypto.html#cryptopublicencryptkey-buffer
import native from "elias:native";
import { concat } from "../../webidl/bytes.js";
import { Buffer } from "../buffer.js";
import { unavailable } from "../internal/errors.js";
import { constants } from "./constants.js";
import { rsaNumbers } from "./key-formats.js";
import { partsOf, privateKey, publicKey } from "./key.js";
import { EMPTY, HASH_BYTES, asBytes, bytesFrom, checkedResult, encoded, fillRandom, hashNamed, noSuchDigest, opensslError } from "./support.js";

const numberOf = (bytes) => BigInt(`0x${Buffer.from(bytes).toString("hex") || "0"}`);

function bytesOfNumber(number, length) {
  return asBytes(Buffer.from(number.toString(16).padStart(length * 2, "0"), "hex"));
}

/** `bytes` to the power of the public exponent; undefined if it is not a number below the modulus. */
function publicPower(parts, bytes) {
  const [modulus, exponent] = rsaNumbers(parts, false);
  const [n, base] = [numberOf(modulus), numberOf(bytes)];
  if (base >= n) return undefined;
  let power = 1n;
  for (const bit of numberOf(exponent).toString(2)) {
    power = (power * power) % n;
    if (bit === "1") power = (power * base) % n;
  }
  return bytesOfNumber(power, modulus.length);
}

/** MGF1 (RFC 8017, B.2.1). */
function mask(hash, seed, length) {
  const parts = [];
  for (let count = 0; count * HASH_BYTES[hash] < length; count++) {
    parts.push(native.crypto.digest(hash, concat([seed, Uint8Array.of(count >>> 24, count >>> 16, count >>> 8, count)])));
  }
  return concat([EMPTY, ...parts]).subarray(0, length);
}

/**
 * The length of PSS' salt that is meant by "auto": as long as fits for a new signature; of one that is there, what stands in it
 * (RFC 8017, 9.1.2), or null if it cannot be one.
 */
export function pssSaltBytes(parts, hash, isPrivate, signature) {
  const [modulus] = rsaNumbers(parts, isPrivate);
  const bits = modulus.length * 8 - Math.clz32(modulus[0]) + 24 - 1;
  const size = Math.ceil(bits / 8);
  const most = size - HASH_BYTES[hash] - 2;
  if (signature === undefined) return most;
  const message = publicPower(parts, signature)?.slice(-size);
  if (message === undefined || most < 0) return null;
  const masked = message.subarray(0, size - HASH_BYTES[hash] - 1);
  const unmask = mask(hash, message.subarray(masked.length, size - 1), masked.length);
  const block = masked.map((byte, at) => byte ^ unmask[at]);
  block[0] &= 0xff >>> (size * 8 - bits);
  const separator = block.findIndex((byte) => byte !== 0);
  return separator >= 0 && block[separator] === 1 ? block.length - separator - 1 : null;
}

const tooLarge = () => opensslError("data too large for key size", "rsa routines", "0200006E");
const undecodable = () => opensslError("oaep decoding error", "rsa routines", "02000079");

function oaep(key) {
  const name = key?.oaepHash ?? "sha1";
  const hash = hashNamed(name);
  if (hash === undefined) throw noSuchDigest(name);
  return [hash, key?.oaepLabel === undefined ? EMPTY : bytesFrom(key.oaepLabel, "key.oaepLabel", key.encoding)];
}

const instead = "Use RSA_PKCS1_OAEP_PADDING, or sign and verify.";
const noRsa = () => opensslError("operation not supported for this keytype", "digital envelope routines", "03000096");

export function publicEncrypt(key, buffer) {
  const parts = partsOf(publicKey(key));
  const data = bytesFrom(buffer, "buffer", key?.encoding);
  if (parts.kind !== "rsa") throw noRsa();
  const padding = key?.padding ?? constants.RSA_PKCS1_OAEP_PADDING;
  if (padding === constants.RSA_PKCS1_PADDING) {
    const filled = rsaNumbers(parts, false)[0].length - data.length - 3;
    if (filled < 8) throw tooLarge();
    const padded = fillRandom(new Uint8Array(filled));
    for (let at = 0; at < filled; at++) while (padded[at] === 0) fillRandom(padded.subarray(at, at + 1));
    return encoded(publicPower(parts, concat([Uint8Array.of(0, 2), padded, Uint8Array.of(0), data])));
  }
  if (padding !== constants.RSA_PKCS1_OAEP_PADDING) throw unavailable("crypto.publicEncrypt with this padding", instead);
  const [hash, label] = oaep(key);
  return encoded(checkedResult(native.crypto.rsaOaep(true, hash, parts.material, label, data), tooLarge));
}

export function privateDecrypt(key, buffer) {
  const parts = partsOf(privateKey(key));
  const data = bytesFrom(buffer, "buffer", key?.encoding);
  if (parts.kind !== "rsa") throw noRsa();
  if ((key?.padding ?? constants.RSA_PKCS1_OAEP_PADDING) !== constants.RSA_PKCS1_OAEP_PADDING) {
    throw unavailable("crypto.privateDecrypt with this padding", "Use RSA_PKCS1_OAEP_PADDING: others tell strangers what they decrypt.");
  }
  const [hash, label] = oaep(key);
  return encoded(checkedResult(native.crypto.rsaOaep(false, hash, parts.material, label, data), undecodable));
}
