// RSASSA-PKCS1-v1_5, RSA-PSS and RSA-OAEP. https://w3c.github.io/webcrypto/#rsassa-pkcs1 (20 to 22)
//
// A private key is kept as PKCS #8, a public one as SubjectPublicKeyInfo.
import native from "elias:native";
import { checkKeyType, checkedResult, dataError, invalidAccess, notSupported, operationError, syntaxError } from "./errors.js";
import { materialOf, newKey } from "./key.js";
import { base64url, bytes, checkJwk, hashOf, integer, required } from "./parameters.js";

const MEMBERS = ["n", "e", "d", "p", "q", "dp", "dq", "qi"];
const JWK_ALG = { "RSASSA-PKCS1-v1_5": "RS", "RSA-PSS": "PS", "RSA-OAEP": "RSA-OAEP" };

function numbersOf(isPrivate, der) {
  const numbers = native.crypto.rsaNumbers(isPrivate, der);
  if (typeof numbers === "string") throw dataError("the key is not a valid RSA key");
  return numbers;
}

function keyOf(numbers) {
  const key = native.crypto.rsaKey(numbers);
  if (typeof key === "string") throw dataError("the key is not a valid RSA key");
  return key;
}

const BITS_MIN = 1024;
const BITS_MAX = 8192;
const EXPONENTS = [3n, 65_537n];

const canBeMade = (bits, exponent) =>
  bits >= BITS_MIN && bits <= BITS_MAX && EXPONENTS.includes(exponent.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n));
const cannotBeMade = () => operationError("such an RSA key cannot be made: 1,024 to 8,192 bits, and an exponent of 3 or 65,537");

function jwkAlg(name, hash) {
  if (name !== "RSA-OAEP") return `${JWK_ALG[name]}${hash.slice(4)}`;
  return hash === "SHA-1" ? "RSA-OAEP" : `RSA-OAEP-${hash.slice(4)}`;
}

function rsa(name, { privateUsages, publicUsages, use }, operations) {
  const make = (type, hash, [n, e], extractable, usages, der) => {
    const algorithm = { name, modulusLength: bitLength(n), publicExponent: e.slice(), hash: { name: hash } };
    return newKey(type, algorithm, extractable, usages, der);
  };
  const check = (usages, allowed) => {
    if (usages.some((usage) => !allowed.includes(usage))) throw syntaxError(`a key of ${name} cannot be used so`);
  };
  const fromDer = (isPrivate, hash, der, extractable, usages) => {
    const numbers = numbersOf(isPrivate, der);
    if (isPrivate && usages.length === 0) throw syntaxError("a private key needs a usage");
    return make(isPrivate ? "private" : "public", hash, numbers, extractable, usages, der);
  };
  return {
    name,
    usages: [...privateUsages, ...publicUsages],
    generateKey(parameters, extractable, usages) {
      const bits = integer(required(parameters, "modulusLength"), "modulusLength");
      const exponent = bytes(required(parameters, "publicExponent"), "publicExponent");
      const hash = hashOf(required(parameters, "hash"));
      check(usages, [...privateUsages, ...publicUsages]);
      const wanted = usages.filter((usage) => privateUsages.includes(usage));
      // The standard makes the key and then looks whether it may be used; what cannot be made is told first, at no cost.
      if (!canBeMade(bits, exponent)) throw cannotBeMade();
      if (wanted.length === 0) throw syntaxError("the private key needs a usage");
      const der = native.crypto.rsaGenerate(bits, exponent);
      if (typeof der === "string") throw cannotBeMade();
      const numbers = numbersOf(true, der);
      return {
        publicKey: make("public", hash, numbers, true, usages.filter((usage) => publicUsages.includes(usage)), keyOf(numbers.slice(0, 2))),
        privateKey: make("private", hash, numbers, extractable, wanted, der),
      };
    },
    importKey(format, data, parameters, extractable, usages) {
      const hash = hashOf(required(parameters, "hash"));
      if (format === "spki" || format === "pkcs8") {
        const isPrivate = format === "pkcs8";
        check(usages, isPrivate ? privateUsages : publicUsages);
        return fromDer(isPrivate, hash, data, extractable, usages);
      }
      if (format !== "jwk") throw notSupported(`the format ${format}`);
      const isPrivate = data.d !== undefined;
      check(usages, isPrivate ? privateUsages : publicUsages);
      checkJwk(data, { kty: "RSA", alg: jwkAlg(name, hash), use }, extractable, usages);
      if (data.oth !== undefined) throw notSupported("an RSA key of more than two primes");
      const numbers = MEMBERS.slice(0, isPrivate ? 8 : 2).map((member) => base64url.decode(data[member]));
      return fromDer(isPrivate, hash, keyOf(numbers), extractable, usages);
    },
    exportKey(format, key) {
      const isPrivate = key.type === "private";
      if (format === "jwk") {
        const numbers = numbersOf(isPrivate, materialOf(key));
        const members = Object.fromEntries(numbers.map((number, at) => [MEMBERS[at], base64url.encode(number)]));
        return { kty: "RSA", alg: jwkAlg(name, key.algorithm.hash.name), ...members, key_ops: key.usages, ext: key.extractable };
      }
      if (format !== "spki" && format !== "pkcs8") throw notSupported(`the format ${format}`);
      if (isPrivate !== (format === "pkcs8")) throw invalidAccess(`the format ${format} is not for a ${key.type} key`);
      return materialOf(key).slice().buffer;
    },
    ...operations,
  };
}

/** Bits of a number without leading zero bytes. */
const bitLength = (number) => (number.length === 0 ? 0 : number.length * 8 - Math.clz32(number[0]) + 24);

const signing = (saltOf) => ({
  sign(parameters, key, data) {
    checkKeyType(key, "private");
    return checkedResult(native.crypto.rsaSign(saltOf(parameters), key.algorithm.hash.name, materialOf(key), data), "signing").buffer;
  },
  verify(parameters, key, signature, data) {
    checkKeyType(key, "public");
    return native.crypto.rsaVerify(saltOf(parameters), key.algorithm.hash.name, materialOf(key), data, signature);
  },
});

const oaep = (encrypts) => (parameters, key, data) => {
  checkKeyType(key, encrypts ? "public" : "private");
  const label = parameters.label === undefined ? new Uint8Array(0) : bytes(parameters.label, "label");
  return checkedResult(native.crypto.rsaOaep(encrypts, key.algorithm.hash.name, materialOf(key), label, data), "RSA-OAEP").buffer;
};

const signs = { privateUsages: ["sign"], publicUsages: ["verify"], use: "sig" };
const encrypts = { privateUsages: ["decrypt", "unwrapKey"], publicUsages: ["encrypt", "wrapKey"], use: "enc" };

export const rsaAlgorithms = [
  rsa("RSASSA-PKCS1-v1_5", signs, signing(() => undefined)),
  rsa("RSA-PSS", signs, signing((parameters) => integer(required(parameters, "saltLength"), "saltLength"))),
  rsa("RSA-OAEP", encrypts, { encrypt: oaep(true), decrypt: oaep(false) }),
];
