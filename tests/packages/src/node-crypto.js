// What node:crypto makes of fixed inputs, and what it makes of its own outputs.
import { Buffer } from "node:buffer";
import crypto, { createHash, webcrypto } from "node:crypto";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";
import * as pems from "./fixtures/keys.js";

export const requests = ["/hashes", "/random", "/derived", "/ciphers", "/keys", "/signatures", "/rsa", "/agreement", "/generated", "/errors"];

// Keys can be read at the top level.
const privates = Object.fromEntries(["rsa", "ec", "ec384", "ec521", "ed", "x"].map((name) => [name, crypto.createPrivateKey(pems[`${name}Pem`])]));
const jwk = { kty: "EC", crv: "P-256", x: "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", y: "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM" };
const verifier = crypto.createPublicKey({ key: jwk, format: "jwk" });
const HASHES = ["md5", "sha1", "sha256", "sha384", "sha512"];

async function hashes() {
  const one = createHash("sha256").update("a").update(Buffer.from("b")).update("ff00", "hex");
  const copy = one.copy().update("c");
  const piped = createHash("sha1");
  await pipeline(Readable.from(["one", "two"]), piped);
  const hmac = crypto.createHmac("sha256", crypto.createSecretKey("key", "utf8"));
  hmac.write("data");
  hmac.end("more");
  return {
    each: HASHES.map((name) => [createHash(name).update("text").digest("hex"), crypto.createHmac(name, "key").update("text").digest("base64")]),
    upper: createHash("SHA256").digest("base64url"),
    rsa: createHash("RSA-SHA512").update("ü", "latin1").digest("latin1").length,
    copies: [one.digest("hex"), copy.digest("hex")],
    streamed: piped.read().toString("hex"),
    hmac: (await hmac.toArray()).map((part) => part.toString("hex")),
    oneShot: crypto.hash("sha1", "text"),
    known: HASHES.every((name) => crypto.getHashes().includes(name)),
    keccak: ["sha3-224", "SHA3-256", "sha3-384", "sha3-512", "shake128"].map((name) => createHash(name).update("text").digest("hex")),
    shake: [0, 7, 200].map((outputLength) => createHash("shake256", { outputLength }).update("text").digest("base64")),
    shakeCopied: createHash("shake128").update("a").copy({ outputLength: 5 }).update("b").digest("hex"),
    instance: createHash("md5") instanceof crypto.Hash,
    long: createHash("md5").update("x".repeat(100_000)).digest("hex"),
    keyTooLong: crypto.createHmac("sha512", Buffer.alloc(300, 7)).update("").digest("hex"),
  };
}

async function random() {
  const filled = crypto.randomFillSync(new Uint32Array(4), 1, 2);
  const numbers = Array.from({ length: 200 }, () => crypto.randomInt(3, 8));
  return {
    sizes: [crypto.randomBytes(0).length, crypto.randomBytes(100_000).length, (await promisify(crypto.randomBytes)(5)).length],
    buffer: Buffer.isBuffer(crypto.randomBytes(1)),
    different: !crypto.randomBytes(16).equals(crypto.randomBytes(16)),
    filled: [filled[0], filled[3], filled[1] + filled[2] > 0],
    numbers: [Math.min(...numbers), Math.max(...numbers), await promisify(crypto.randomInt)(1)],
    uuid: /^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/.test(crypto.randomUUID()),
    equal: [crypto.timingSafeEqual(Buffer.from("ab"), Buffer.from("ab")), crypto.timingSafeEqual(Buffer.from("ab"), Buffer.from("ac"))],
    web: webcrypto.getRandomValues(new Uint8Array(3)).length,
    subtle: Buffer.from(await webcrypto.subtle.digest("SHA-256", Buffer.from("a"))).toString("hex"),
  };
}

