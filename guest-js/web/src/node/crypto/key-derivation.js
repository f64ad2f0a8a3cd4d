// Key derivation: PBKDF2, HKDF and scrypt.
// https://nodejs.org/api/crypto.html#cryptoscryptpassword-salt-keylen-options-callback
import native from "elias:native";
import { checkFunction } from "../internal/errors.js";
import {
  HASH_BYTES, bytesFrom, checkInteger, checkObject, checkString, cryptoError, encoded, hashNamed, later, noSuchDigest, checkedResult, secretBytes,
} from "./support.js";

/** The synchronous function, and the one with a callback, from a function that checks the arguments and returns the work. */
function both(prepare) {
  const sync = (...args) => prepare(...args)();
  const withCallback = (...args) => {
    const callback = args.pop();
    const work = prepare(...args);
    checkFunction(callback, "callback");
    later(callback, work);
  };
  return { sync, later: withCallback };
}

function digestNamed(digest) {
  checkString(digest, "digest");
  const hash = hashNamed(digest);
  if (hash === undefined) throw noSuchDigest(digest);
  return hash;
}

const refused = (what, limits) => () => cryptoError(Error, "OPERATION_FAILED", `${what} failed: ${limits}`);

export const { later: pbkdf2, sync: pbkdf2Sync } = both((password, salt, iterations, keylen, digest) => {
  checkString(digest, "digest");
  const [secret, salted] = [bytesFrom(password, "password").slice(), bytesFrom(salt, "salt").slice()];
  checkInteger(iterations, "iterations", 1);
  checkInteger(keylen, "keylen");
  const hash = digestNamed(digest);
  return () => {
    if (keylen === 0) return encoded(new Uint8Array(0));
    const why = refused("PBKDF2", "a component has at most 10 million iterations and 16 MiB of output");
    return encoded(checkedResult(native.crypto.pbkdf2(hash, secret, salted, iterations, keylen), why));
  };
});

export const { later: hkdf, sync: hkdfSync } = both((digest, ikm, salt, info, keylen) => {
  checkString(digest, "digest");
  const secret = secretBytes(ikm, "ikm").slice();
  const [salted, context] = [bytesFrom(salt, "salt").slice(), bytesFrom(info, "info").slice()];
  checkInteger(keylen, "length");
  if (context.length > 1024) throw cryptoError(RangeError, "INVALID_KEYLEN", "Invalid key length");
  const hash = digestNamed(digest);
  if (keylen > 255 * HASH_BYTES[hash]) throw cryptoError(RangeError, "INVALID_KEYLEN", "Invalid key length");
  return () => (keylen === 0 ? new Uint8Array(0) : checkedResult(native.crypto.hkdf(hash, secret, salted, context, keylen), refused("HKDF", "its output is too long"))).buffer;
});

const badCost = (why = "") => cryptoError(RangeError, "INVALID_SCRYPT_PARAMS", `Invalid scrypt params${why}`);

/** One of two names of an option, and what it is without either. */
function costOf(options, short, long, usual) {
  const value = options[short] ?? options[long];
  if (value === undefined) return usual;
  checkInteger(value, options[short] === undefined ? long : short, 0, 2 ** 32 - 1);
  return value === 0 ? usual : value;
}

export const { later: scrypt, sync: scryptSync } = both((password, salt, keylen, options = {}) => {
  const [secret, salted] = [bytesFrom(password, "password").slice(), bytesFrom(salt, "salt").slice()];
  checkInteger(keylen, "keylen");
  checkObject(options, "options");
  const n = costOf(options, "N", "cost", 16384);
  const r = costOf(options, "r", "blockSize", 8);
  const p = costOf(options, "p", "parallelization", 1);
  const maxmem = options.maxmem || 32 << 20;
  if (n < 2 || (n & (n - 1)) !== 0) throw badCost();
  if (128 * r * (n + p + 2) > maxmem) throw badCost(": memory limit exceeded");
  return () => {
    if (keylen === 0) return encoded(new Uint8Array(0));
    const why = () => badCost(": a component has 64 MiB of memory for it and 16 MiB of output");
    return encoded(checkedResult(native.crypto.scrypt(secret, salted, [n, r, p], keylen), why));
  };
});
