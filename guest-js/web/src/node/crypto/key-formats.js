// The formats of keys: PKCS #1, PKCS #8, SEC 1, SubjectPublicKeyInfo, X.509 certificates, and JWK.
//
// Nothing here calls the host, so that a module may read its keys at its top level, which runs during the build. What the numbers of
// a key are is looked at when it is used.
import { concat } from "../../webidl/bytes.js";
import { Buffer } from "../buffer.js";
import {
  DerReader, INTEGER, NULL, OCTET_STRING, SEQUENCE, der, derBits, derOid, derSequence, derUnsigned,
} from "./der.js";
import { asBytes, cryptoError, opensslError, wrongValue } from "./support.js";

const RSA = "2a864886f70d010101";
const RSA_PSS = "2a864886f70d01010a";
const EC = "2a8648ce3d0201";
const OKP = { "2b6570": "Ed25519", "2b656e": "X25519" };
const CURVES = { "2a8648ce3d030107": "P-256", "2b81040022": "P-384", "2b81040023": "P-521" };
/** OpenSSL's names of the curves. */
export const CURVE_NAMES = { "P-256": "prime256v1", "P-384": "secp384r1", "P-521": "secp521r1" };
export const FIELD_BYTES = { "P-256": 32, "P-384": 48, "P-521": 66, Ed25519: 32, X25519: 32 };

/** The curve of NIST by one of its names; undefined if there is none. */
export function curveNamed(name) {
  if (name === "secp256r1") return "P-256";
  return Object.keys(CURVE_NAMES).find((curve) => curve === name || CURVE_NAMES[curve] === name);
}

const oidOf = (table, value) => Object.keys(table).find((oid) => table[oid] === value);

export const unsupportedKey = () => opensslError("unsupported", "DECODER routines", "1E08010C");
const noCurve = () => cryptoError(Error, "UNSUPPORTED_OPERATION", `The key's curve is not supported: there are ${Object.keys(FIELD_BYTES).join(", ")}`);

/**
 * A key without its object: `kind` (rsa, rsa-pss, ec, ed25519, x25519), `curve` if it has one, and `material`: for RSA the DER of
 * PKCS #8 or SubjectPublicKeyInfo, else the private scalar or the public point.
 */
const rsaKey = (material, kind = "rsa") => ({ kind, curve: undefined, material });
const curveKey = (curve, material) => ({ kind: curve.startsWith("P-") ? "ec" : curve.toLowerCase(), curve, material });

const rsaAlgorithm = () => derSequence(derOid(RSA), der(NULL));

/** The scalar of ECPrivateKey (RFC 5915), and the curve, if it names one. */
function readEcPrivate(reader) {
  if (reader.small() !== 1) throw unsupportedKey();
  const scalar = reader.read(OCTET_STRING);
  const curve = reader.tag === 0xa0 ? CURVES[reader.enter(0xa0).oid()] : undefined;
  return [scalar, curve];
}

function scalarOf(scalar, curve) {
  const missing = FIELD_BYTES[curve] - scalar.length;
  if (missing < 0) throw unsupportedKey();
  return concat([new Uint8Array(missing), scalar]);
}

/** The kind of an AlgorithmIdentifier: RSA's, or a curve. */
function readAlgorithm(reader) {
  const oid = reader.oid();
  if (oid === RSA) return "rsa";
  if (oid === RSA_PSS) return "rsa-pss";
  const curve = oid === EC ? CURVES[reader.oid()] : OKP[oid];
  if (curve === undefined) throw noCurve();
  return curve;
}

export function readPkcs8(bytes) {
  const reader = new DerReader(bytes).enter();
  reader.read(INTEGER);
  const algorithm = readAlgorithm(reader.enter());
  const inner = reader.read(OCTET_STRING);
  if (algorithm === "rsa") return rsaKey(bytes.slice());
  if (algorithm === "rsa-pss") return { ...readPkcs1Private(inner), kind: algorithm };
  if (!algorithm.startsWith("P-")) return curveKey(algorithm, new DerReader(inner).read(OCTET_STRING).slice());
  return curveKey(algorithm, scalarOf(readEcPrivate(new DerReader(inner).enter())[0], algorithm));
}

export function readSpki(bytes) {
  const reader = new DerReader(bytes).enter();
  const algorithm = readAlgorithm(reader.enter());
  const inner = reader.bits();
  if (algorithm === "rsa") return rsaKey(bytes.slice());
  if (algorithm === "rsa-pss") return { ...readPkcs1Public(inner), kind: algorithm };
  return curveKey(algorithm, inner.slice());
}

export function readPkcs1Private(bytes) {
  new DerReader(bytes).enter().read(INTEGER);
  return rsaKey(derSequence(derUnsigned(Uint8Array.of(0)), rsaAlgorithm(), der(OCTET_STRING, bytes)));
}

export function readPkcs1Public(bytes) {
  new DerReader(bytes).enter().read(INTEGER);
  return rsaKey(derSequence(rsaAlgorithm(), derBits(bytes)));
}

export function readSec1(bytes) {
  const [scalar, curve] = readEcPrivate(new DerReader(bytes).enter());
  if (curve === undefined) throw noCurve();
  return curveKey(curve, scalarOf(scalar, curve));
}

/** The public key of a certificate (RFC 5280, 4.1). */
export function readCertificate(bytes) {
  const certificate = new DerReader(bytes).enter().enter();
  certificate.pass(0xa0);
  for (const tag of [INTEGER, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE]) certificate.read(tag);
  return readSpki(certificate.whole(SEQUENCE));
}