async function derived() {
  return {
    pbkdf2: HASHES.map((name) => crypto.pbkdf2Sync("password", "salt", 100, 33, name).toString("hex")),
    pbkdf2Later: (await promisify(crypto.pbkdf2)("p", Buffer.from("s"), 1, 20, "sha1")).toString("hex"),
    hkdf: Buffer.from(crypto.hkdfSync("sha256", "key", "salt", "info", 100)).toString("hex"),
    hkdfLater: Object.prototype.toString.call(await promisify(crypto.hkdf)("sha512", Buffer.from("k"), "", "", 3)),
    scrypt: crypto.scryptSync("password", "salt", 64).toString("hex"),
    scryptCheap: (await promisify(crypto.scrypt)("password", "NaCl", 64, { N: 1024, r: 8, p: 16 })).toString("hex"),
    scryptMore: crypto.scryptSync("p", "s", 8, { cost: 2 ** 15, maxmem: 64 * 2 ** 20 }).toString("hex"),
  };
}

async function ciphers() {
  const text = "The quick brown fox jumps over the lazy dog; ünïcödé. ".repeat(3);
  const each = [];
  for (const bits of [128, 192, 256]) {
    for (const mode of ["cbc", "ctr", "ecb", "gcm"]) {
      const key = Buffer.alloc(bits / 8, 3);
      const iv = mode === "ecb" ? null : Buffer.alloc(mode === "gcm" ? 12 : 16, 255);
      const cipher = crypto.createCipheriv(`aes-${bits}-${mode}`, key, iv);
      if (mode === "gcm") cipher.setAAD(Buffer.from("additional"));
      let sealed = "";
      // Pieces of all sizes, and what came of each.
      const pieces = [];
      for (let at = 0, size = 1; at < text.length; at += size, size += 7) {
        const piece = cipher.update(text.slice(at, at + size), "utf8", "hex");
        pieces.push(piece.length);
        sealed += piece;
      }
      sealed += cipher.final("hex");
      const decipher = crypto.createDecipheriv(`aes-${bits}-${mode}`, key, iv);
      if (mode === "gcm") decipher.setAAD(Buffer.from("additional")).setAuthTag(cipher.getAuthTag());
      let opened = "";
      for (let at = 0; at < sealed.length; at += 34) opened += decipher.update(sealed.slice(at, at + 34), "hex", "utf8");
      opened += decipher.final("utf8");
      each.push([bits, mode, sealed, pieces, mode === "gcm" && cipher.getAuthTag().toString("hex"), opened === text]);
    }
  }
  const plain = crypto.createCipheriv("aes-128-cbc", "k".repeat(16), "i".repeat(16)).setAutoPadding(false);
  const unpadded = Buffer.concat([plain.update(Buffer.alloc(48, 9)), plain.final()]);
  const back = crypto.createDecipheriv("aes-128-cbc", "k".repeat(16), "i".repeat(16)).setAutoPadding(false);
  const streamed = await Readable.from([Buffer.from(text), Buffer.from(text)])
    .pipe(crypto.createCipheriv("AES-256-CBC", Buffer.alloc(32), Buffer.alloc(16)))
    .pipe(crypto.createDecipheriv("aes256", Buffer.alloc(32), Buffer.alloc(16)))
    .toArray();
  const long = crypto.createCipheriv("aes-128-gcm", Buffer.alloc(16), Buffer.alloc(16, 1), { authTagLength: 12 });
  const base64 = crypto.createCipheriv("aes-128-ctr", Buffer.alloc(16), Buffer.alloc(16));
  return {
    each,
    unpadded: unpadded.toString("hex"),
    back: Buffer.concat([back.update(unpadded.subarray(0, 20)), back.update(unpadded.subarray(20)), back.final()]).toString("hex"),
    streamed: Buffer.concat(streamed).toString() === text + text,
    long: [long.update("one", "utf8", "hex"), long.update("two", "utf8", "hex"), long.final("hex"), long.getAuthTag().toString("hex")],
    base64: [base64.update("abcd", "utf8", "base64"), base64.update("e", "utf8", "base64"), base64.final("base64")],
    info: [crypto.getCipherInfo("aes-128-gcm"), crypto.getCipherInfo("aes-256-cbc"), crypto.getCipherInfo(904), crypto.getCipherInfo("none") ?? null],
  };
}

