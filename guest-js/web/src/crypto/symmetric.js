// HMAC, AES, HKDF and PBKDF2: algorithms whose keys are bytes. https://w3c.github.io/webcrypto/#hmac (29 and others)
import native from "elias:native";
import { checkedResult, dataError, notSupported, operationError, syntaxError } from "./errors.js";
import { materialOf, newKey } from "./key.js";
import { BLOCK_BITS, base64url, bytes, checkJwk, hashOf, integer, required } from "./parameters.js";

const EMPTY = new Uint8Array(0);

function randomKey(byteLength) {
  const key = new Uint8Array(byteLength);
  for (let at = 0; at < byteLength; at += 65536) native.randomFill(key.subarray(at, at + 65536));
  return key;
}

/** Import and export of secrets as raw bytes or JWK. `algorithmOf(data)` gives the key's algorithm, `alg(key)` what a JWK calls it. */
function secretFormats({ usages, use, alg, algorithmOf }) {
  return {
    importKey(format, data, parameters, extractable, wanted) {
      if (wanted.some((usage) => !usages.includes(usage))) throw syntaxError("the key cannot be used so");
      let secret;
      if (format === "raw" || format === "raw-secret") secret = data;
      else if (format === "jwk") secret = base64url.decode(data.kty === "oct" ? required(data, "k") : notOct());
      else throw notSupported(`the format ${format}`);
      const algorithm = algorithmOf(secret, parameters);
      if (format === "jwk") checkJwk(data, { kty: "oct", alg: alg(algorithm), use }, extractable, wanted);
      if (wanted.length === 0) throw syntaxError("a secret key needs a usage");
      return newKey("secret", algorithm, extractable, wanted, secret);
    },
    exportKey(format, key) {
      if (format === "raw" || format === "raw-secret") return materialOf(key).slice().buffer;
      if (format !== "jwk") throw notSupported(`the format ${format}`);
      return { kty: "oct", k: base64url.encode(materialOf(key)), alg: alg(key.algorithm), key_ops: key.usages, ext: key.extractable };
    },
  };
}

function notOct() {
  throw dataError("the key's kty is not oct");
}

const hmacUsages = ["sign", "verify"];

function hmacLength(parameters) {
  const hash = hashOf(required(parameters, "hash"));
  if (parameters.length === undefined) return [hash, BLOCK_BITS[hash]];
  return [hash, integer(parameters.length, "length")];
}

const HMAC = {
  name: "HMAC",
  usages: hmacUsages,
  ...secretFormats({
    usages: hmacUsages,
    use: "sig",
    alg: ({ hash }) => `HS${hash.name.slice(4)}`,
    algorithmOf(secret, parameters) {
      const hash = hashOf(required(parameters, "hash"));
      if (secret.length === 0) throw dataError("an HMAC key has at least one byte");
      const length = parameters.length === undefined ? secret.length * 8 : integer(parameters.length, "length");
      if (length > secret.length * 8 || length <= secret.length * 8 - 8) throw dataError("the length is not that of the key");
      return { name: "HMAC", length, hash: { name: hash } };
    },
  }),
  generateKey(parameters, extractable, usages) {
    // The hash is part of the algorithm, which comes before the usages.
    const [hash, length] = hmacLength(parameters);
    if (usages.some((usage) => !hmacUsages.includes(usage))) throw syntaxError("an HMAC key cannot be used so");
    if (length === 0) throw operationError("an HMAC key has at least one bit");
    if (usages.length === 0) throw syntaxError("a secret key needs a usage");
    return newKey("secret", { name: "HMAC", length, hash: { name: hash } }, extractable, usages, randomKey(Math.ceil(length / 8)));
  },
  getKeyLength(parameters) {
    const [, length] = hmacLength(parameters);
    if (length === 0) throw new TypeError("an HMAC key has at least one bit");
    return length;
  },
  sign: (_, key, data) => native.crypto.hmac(key.algorithm.hash.name, materialOf(key), data).buffer,
  verify(_, key, signature, data) {
    const expected = native.crypto.hmac(key.algorithm.hash.name, materialOf(key), data);
    let difference = expected.length ^ signature.length;
    for (let at = 0; at < expected.length; at++) difference |= expected[at] ^ signature[at];
    return difference === 0;
  },
};

function aesLength(parameters) {
  const length = integer(required(parameters, "length"), "length", 16);
  if (![128, 192, 256].includes(length)) throw operationError("AES has keys of 128, 192 and 256 bits");
  return length;
}

