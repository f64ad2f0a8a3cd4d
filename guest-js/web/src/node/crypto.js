// node:crypto. https://nodejs.org/api/crypto.html
//
// The host computes; the parts under crypto/ have Node.js's API. All functions compute synchronously, those with callbacks too.
import { registry } from "../internal/registry.js";
import { Cipheriv, Decipheriv, createCipheriv, createDecipheriv, getCipherInfo, getCiphers } from "./crypto/cipher.js";
import { constants } from "./crypto/constants.js";
import { Hash, Hmac, createHash, createHmac, hash } from "./crypto/hash.js";
import { ECDH, createECDH, diffieHellman, getCurves } from "./crypto/key-agreement.js";
import { hkdf, hkdfSync, pbkdf2, pbkdf2Sync, scrypt, scryptSync } from "./crypto/key-derivation.js";
import { generateKey, generateKeyPair, generateKeyPairSync, generateKeySync } from "./crypto/key-generation.js";
import { KeyObject, createPrivateKey, createPublicKey, createSecretKey } from "./crypto/key.js";
import { randomBytes, randomFill, randomFillSync, randomInt, randomUUID, timingSafeEqual } from "./crypto/random.js";
import { privateDecrypt, publicEncrypt } from "./crypto/rsa.js";
import { Sign, Verify, createSign, createVerify, sign, verify } from "./crypto/sign.js";
import { getHashes, missing } from "./crypto/support.js";

const ECDH_INSTEAD = "Use createECDH, or diffieHellman with keys of X25519.";
const BIGINT_INSTEAD = "Use BigInt, or a package for big numbers.";
const SIGN_INSTEAD = "Use sign and verify.";

export const createDiffieHellman = missing("createDiffieHellman", ECDH_INSTEAD);
export const createDiffieHellmanGroup = missing("createDiffieHellmanGroup", ECDH_INSTEAD);
export const getDiffieHellman = missing("getDiffieHellman", ECDH_INSTEAD);
export const DiffieHellman = missing("DiffieHellman", ECDH_INSTEAD);
export const DiffieHellmanGroup = missing("DiffieHellmanGroup", ECDH_INSTEAD);
export const checkPrime = missing("checkPrime", BIGINT_INSTEAD);
export const checkPrimeSync = missing("checkPrimeSync", BIGINT_INSTEAD);
export const generatePrime = missing("generatePrime", BIGINT_INSTEAD);
export const generatePrimeSync = missing("generatePrimeSync", BIGINT_INSTEAD);
export const privateEncrypt = missing("privateEncrypt", SIGN_INSTEAD);
export const publicDecrypt = missing("publicDecrypt", SIGN_INSTEAD);
export const X509Certificate = missing("X509Certificate", "createPublicKey takes a certificate's key; a package such as @peculiar/x509 reads the rest.");
export const Certificate = missing("Certificate", "Nothing stands in for SPKAC.");
export const setEngine = missing("setEngine", "The host's ciphers are built in.");
export const secureHeapUsed = () => ({ total: 0, min: 0, used: 0, utilization: 0 });
export const getFips = () => 0;
export const setFips = missing("setFips", "The host's ciphers are built in.");

export const webcrypto = globalThis.crypto;
/** Undefined in a component that does not mention it. */
export const { subtle } = registry;
export const getRandomValues = (array) => webcrypto.getRandomValues(array);

export {
  Cipheriv, Decipheriv, ECDH, Hash, Hmac, KeyObject, Sign, Verify, constants, createCipheriv, createDecipheriv, createECDH, createHash, createHmac,
  createPrivateKey, createPublicKey, createSecretKey, createSign, createVerify, diffieHellman, generateKey, generateKeyPair,
  generateKeyPairSync, generateKeySync, getCipherInfo, getCiphers, getCurves, getHashes, hash, hkdf, hkdfSync, pbkdf2, pbkdf2Sync,
  privateDecrypt, publicEncrypt, randomBytes, randomFill, randomFillSync, randomInt, randomUUID, scrypt, scryptSync, sign,
  timingSafeEqual, verify,
};

export default {
  Certificate, Cipheriv, Decipheriv, DiffieHellman, DiffieHellmanGroup, ECDH, Hash, Hmac, KeyObject, Sign, Verify, X509Certificate, checkPrime,
  checkPrimeSync, constants, createCipheriv, createDecipheriv, createDiffieHellman, createDiffieHellmanGroup, createECDH, createHash,
  createHmac, createPrivateKey, createPublicKey, createSecretKey, createSign, createVerify, diffieHellman, generateKey,
  generateKeyPair, generateKeyPairSync, generateKeySync, generatePrime, generatePrimeSync, getCipherInfo, getCiphers, getCurves,
  getDiffieHellman, getFips, getHashes, getRandomValues, hash, hkdf, hkdfSync, pbkdf2, pbkdf2Sync, privateDecrypt, privateEncrypt,
  publicDecrypt, publicEncrypt, randomBytes, randomFill, randomFillSync, randomInt, randomUUID, scrypt, scryptSync, secureHeapUsed,
  setEngine, setFips, sign, timingSafeEqual, verify, webcrypto,
  get subtle() {
    return webcrypto.subtle;
  },
};