function keys() {
  const described = Object.entries(privates).map(([name, key]) => {
    const other = crypto.createPublicKey(key);
    const details = { ...key.asymmetricKeyDetails };
    if (details.publicExponent !== undefined) details.publicExponent = `${details.publicExponent}`;
    return {
      name, type: [key.type, other.type, key.asymmetricKeyType], details,
      pem: [key.export({ format: "pem", type: "pkcs8" }), other.export({ format: "pem", type: "spki" })],
      jwk: [key.export({ format: "jwk" }), other.export({ format: "jwk" })],
      back: [
        crypto.createPrivateKey({ key: key.export({ format: "jwk" }), format: "jwk" }).equals(key),
        crypto.createPublicKey({ key: other.export({ format: "der", type: "spki" }), format: "der", type: "spki" }).equals(other),
        key.equals(other),
      ],
    };
  });
  const secret = crypto.createSecretKey(Buffer.from("secret"));
  return {
    described,
    others: ["rsa1", "sec1"].map((name) => crypto.createPrivateKey(pems[`${name}Pem`]).export({ format: "pem", type: "pkcs8" })),
    pkcs1: [privates.rsa.export({ format: "pem", type: "pkcs1" }), crypto.createPublicKey(privates.rsa).export({ format: "pem", type: "pkcs1" })],
    sec1: privates.ec384.export({ format: "pem", type: "sec1" }),
    certificate: crypto.createPublicKey(pems.certPem).equals(crypto.createPublicKey(pems.rsaPem)),
    passphrase: ["enc", "dek"].map((name) => crypto.createPrivateKey({ key: pems[`${name}Pem`], passphrase: "secret" }).equals(privates.ec)),
    sealed: crypto.createPrivateKey({ key: privates.rsa.export({ format: "pem", type: "pkcs8", cipher: "aes-192-cbc", passphrase: "x" }), passphrase: "x" }).equals(privates.rsa),
    secret: [secret.type, secret.symmetricKeySize, secret.export().toString(), secret.export({ format: "jwk" }), secret.equals(crypto.createSecretKey(Buffer.from("secret")))],
    tag: `${secret}`,
    verifier: verifier.export({ format: "jwk" }),
  };
}

function signatures() {
  const data = Buffer.from("what is signed");
  const { RSA_PKCS1_PSS_PADDING, RSA_PSS_SALTLEN_DIGEST, RSA_PSS_SALTLEN_MAX_SIGN } = crypto.constants;
  const each = Object.entries(privates).filter(([name]) => name !== "x").map(([name, key]) => {
    const algorithm = name === "ed" ? null : "sha256";
    const signature = crypto.sign(algorithm, data, key);
    return [
      name,
      crypto.verify(algorithm, data, crypto.createPublicKey(key), signature),
      crypto.verify(algorithm, Buffer.from("other"), crypto.createPublicKey(key), signature),
      name.startsWith("ec") ? crypto.sign("sha512", data, { key, dsaEncoding: "ieee-p1363" }).length : signature.length,
      name === "rsa" || name === "ed" ? signature.toString("base64") : "random",
    ];
  });
  const salts = [RSA_PSS_SALTLEN_DIGEST, RSA_PSS_SALTLEN_MAX_SIGN, 0, 20, undefined].map((saltLength) => {
    const how = { padding: RSA_PKCS1_PSS_PADDING, ...(saltLength === undefined ? {} : { saltLength }) };
    const signature = crypto.sign("sha384", data, { key: pems.rsaPem, ...how });
    return [undefined, saltLength, 33].map((length) => crypto.verify("sha384", data, { key: pems.certPem, padding: how.padding, ...(length === undefined ? {} : { saltLength: length }) }, signature));
  });
  const signer = crypto.createSign("RSA-SHA512");
  signer.write("what is ");
  signer.end("signed");
  const p1363 = crypto.createSign("SHA256").update(data).sign({ key: pems.sec1Pem, dsaEncoding: "ieee-p1363" }, "base64");
  return {
    each,
    salts,
    streamed: signer.sign(pems.rsa1Pem, "hex"),
    p1363: crypto.createVerify("sha256").update(data).verify({ key: crypto.createPublicKey(privates.ec), dsaEncoding: "ieee-p1363" }, p1363, "base64"),
    wrongForm: crypto.createVerify("sha256").update(data).verify(crypto.createPublicKey(privates.ec), p1363, "base64"),
    sha1: crypto.createSign("sha1").update("x").sign(privates.rsa, "base64"),
    garbage: crypto.createVerify("sha1").update("x").verify({ key: pems.certPem, padding: RSA_PKCS1_PSS_PADDING }, Buffer.alloc(256, 1)),
  };
}

