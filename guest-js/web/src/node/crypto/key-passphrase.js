// Private keys under a passphrase: PBES2 of PKCS #8 (RFC 8018, 6.2), and the headers of PEM that OpenSSL wrote before it.
import native from "elias:native";
import { concat } from "../../webidl/bytes.js";
import { Buffer } from "../buffer.js";
import { DerReader, INTEGER, NULL, OCTET_STRING, SEQUENCE, der, derOid, derSequence, derUnsigned } from "./der.js";
import { asBytes, checkedResult, cryptoError, fillRandom, opensslError } from "./support.js";

const PBES2 = "2a864886f70d01050d";
const PBKDF2 = "2a864886f70d01050c";
const HMACS = { "2a864886f70d0207": "SHA-1", "2a864886f70d0209": "SHA-256", "2a864886f70d020a": "SHA-384", "2a864886f70d020b": "SHA-512" };
/** Bytes of the keys of AES in CBC, by object identifier. */
const AES_CBC = { "608648016503040102": 16, "608648016503040116": 24, "60864801650304012a": 32 };
const ITERATIONS = 2048;

const badDecrypt = () => opensslError("bad decrypt");
const unsupported = (what) =>
  cryptoError(Error, "UNSUPPORTED_OPERATION", `The encryption of the key is not supported: ${what}. Use "openssl pkcs8 -topk8 -v2 aes-256-cbc".`);

const cbc = (encrypts, key, iv, data) => checkedResult(native.crypto.cipher(encrypts, ["CBC", iv, new Uint8Array(0), 0], key, data), badDecrypt);

/** PKCS #8 of an EncryptedPrivateKeyInfo. */
export function openPkcs8(bytes, passphrase) {
  const outer = new DerReader(bytes).enter();
  const scheme = outer.enter();
  if (scheme.oid() !== PBES2) throw unsupported("there is PBES2");
  const parameters = scheme.enter();
  const derivation = parameters.enter();
  if (derivation.oid() !== PBKDF2) throw unsupported("there is PBKDF2");
  const how = derivation.enter();
  const [salt, iterations] = [how.read(OCTET_STRING), how.small()];
  how.pass(INTEGER);
  const hash = how.tag === SEQUENCE ? HMACS[how.enter().oid()] : "SHA-1";
  const cipher = parameters.enter();
  const keyBytes = AES_CBC[cipher.oid()];
  if (hash === undefined || keyBytes === undefined) throw unsupported("there are AES in CBC and HMAC with SHA-1 and SHA-2");
  const iv = cipher.read(OCTET_STRING);
  const key = checkedResult(native.crypto.pbkdf2(hash, passphrase, salt, iterations, keyBytes), badDecrypt);
  return cbc(false, key, iv, outer.read(OCTET_STRING));
}

/** An EncryptedPrivateKeyInfo, as OpenSSL makes it. */
export function sealPkcs8(bytes, passphrase, cipher) {
  const bits = /^aes-?(128|192|256)(?:-cbc)?$/i.exec(cipher)?.[1];
  if (bits === undefined) throw unsupported("there are aes-128-cbc, aes-192-cbc and aes-256-cbc");
  const keyBytes = bits / 8;
  const [salt, iv] = [fillRandom(new Uint8Array(16)), fillRandom(new Uint8Array(16))];
  const key = checkedResult(native.crypto.pbkdf2("SHA-256", passphrase, salt, ITERATIONS, keyBytes), badDecrypt);
  const hmac = derSequence(derOid(Object.keys(HMACS)[1]), der(NULL));
  const derivation = derSequence(
    derOid(PBKDF2),
    derSequence(der(OCTET_STRING, salt), derUnsigned(Uint8Array.of(ITERATIONS >> 8, ITERATIONS & 0xff)), hmac),
  );
  const encryption = derSequence(derOid(Object.keys(AES_CBC).find((oid) => AES_CBC[oid] === keyBytes)), der(OCTET_STRING, iv));
  return derSequence(derSequence(derOid(PBES2), derSequence(derivation, encryption)), der(OCTET_STRING, cbc(true, key, iv, bytes)));
}

/** The content of a PEM block with the header DEK-Info, decrypted. */
export function openPem(bytes, info, passphrase) {
  const [, bits, hex] = /^AES-(128|192|256)-CBC,([\da-f]{32})$/i.exec(info) ?? [];
  if (bits === undefined) throw unsupported(`${info.split(",")[0]} is not there`);
  const iv = asBytes(Buffer.from(hex, "hex"));
  let [key, last] = [new Uint8Array(0), new Uint8Array(0)];
  while (key.length < bits / 8) {
    last = native.crypto.digest("MD5", concat([last, passphrase, iv.subarray(0, 8)]));
    key = concat([key, last]);
  }
  return cbc(false, key.slice(0, bits / 8), iv, bytes);
}
