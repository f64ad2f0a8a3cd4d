// Algorithm parameters: names, numbers and bytes as Web IDL wants them. https://w3c.github.io/webcrypto/#algorithm-normalization (18.4)
import { unsharedBytesOf } from "../webidl/bytes.js";
import { dataError, notSupported } from "./errors.js";

/** A copy of the bytes of a BufferSource. */
export function bytes(value, what) {
  const found = unsharedBytesOf(value);
  if (found === undefined) throw new TypeError(`${what} must be an ArrayBuffer or a view on one, which must not be shared`);
  return found.slice();
}

/** An unsigned integer of so many bits, with [EnforceRange]. */
export function integer(value, what, bits = 32) {
  const number = Math.trunc(Number(value));
  if (!Number.isFinite(number) || number < 0 || number >= 2 ** bits) throw new TypeError(`${what} must be an integer from 0 to ${2 ** bits - 1}`);
  return number;
}

/** A member that must be there. */
export function required(object, name) {
  const value = object[name];
  if (value === undefined) throw new TypeError(`the algorithm needs ${name}`);
  return value;
}

const HASHES = ["SHA-1", "SHA-256", "SHA-384", "SHA-512"];

/** A hash by its name or `{ name }`, as the standard writes it. */
export function hashOf(value) {
  const name = nameOf(value);
  const hash = HASHES.find((hash) => hash === name.toUpperCase());
  if (hash === undefined) throw notSupported(`the hash ${name}`);
  return hash;
}

/** The name of an algorithm that is a string or an object. */
export function nameOf(value) {
  if (typeof value === "string") return value;
  if (typeof value !== "object" || value === null || value.name === undefined) throw new TypeError("an algorithm is a name, or an object with one");
  return `${value.name}`;
}

/** Bits of a hash's block and of its output. */
export const BLOCK_BITS = { "SHA-1": 512, "SHA-256": 512, "SHA-384": 1024, "SHA-512": 1024 };

export const base64url = {
  encode: (data) => btoa(String.fromCharCode(...data)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, ""),
  decode(text) {
    if (typeof text !== "string" || !/^[A-Za-z0-9_-]*$/.test(text)) throw dataError("the key has a member that is not base64url");
    try {
      return Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (character) => character.charCodeAt(0));
    } catch {
      throw dataError("the key has a member that is not base64url");
    }
  },
};

/** Checks what a JWK says of its own use (RFC 7517, 4), for a key of that type. */
export function checkJwk(jwk, { kty, alg, use }, extractable, usages) {
  if (jwk.kty !== kty) throw dataError(`the key's kty is not ${kty}`);
  if (usages.length > 0 && jwk.use !== undefined && jwk.use !== use) throw dataError(`the key's use is not ${use}`);
  if (jwk.key_ops !== undefined) {
    const operations = [...jwk.key_ops];
    if (new Set(operations).size !== operations.length) throw dataError("the key's key_ops has something twice");
    if (usages.some((usage) => !operations.includes(usage))) throw dataError("the key's key_ops does not have all usages");
  }
  if (jwk.ext === false && extractable) throw dataError("the key's ext does not let it be extractable");
  if (alg !== undefined && jwk.alg !== undefined && jwk.alg !== alg) throw dataError(`the key's alg is not ${alg}`);
}