function rsa() {
  const pub = crypto.createPublicKey(privates.rsa);
  const { RSA_PKCS1_PADDING } = crypto.constants;
  const labelled = { key: pub, oaepHash: "sha256", oaepLabel: Buffer.from("label") };
  return {
    oaep: crypto.privateDecrypt(privates.rsa, crypto.publicEncrypt(pub, Buffer.from("text"))).toString(),
    labelled: crypto.privateDecrypt({ ...labelled, key: privates.rsa }, crypto.publicEncrypt(labelled, Buffer.from("text"))).toString(),
    pkcs1: crypto.publicEncrypt({ key: pems.certPem, padding: RSA_PKCS1_PADDING }, Buffer.from("text")).length,
  };
}

function agreement() {
  const [alice, bob] = [crypto.createECDH("prime256v1"), crypto.createECDH("prime256v1")];
  alice.setPrivateKey("01".repeat(32), "hex");
  bob.generateKeys();
  const secret = alice.computeSecret(bob.getPublicKey("base64", "compressed"), "base64", "hex");
  const [one, two] = ["P-384", "secp521r1"].map((namedCurve) => crypto.generateKeyPairSync("ec", { namedCurve }));
  const x = crypto.generateKeyPairSync("x25519");
  return {
    same: secret === bob.computeSecret(alice.getPublicKey()).toString("hex"),
    forms: ["compressed", "uncompressed", "hybrid"].map((form) => alice.getPublicKey("hex", form)),
    converted: crypto.ECDH.convertKey(alice.getPublicKey("hex", "compressed"), "prime256v1", "hex", "base64"),
    x25519: crypto.diffieHellman({ privateKey: privates.x, publicKey: x.publicKey }).equals(
      crypto.diffieHellman({ privateKey: x.privateKey, publicKey: crypto.createPublicKey(privates.x) })),
    p384: crypto.diffieHellman({ privateKey: one.privateKey, publicKey: one.publicKey }).length,
    p521: crypto.diffieHellman({ privateKey: two.privateKey, publicKey: two.publicKey }).length,
    curves: ["prime256v1", "secp384r1", "secp521r1"].every((name) => crypto.getCurves().includes(name)),
  };
}

async function generated() {
  const pem = { publicKeyEncoding: { type: "spki", format: "pem" }, privateKeyEncoding: { type: "pkcs8", format: "pem" } };
  const rsaPair = crypto.generateKeyPairSync("rsa", { modulusLength: 1024, ...pem });
  const ec = await promisify(crypto.generateKeyPair)("ec", { namedCurve: "prime256v1" });
  const ed = crypto.generateKeyPairSync("ed25519", { publicKeyEncoding: { format: "jwk" }, privateKeyEncoding: { format: "der", type: "pkcs8" } });
  return {
    rsa: [rsaPair.publicKey.split("\n")[0], rsaPair.privateKey.split("\n")[0], crypto.createPublicKey(rsaPair.privateKey).export(pem.publicKeyEncoding) === rsaPair.publicKey],
    ec: [ec.publicKey.type, ec.privateKey.type, crypto.createPublicKey(ec.privateKey).equals(ec.publicKey)],
    ed: [ed.publicKey.crv, ed.privateKey.length],
    called: await new Promise((resolve) => crypto.generateKeyPair("x25519", (error, publicKey, privateKey) => resolve([error ?? null, publicKey.type, privateKey.type]))),
    secret: [crypto.generateKeySync("hmac", { length: 129 }).symmetricKeySize, (await promisify(crypto.generateKey)("aes", { length: 192 })).export().length],
    from: crypto.KeyObject.from(await webcrypto.subtle.importKey("raw", Buffer.from("key"), { name: "HMAC", hash: "SHA-256" }, true, ["sign"])).export().toString(),
  };
}