/** RSAPrivateKey or RSAPublicKey (RFC 8017, A.1) inside of the material of an RSA key. */
export function pkcs1Of(key, isPrivate) {
  const reader = new DerReader(key.material).enter();
  if (!isPrivate) {
    reader.read(SEQUENCE);
    return reader.bits();
  }
  reader.read(INTEGER);
  reader.read(SEQUENCE);
  return reader.read(OCTET_STRING);
}

/** n and e, and of a private key d, p, q, dp, dq and qi. */
export function rsaNumbers(key, isPrivate) {
  const reader = new DerReader(pkcs1Of(key, isPrivate)).enter();
  if (isPrivate) reader.read(INTEGER);
  return Array.from({ length: isPrivate ? 8 : 2 }, () => reader.unsigned());
}

/** The public key of a private one of RSA. */
export const rsaPublicOf = (key) => ({
  ...readPkcs1Public(derSequence(...rsaNumbers(key, true).slice(0, 2).map(derUnsigned))),
  kind: key.kind,
});

export function sec1Of(curve, scalar, point) {
  const name = der(0xa0, derOid(oidOf(CURVES, curve)));
  return derSequence(derUnsigned(Uint8Array.of(1)), der(OCTET_STRING, scalar), name, der(0xa1, derBits(point)));
}

/** PKCS #8 of a private key; `point` is the public one of a curve of NIST. */
export function pkcs8Of(key, point) {
  const { curve, material } = key;
  if (curve === undefined) return material;
  const version = derUnsigned(Uint8Array.of(0));
  if (key.kind !== "ec") return derSequence(version, derSequence(derOid(oidOf(OKP, curve))), der(OCTET_STRING, der(OCTET_STRING, material)));
  const inner = derSequence(derUnsigned(Uint8Array.of(1)), der(OCTET_STRING, material), der(0xa1, derBits(point)));
  return derSequence(version, derSequence(derOid(EC), derOid(oidOf(CURVES, curve))), der(OCTET_STRING, inner));
}

export function spkiOf({ kind, curve, material }) {
  if (curve === undefined) return material;
  const algorithm = kind === "ec" ? derSequence(derOid(EC), derOid(oidOf(CURVES, curve))) : derSequence(derOid(oidOf(OKP, curve)));
  return derSequence(algorithm, derBits(material));
}

const MEMBERS = ["n", "e", "d", "p", "q", "dp", "dq", "qi"];
const badJwk = () => cryptoError(TypeError, "INVALID_JWK", "Invalid JWK data");

function part(jwk, member, length = undefined) {
  const value = jwk[member];
  if (typeof value !== "string") throw badJwk();
  const bytes = asBytes(Buffer.from(value, "base64url"));
  if (length !== undefined && bytes.length !== length) throw badJwk();
  return bytes;
}

/** A JWK as a private key, or as the public one. */
export function readJwk(jwk, isPrivate) {
  if (isPrivate && jwk.d === undefined && ["RSA", "EC", "OKP"].includes(jwk.kty)) throw badJwk();
  if (jwk.kty === "RSA") {
    const numbers = MEMBERS.slice(0, isPrivate ? 8 : 2).map((member) => derUnsigned(part(jwk, member)));
    return isPrivate ? readPkcs1Private(derSequence(derUnsigned(Uint8Array.of(0)), ...numbers)) : readPkcs1Public(derSequence(...numbers));
  }
  const size = FIELD_BYTES[jwk.crv];
  if (jwk.kty === "EC") {
    if (curveNamed(jwk.crv) !== jwk.crv) throw cryptoError(TypeError, "INVALID_CURVE", `Invalid EC curve name. There are ${Object.keys(CURVE_NAMES).join(", ")}`);
    const point = concat([Uint8Array.of(4), part(jwk, "x", size), part(jwk, "y", size)]);
    return curveKey(jwk.crv, isPrivate ? part(jwk, "d", size) : point);
  }
  if (jwk.kty === "OKP") {
    if (!Object.values(OKP).includes(jwk.crv)) throw wrongValue("key.crv", jwk.crv, "must be one of: 'Ed25519', 'X25519'");
    return curveKey(jwk.crv, part(jwk, isPrivate ? "d" : "x", size));
  }
  throw wrongValue("key.kty", jwk.kty, "must be one of: 'RSA', 'EC', 'OKP'");
}

const base64url = (bytes) => Buffer.from(bytes).toString("base64url");

/** The JWK of a key; `point` is its public one if it is private and has a curve. */
export function jwkOf(key, isPrivate, point) {
  if (key.kind === "rsa-pss") throw cryptoError(Error, "JWK_UNSUPPORTED_KEY_TYPE", "Unsupported JWK Key Type.");
  if (key.curve === undefined) {
    return { kty: "RSA", ...Object.fromEntries(rsaNumbers(key, isPrivate).map((number, at) => [MEMBERS[at], base64url(number)])) };
  }
  const d = isPrivate ? { d: base64url(key.material) } : {};
  const shown = isPrivate ? point : key.material;
  if (key.kind !== "ec") return { crv: key.curve, ...d, x: base64url(shown), kty: "OKP" };
  const size = FIELD_BYTES[key.curve];
  return { kty: "EC", x: base64url(shown.subarray(1, 1 + size)), y: base64url(shown.subarray(1 + size)), crv: key.curve, ...d };
}
