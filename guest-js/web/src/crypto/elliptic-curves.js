// ECDSA, ECDH, Ed25519 and X25519. https://w3c.github.io/webcrypto/#ecdsa (23 and others)
import native from "elias:native";
import { checkKeyType, checkedResult, dataError, invalidAccess, notSupported, operationError, syntaxError } from "./errors.js";
import { isKey, materialOf, newKey } from "./key.js";
import { base64url, checkJwk, hashOf, required } from "./parameters.js";

const FIELD_BYTES = { "P-256": 32, "P-384": 48, "P-521": 66, Ed25519: 32, X25519: 32 };

/** The result of a conversion; a DataError for bytes that are not a key. */
function converted(what, curve, key) {
  const given = native.crypto.convert(what, curve, key);
  if (typeof given === "string") throw dataError(`the key is not a valid ${curve} key`);
  return given;
}

/** A family of algorithms whose keys are points of a curve. `curveOf` finds the curve in parameters, or is its name. */
function onCurve({ name, named, privateUsages, publicUsages, use, operations }) {
  const curveOf = (parameters) => {
    if (!named) return name;
    const curve = `${required(parameters, "namedCurve")}`;
    if (!(curve in FIELD_BYTES) || !curve.startsWith("P-")) throw notSupported(`the curve ${curve}`);
    return curve;
  };
  const algorithmOf = (curve) => (named ? { name, namedCurve: curve } : { name });
  const curveOfKey = (key) => key.algorithm.namedCurve ?? name;
  const check = (usages, allowed) => {
    if (usages.some((usage) => !allowed.includes(usage))) throw syntaxError(`a key of ${name} cannot be used so`);
  };
  const publicKey = (curve, extractable, usages, point) => newKey("public", algorithmOf(curve), extractable, usages, point);
  const privateKey = (curve, extractable, usages, scalar) => newKey("private", algorithmOf(curve), extractable, usages, scalar);

  function fromJwk(jwk, parameters, extractable, usages) {
    const isPrivate = jwk.d !== undefined;
    check(usages, isPrivate ? privateUsages : publicUsages);
    const curve = curveOf(parameters);
    checkJwk(jwk, { kty: named ? "EC" : "OKP", use }, extractable, usages);
    if (jwk.crv !== curve) throw dataError(`the key's crv is not ${curve}`);
    if (name === "Ed25519" && jwk.alg !== undefined && !["Ed25519", "EdDSA"].includes(jwk.alg)) throw dataError("the key's alg is not Ed25519");
    if (name === "ECDSA" && jwk.alg !== undefined && jwk.alg !== { "P-256": "ES256", "P-384": "ES384", "P-521": "ES512" }[curve]) {
      throw dataError("the key's alg is not that of its curve");
    }
    const size = FIELD_BYTES[curve];
    const part = (member) => {
      const value = base64url.decode(jwk[member]);
      if (value.length !== size) throw dataError(`the key's ${member} does not have ${size} bytes`);
      return value;
    };
    const point = named ? Uint8Array.of(4, ...part("x"), ...part("y")) : part("x");
    const checked = converted("check-public", curve, point);
    if (!isPrivate) return publicKey(curve, extractable, usages, checked);
    const scalar = part("d");
    const own = converted("public-of", curve, scalar);
    if (own.some((byte, at) => byte !== checked[at])) throw dataError("the key's private and public parts do not belong together");
    if (usages.length === 0) throw syntaxError("a private key needs a usage");
    return privateKey(curve, extractable, usages, scalar);
  }

  return {
    name,
    usages: [...privateUsages, ...publicUsages],
    generateKey(parameters, extractable, usages) {
      // Normalizing wants a curve; whether there is one of that name is asked after the usages.
      if (named) required(parameters, "namedCurve");
      check(usages, [...privateUsages, ...publicUsages]);
      const curve = curveOf(parameters);
      const wanted = usages.filter((usage) => privateUsages.includes(usage));
      if (wanted.length === 0) throw syntaxError("the private key needs a usage");
      const [scalar, point] = native.crypto.generate(curve);
      return {
        publicKey: publicKey(curve, true, usages.filter((usage) => publicUsages.includes(usage)), point),
        privateKey: privateKey(curve, extractable, wanted, scalar),
      };
    },
    importKey(format, data, parameters, extractable, usages) {
      if (format === "jwk") return fromJwk(data, parameters, extractable, usages);
      if (format === "pkcs8") {
        check(usages, privateUsages);
        const curve = curveOf(parameters);
        const scalar = converted("decode-pkcs8", curve, data);
        if (usages.length === 0) throw syntaxError("a private key needs a usage");
        return privateKey(curve, extractable, usages, scalar);
      }
      check(usages, publicUsages);
      const curve = curveOf(parameters);
      if (format === "spki") return publicKey(curve, extractable, usages, converted("decode-spki", curve, data));
      if (format === "raw" || format === "raw-public") {
        return publicKey(curve, extractable, usages, converted("check-public", curve, data));
      }
      throw notSupported(`the format ${format}`);
    },
    exportKey(format, key) {
      const [curve, material] = [curveOfKey(key), materialOf(key)];
      const isPrivate = key.type === "private";
      const only = (type) => {
        if (key.type !== type) throw invalidAccess(`the format ${format} is for a ${type} key`);
      };
      if (format === "jwk") {
        const point = isPrivate ? converted("public-of", curve, material) : material;
        const size = FIELD_BYTES[curve];
        const coordinates = named
          ? { x: base64url.encode(point.subarray(1, 1 + size)), y: base64url.encode(point.subarray(1 + size)) }
          : { x: base64url.encode(point) };
        const alg = name === "Ed25519" ? { alg: "Ed25519" } : {};
        const d = isPrivate ? { d: base64url.encode(material) } : {};
        return { kty: named ? "EC" : "OKP", crv: curve, ...alg, ...coordinates, ...d, key_ops: key.usages, ext: key.extractable };
      }
      if (format === "pkcs8") {
        only("private");
        return converted("encode-pkcs8", curve, material).buffer;
      }
      if (format !== "spki" && format !== "raw" && format !== "raw-public") throw notSupported(`the format ${format}`);
      only("public");
      return format === "spki" ? converted("encode-spki", curve, material).buffer : material.slice().buffer;
    },
    ...operations,
  };
}