function errors() {
  const zeros = (length) => Buffer.alloc(length);
  const tries = [
    () => createHash(),
    () => createHash("md5").update(5),
    () => { const hash = createHash("md5"); hash.digest(); hash.digest(); },
    () => { const hash = createHash("md5"); hash.digest(); hash.update("x"); },
    () => crypto.createHmac("foo", "k"),
    () => crypto.createHmac("md5"),
    () => crypto.createCipheriv("aes-128-cbc", zeros(15), zeros(16)),
    () => crypto.createCipheriv("aes-128-cbc", zeros(16), zeros(15)),
    () => crypto.createCipheriv("aes-128-cbc", zeros(16), null),
    () => { const one = crypto.createDecipheriv("aes-128-cbc", zeros(16), zeros(16)); one.update(zeros(16)); one.final(); },
    () => { const one = crypto.createDecipheriv("aes-128-cbc", zeros(16), zeros(16)); one.update(zeros(15)); one.final(); },
    () => { const one = crypto.createCipheriv("aes-128-cbc", zeros(16), zeros(16)).setAutoPadding(false); one.update(zeros(15)); one.final(); },
    () => { const one = crypto.createCipheriv("aes-128-cbc", zeros(16), zeros(16)); one.final(); one.final(); },
    () => { const one = crypto.createCipheriv("aes-128-cbc", zeros(16), zeros(16)); one.final(); one.update("x"); },
    () => { const one = crypto.createDecipheriv("aes-128-gcm", zeros(16), zeros(12)); one.setAuthTag(zeros(16)); one.update("x"); one.final(); },
    () => { const one = crypto.createDecipheriv("aes-128-gcm", zeros(16), zeros(12)); one.update("x"); one.final(); },
    () => crypto.createDecipheriv("aes-128-gcm", zeros(16), zeros(12)).setAuthTag(zeros(3)),
    () => crypto.createCipheriv("aes-128-gcm", zeros(16), zeros(12)).getAuthTag(),
    () => crypto.timingSafeEqual(zeros(1), zeros(2)),
    () => crypto.timingSafeEqual("a", zeros(2)),
    () => crypto.randomBytes(-1),
    () => crypto.randomBytes("x"),
    () => crypto.randomInt(5, 5),
    () => crypto.randomInt(2 ** 49),
    () => crypto.randomInt(1.5),
    () => crypto.pbkdf2Sync("a", "b", 0, 1, "md5"),
    () => crypto.pbkdf2Sync("a", "b", 1, 1, "foo"),
    () => crypto.pbkdf2Sync("a", "b", 1, 1),
    () => crypto.hkdfSync("foo", "a", "b", "c", 1),
    () => crypto.hkdfSync("sha256", "a", "b", "c", 255 * 32 + 1),
    () => crypto.scryptSync("a", "b", 4, { N: 3 }),
    () => crypto.scryptSync("a", "b", -4),
    () => crypto.createPublicKey("x"),
    () => crypto.createPublicKey(5),
    () => crypto.createSecretKey(5),
    () => crypto.createSign("sha256").sign(),
    () => crypto.createSign("sha256").sign("x"),
    () => crypto.createSign("sha256").sign(crypto.createPublicKey(privates.ec)),
    () => crypto.createPublicKey(crypto.createPublicKey(privates.ec)),
    () => crypto.generateKeyPairSync("rsa", {}),
    () => privates.ec.export(),
    () => privates.ec.export({ format: "pem" }),
    () => privates.ec.export({ format: "pem", type: "spki" }),
    () => privates.ec.export({ format: "pem", type: "pkcs1" }),
    () => crypto.createPrivateKey({ key: pems.encPem, passphrase: "wrong" }),
    () => crypto.privateDecrypt(privates.rsa, zeros(256)),
    () => crypto.publicEncrypt(pems.certPem, zeros(250)),
  ];
  return tries.map((attempt, at) => {
    try {
      return [at, `${attempt()}`];
    } catch (error) {
      return [at, error.name, error.code ?? null, error.message];
    }
  });
}

const answers = { hashes, random, derived, ciphers, keys, signatures, rsa, agreement, generated, errors };

export default {
  async fetch(request) {
    return Response.json(await answers[new URL(request.url).pathname.slice(1)]());
  },
};
