// Generation of keys and key pairs. https://nodejs.org/api/crypto.html#cryptogeneratekeypairtype-options-callback
import native from "elias:native";
import { checkFunction } from "../internal/errors.js";
import { badCurve } from "./key-agreement.js";
import { curveNamed } from "./key-formats.js";
import { exported, keyObject, publicPartsOf } from "./key.js";
import { checkInteger, checkObject, checkString, checkedResult, cryptoError, fillRandom, wrongValue } from "./support.js";

const TYPES = ["rsa", "rsa-pss", "ec", "ed25519", "x25519"];
const KEY_BYTES_MAX = 2 ** 24;

function privateParts(type, options) {
  if (type === "ed25519" || type === "x25519") {
    const curve = type === "ed25519" ? "Ed25519" : "X25519";
    return () => ({ kind: type, curve, material: native.crypto.generate(curve)[0] });
  }
  checkObject(options, "options");
  if (type === "ec") {
    checkString(options.namedCurve, "options.namedCurve");
    const curve = curveNamed(options.namedCurve);
    if (curve === undefined) throw badCurve();
    return () => ({ kind: type, curve, material: native.crypto.generate(curve)[0] });
  }
  const { modulusLength, publicExponent = 0x10001 } = options;
  checkInteger(modulusLength, "options.modulusLength", 0, 2 ** 32 - 1);
  checkInteger(publicExponent, "options.publicExponent", 0, 2 ** 32 - 1);
  const exponent = Uint8Array.of(publicExponent >>> 24, publicExponent >>> 16, publicExponent >>> 8, publicExponent);
  const refused = () => cryptoError(Error, "OPERATION_FAILED", "Such an RSA key cannot be made in a component: 1,024 to 8,192 bits, a multiple of 8, and an exponent of 3 or 65,537");
  return () => ({ kind: type, curve: undefined, material: checkedResult(native.crypto.rsaGenerate(modulusLength, exponent), refused) });
}

/** A function that makes a pair, in the formats of the options. */
function pairMaker(type, options) {
  checkString(type, "type");
  if (!TYPES.includes(type)) throw wrongValue("type", type, `must be a supported key type (${TYPES.join(", ")})`);
  const make = privateParts(type, options);
  const { publicKeyEncoding, privateKeyEncoding } = options ?? {};
  if (publicKeyEncoding !== undefined) checkObject(publicKeyEncoding, "options.publicKeyEncoding");
  if (privateKeyEncoding !== undefined) checkObject(privateKeyEncoding, "options.privateKeyEncoding");
  return () => {
    const parts = make();
    const [privateKey, publicKey] = [keyObject("private", parts), keyObject("public", publicPartsOf(parts))];
    const give = (key, encoding, types, name) => (encoding === undefined ? key : exported(key, encoding, types, name));
    return {
      publicKey: give(publicKey, publicKeyEncoding, ["spki", "pkcs1"], "options.publicKeyEncoding"),
      privateKey: give(privateKey, privateKeyEncoding, ["pkcs8", "pkcs1", "sec1"], "options.privateKeyEncoding"),
    };
  };
}

export const generateKeyPairSync = (type, options = undefined) => pairMaker(type, options)();

/** Calls back with what `make` gives, spread by `spread`. */
function deliver(callback, make, spread) {
  let outcome;
  try {
    outcome = [null, ...spread(make())];
  } catch (error) {
    outcome = [error];
  }
  queueMicrotask(() => callback(...outcome));
}

export function generateKeyPair(type, options, callback = options) {
  const make = pairMaker(type, typeof options === "function" ? undefined : options);
  checkFunction(callback, "callback");
  deliver(callback, make, ({ publicKey, privateKey }) => [publicKey, privateKey]);
}

// util.promisify gives both keys.
Object.defineProperty(generateKeyPair, Symbol.for("nodejs.util.promisify.custom"), {
  value: (type, options) => new Promise((resolve, reject) => {
    generateKeyPair(type, options, (error, publicKey, privateKey) => (error ? reject(error) : resolve({ publicKey, privateKey })));
  }),
});

function keyMaker(type, options) {
  checkString(type, "type");
  checkObject(options, "options");
  if (type === "aes") {
    if (![128, 192, 256].includes(options.length)) throw wrongValue("options.length", options.length, "must be one of: 128, 192, 256");
  } else if (type === "hmac") {
    checkInteger(options.length, "options.length", 8, KEY_BYTES_MAX * 8);
  } else {
    throw wrongValue("type", type, "must be a supported key type");
  }
  return () => keyObject("secret", fillRandom(new Uint8Array(Math.floor(options.length / 8))));
}

export const generateKeySync = (type, options) => keyMaker(type, options)();

export function generateKey(type, options, callback) {
  const make = keyMaker(type, options);
  checkFunction(callback, "callback");
  deliver(callback, make, (key) => [key]);
}