const signing = (hashOfParameters, curveOf) => ({
  sign(parameters, key, data) {
    checkKeyType(key, "private");
    return checkedResult(native.crypto.sign(curveOf(key), hashOfParameters(parameters), materialOf(key), data), "signing").buffer;
  },
  verify(parameters, key, signature, data) {
    checkKeyType(key, "public");
    return native.crypto.verify(curveOf(key), hashOfParameters(parameters), materialOf(key), data, signature);
  },
});

const agreement = (name, curveOf) => ({
  deriveBits(parameters, key, length) {
    checkKeyType(key, "private");
    const other = required(parameters, "public");
    if (!isKey(other)) throw new TypeError("public must be a CryptoKey");
    if (other.type !== "public") throw invalidAccess("public must be a public key");
    if (other.algorithm.name !== name || other.algorithm.namedCurve !== key.algorithm.namedCurve) {
      throw invalidAccess("the keys are not of the same algorithm and curve");
    }
    const secret = checkedResult(native.crypto.agree(curveOf(key), materialOf(key), materialOf(other)), "agreeing on a secret");
    if (length === null) return secret.buffer;
    if (length > secret.length * 8) throw operationError(`the secret has ${secret.length * 8} bits, not ${length}`);
    const bits = secret.slice(0, Math.ceil(length / 8));
    if (length % 8 !== 0) bits[bits.length - 1] &= 0xff << (8 - (length % 8));
    return bits.buffer;
  },
});

const derives = { privateUsages: ["deriveKey", "deriveBits"], publicUsages: [], use: "enc" };
const signs = { privateUsages: ["sign"], publicUsages: ["verify"], use: "sig" };
const namedCurve = (key) => key.algorithm.namedCurve;

export const curveAlgorithms = [
  onCurve({ name: "ECDSA", named: true, ...signs, operations: signing((parameters) => hashOf(required(parameters, "hash")), namedCurve) }),
  onCurve({ name: "ECDH", named: true, ...derives, operations: agreement("ECDH", namedCurve) }),
  onCurve({ name: "Ed25519", named: false, ...signs, operations: signing(() => "SHA-512", () => "Ed25519") }),
  onCurve({ name: "X25519", named: false, ...derives, operations: agreement("X25519", () => "X25519") }),
];