function vector(parameters, name, what) {
  const iv = bytes(required(parameters, name), name);
  if (iv.length !== 16) throw operationError(`${what} must have 16 bytes`);
  return iv;
}

const MODES = {
  GCM(parameters) {
    const iv = bytes(required(parameters, "iv"), "iv");
    const additional = parameters.additionalData === undefined ? EMPTY : bytes(parameters.additionalData, "additionalData");
    const tag = parameters.tagLength === undefined ? 128 : integer(parameters.tagLength, "tagLength", 8);
    if (![32, 64, 96, 104, 112, 120, 128].includes(tag)) throw operationError(`GCM has no tags of ${tag} bits`);
    return ["GCM", iv, additional, tag];
  },
  CBC: (parameters) => ["CBC", vector(parameters, "iv", "iv"), EMPTY, 0],
  CTR(parameters) {
    const counter = vector(parameters, "counter", "counter");
    const bits = integer(required(parameters, "length"), "length", 8);
    if (bits < 1 || bits > 128) throw operationError("the counter has 1 to 128 bits");
    return ["CTR", counter, EMPTY, bits];
  },
  KW: () => ["KW", EMPTY, EMPTY, 0],
};

function aes(mode) {
  const usages = mode === "KW" ? ["wrapKey", "unwrapKey"] : ["encrypt", "decrypt", "wrapKey", "unwrapKey"];
  const name = `AES-${mode}`;
  const run = (encrypts) => (parameters, key, data) =>
    checkedResult(native.crypto.cipher(encrypts, MODES[mode](parameters), materialOf(key), data), name).buffer;
  const both = mode === "KW" ? { wrapKey: run(true), unwrapKey: run(false) } : { encrypt: run(true), decrypt: run(false) };
  return {
    name,
    usages,
    ...secretFormats({
      usages,
      use: "enc",
      alg: ({ length }) => `A${length}${mode}`,
      algorithmOf(secret) {
        if (![16, 24, 32].includes(secret.length)) throw dataError("AES has keys of 16, 24 and 32 bytes");
        return { name, length: secret.length * 8 };
      },
    }),
    generateKey(parameters, extractable, wanted) {
      if (wanted.some((usage) => !usages.includes(usage))) throw syntaxError(`an ${name} key cannot be used so`);
      const length = aesLength(parameters);
      if (wanted.length === 0) throw syntaxError("a secret key needs a usage");
      return newKey("secret", { name, length }, extractable, wanted, randomKey(length / 8));
    },
    getKeyLength: aesLength,
    ...both,
  };
}

function derivation(name, derive) {
  const usages = ["deriveKey", "deriveBits"];
  return {
    name,
    usages,
    importKey(format, data, _, extractable, wanted) {
      if (format !== "raw" && format !== "raw-secret") throw notSupported(`the format ${format}`);
      if (wanted.some((usage) => !usages.includes(usage))) throw syntaxError(`a key of ${name} cannot be used so`);
      if (extractable) throw syntaxError(`a key of ${name} cannot be extractable`);
      if (wanted.length === 0) throw syntaxError("a secret key needs a usage");
      return newKey("secret", { name }, false, wanted, data);
    },
    getKeyLength: () => null,
    deriveBits(parameters, key, length) {
      const given = derive(parameters, key, (bits) => {
        if (bits === null || bits % 8 !== 0) throw operationError("the length must be a multiple of 8");
        return bits / 8;
      }, length);
      return given.buffer;
    },
  };
}

const HKDF = derivation("HKDF", (parameters, key, bytesOf, length) => {
  const hash = hashOf(required(parameters, "hash"));
  const [salt, info] = ["salt", "info"].map((name) => bytes(required(parameters, name), name));
  return checkedResult(native.crypto.hkdf(hash, materialOf(key), salt, info, bytesOf(length)), "HKDF");
});

const PBKDF2 = derivation("PBKDF2", (parameters, key, bytesOf, length) => {
  const hash = hashOf(required(parameters, "hash"));
  const salt = bytes(required(parameters, "salt"), "salt");
  const iterations = integer(required(parameters, "iterations"), "iterations");
  const size = bytesOf(length);
  if (iterations === 0) throw operationError("PBKDF2 needs at least one iteration");
  return size === 0 ? new Uint8Array(0) : checkedResult(native.crypto.pbkdf2(hash, materialOf(key), salt, iterations, size), "PBKDF2");
});

export const symmetricAlgorithms = [HMAC, aes("GCM"), aes("CBC"), aes("CTR"), aes("KW"), HKDF, PBKDF2];
