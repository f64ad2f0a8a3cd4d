// AES in the modes CBC, CTR, ECB and GCM. https://nodejs.org/api/crypto.html#class-cipheriv
//
// The natives work on wholes. CBC and CTR go on from chunk to chunk, as their modes allow; GCM's texts come out at once by its
// counter mode, and its tag is made of the whole at the end.
import native from "elias:native";
import stream from "../../vendor/node/readable-stream.js";
import { concat } from "../../webidl/bytes.js";
import { StringDecoder } from "../string_decoder.js";
import {
  Chunks, EMPTY, bytesFrom, checkBytes, checkString, cryptoError, dataBytes, encoded, lazyStream, opensslError, secretBytes,
} from "./support.js";

const LazyTransform = lazyStream(stream.Transform, ["_readableState", "_writableState"]);
const BLOCK = 16;
const KEY_BITS = [128, 192, 256];
const MODES = { cbc: [16, 16], ctr: [1, 16], ecb: [16, 0], gcm: [1, 12] };
const NIDS = { cbc: [419, 423, 427], ctr: [904, 905, 906], ecb: [418, 422, 426], gcm: [895, 898, 901] };
const TAGS = [4, 8, 12, 13, 14, 15, 16];
/** GCM's native has vectors of these lengths. */
const GCM_VECTORS = [8, 12, 16, 24, 32, 64];

/** Mode and bytes of the key of a cipher by its name; undefined if there is none. */
function cipherNamed(name) {
  const alias = /^aes(128|192|256)$/i.exec(name);
  const [, bits, mode] = alias === null ? (/^(?:id-)?aes-?(128|192|256)-?(cbc|ctr|ecb|gcm)$/i.exec(name) ?? []) : [name, alias[1], "cbc"];
  return bits === undefined ? undefined : { mode: mode.toLowerCase(), keyBytes: bits / 8 };
}

export const getCiphers = () => KEY_BITS.flatMap((bits) => Object.keys(MODES).map((mode) => `aes-${bits}-${mode}`));

export function getCipherInfo(nameOrNid, options = {}) {
  if (typeof nameOrNid === "number") {
    const name = getCiphers().find((one) => getCipherInfo(one).nid === nameOrNid);
    return name === undefined ? undefined : getCipherInfo(name, options);
  }
  checkString(nameOrNid, "nameOrNid");
  const found = cipherNamed(nameOrNid);
  if (found === undefined) return undefined;
  const { mode, keyBytes } = found;
  const [blockSize, usual] = MODES[mode];
  const ivLength = options.ivLength ?? usual;
  if (options.keyLength !== undefined && options.keyLength !== keyBytes) return undefined;
  if (mode !== "gcm" && ivLength !== usual) return undefined;
  const name = mode === "gcm" ? `id-aes${keyBytes * 8}-gcm` : `aes-${keyBytes * 8}-${mode}`;
  const nid = NIDS[mode][KEY_BITS.indexOf(keyBytes * 8)];
  return { mode, name, nid, blockSize, ...(ivLength > 0 ? { ivLength } : {}), keyLength: keyBytes };
}

/** The result of the native cipher. It does not fail here, since the arguments were checked. */
function run(encrypts, how, key, data) {
  const given = native.crypto.cipher(encrypts, how, key, data);
  if (typeof given === "string") throw opensslError("bad decrypt");
  return given;
}

const lastBlock = (bytes) => bytes.slice(bytes.length - BLOCK);

/** CBC of whole blocks, without padding: the native pads with one more block, which is dropped, or made up for it to find. */
function cbcBlocks(encrypts, key, iv, data) {
  if (data.length === 0) return EMPTY;
  if (encrypts) return run(true, ["CBC", iv, EMPTY, 0], key, data).subarray(0, data.length);
  const padding = run(true, ["CBC", lastBlock(data), EMPTY, 0], key, EMPTY);
  return run(false, ["CBC", iv, EMPTY, 0], key, concat([data, padding]));
}

function ecbBlocks(encrypts, key, data) {
  const zero = new Uint8Array(BLOCK);
  const out = new Uint8Array(data.length);
  if (encrypts) {
    for (let at = 0; at < data.length; at += BLOCK) out.set(cbcBlocks(true, key, zero, data.subarray(at, at + BLOCK)), at);
    return out;
  }
  // CBC mixes into each block the encrypted one before it; the same again takes that out.
  out.set(cbcBlocks(false, key, zero, data));
  for (let at = BLOCK; at < data.length; at++) out[at] ^= data[at - BLOCK];
  return out;
}

/** CBC and ECB. A block is given out when it is full; if it may be the padding's, when the next one begins. */
class Blocks {
  #rest = EMPTY;

  constructor(encrypts, mode, key, iv) {
    Object.assign(this, { encrypts, mode, key, iv, pads: true });
  }

  #blocks(data) {
    if (this.mode === "ecb") return ecbBlocks(this.encrypts, this.key, data);
    if (data.length === 0) return EMPTY;
    const out = cbcBlocks(this.encrypts, this.key, this.iv, data);
    this.iv = lastBlock(this.encrypts ? out : data);
    return out;
  }

  update(data) {
    const all = concat([this.#rest, data]);
    const keeps = !this.encrypts && this.pads && all.length > 0 && all.length % BLOCK === 0 ? BLOCK : all.length % BLOCK;
    this.#rest = all.slice(all.length - keeps);
    return this.#blocks(all.subarray(0, all.length - keeps));
  }

  final() {
    const rest = this.#rest;
    const partial = rest.length % BLOCK;
    if (this.pads && this.encrypts) return this.#blocks(concat([rest, new Uint8Array(BLOCK - partial).fill(BLOCK - partial)]));
    if (partial !== 0 || (this.pads && rest.length === 0)) throw opensslError("wrong final block length", undefined, "1C80006B");
    if (!this.pads) return EMPTY;
    const last = this.#blocks(rest);
    const count = last[BLOCK - 1];
    if (count === 0 || count > BLOCK || last.subarray(BLOCK - count).some((byte) => byte !== count)) throw opensslError("bad decrypt");
    return last.subarray(0, BLOCK - count);
  }
}

/** The counter block so many blocks on; `bits` of it count. */
function advanced(counter, blocks, bits) {
  const next = counter.slice();
  let carry = blocks;
  for (let at = BLOCK - 1; carry > 0 && at >= BLOCK - bits / 8; at--) {
    const sum = next[at] + carry;
    next[at] = sum & 0xff;
    carry = Math.floor(sum / 256);
  }
  return next;
}

/** CTR, and the texts of GCM. */
class Counting {
  /** Bytes of the key stream's current block that are used. */
  #used = 0;

  constructor(key, counter, bits) {
    Object.assign(this, { key, counter, bits });
  }

  update(data) {
    if (data.length === 0) return EMPTY;
    const shifted = this.#used === 0 ? data : concat([new Uint8Array(this.#used), data]);
    const out = run(true, ["CTR", this.counter, EMPTY, this.bits], this.key, shifted).subarray(this.#used);
    this.counter = advanced(this.counter, Math.floor(shifted.length / BLOCK), this.bits);
    this.#used = shifted.length % BLOCK;
    return out;
  }

  final() {
    return EMPTY;
  }
}

const cannotAuthenticate = () => new Error("Unsupported state or unable to authenticate data");

class Gcm {
  #input = new Chunks();
  #additional = new Chunks();
  #counting;

  constructor(encrypts, key, iv, tagBytes) {
    Object.assign(this, { encrypts, key, iv, tagBytes, tag: undefined });
    if (iv.length === 12) this.#counting = new Counting(key, Uint8Array.of(...iv, 0, 0, 0, 2), 32);
  }

  get started() {
    return this.#input.bytes > 0;
  }

  addAdditional(data) {
    this.#additional.push(data);
  }

  #seal(data) {
    return run(true, ["GCM", this.iv, this.#additional.whole(), 128], this.key, data);
  }

  update(data) {
    const before = this.#input.bytes;
    this.#input.push(data);
    if (this.#counting !== undefined) return this.#counting.update(data);
    // Where the counter begins is not known for a vector of another length; the key stream is the same for both ways.
    return this.#seal(this.#input.whole()).slice(before, before + data.length);
  }

  final() {
    const data = this.#input.whole();
    if (this.encrypts) {
      this.tag = this.#seal(data).slice(data.length, data.length + (this.tagBytes ?? BLOCK));
    } else {
      if (this.tag === undefined) throw cannotAuthenticate();
      const how = ["GCM", this.iv, this.#additional.whole(), this.tag.length * 8];
      if (typeof native.crypto.cipher(false, how, this.key, concat([data, this.tag])) === "string") throw cannotAuthenticate();
    }
    return EMPTY;
  }
}

function engine(encrypts, cipher, key, iv, options) {
  checkString(cipher, "cipher");
  const found = cipherNamed(cipher);
  const secret = secretBytes(key, "key").slice();
  const vector = iv === null ? EMPTY : bytesFrom(iv, "iv").slice();
  if (found === undefined) {
    const error = cryptoError(Error, "UNKNOWN_CIPHER", "Unknown cipher");
    error.message += `: there are ${getCiphers().join(", ")}`;
    throw error;
  }
  const { mode, keyBytes } = found;
  if (secret.length !== keyBytes) throw cryptoError(RangeError, "INVALID_KEYLEN", "Invalid key length");
  const wanted = MODES[mode][1];
  if (mode === "gcm" ? !GCM_VECTORS.includes(vector.length) : vector.length !== wanted && !(mode === "ecb" && iv === null)) {
    throw cryptoError(TypeError, "INVALID_IV", "Invalid initialization vector");
  }
  if (mode === "ctr") return new Counting(secret, vector, 128);
  if (mode !== "gcm") return new Blocks(encrypts, mode, secret, vector);
  const tagBytes = options?.authTagLength;
  if (tagBytes !== undefined && !TAGS.includes(tagBytes)) throw invalidTag(tagBytes);
  return new Gcm(encrypts, secret, vector, tagBytes);
}

const invalidTag = (bytes) => cryptoError(TypeError, "INVALID_AUTH_TAG", `Invalid authentication tag length: ${bytes}`);
const badState = (method) => cryptoError(Error, "INVALID_STATE", `Invalid state for operation ${method}`);

class AesCipher extends LazyTransform {
  #engine;
  #done = false;
  #decoder;

  constructor(encrypts, cipher, key, iv, options) {
    super(options);
    this.#engine = engine(encrypts, cipher, key, iv, options);
  }

  /** The results of the calls can be joined: a decoder keeps bytes that are not a whole character of the encoding. */
  #give(bytes, encoding, last) {
    if (!encoding || encoding === "buffer") return encoded(bytes);
    const url = /^base64url$/i.test(encoding);
    this.#decoder ??= new StringDecoder(url ? "base64" : encoding);
    const text = last ? this.#decoder.end(encoded(bytes)) : this.#decoder.write(encoded(bytes));
    return url ? text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "") : text;
  }

  update(data, inputEncoding = undefined, outputEncoding = undefined) {
    const bytes = dataBytes(data, inputEncoding);
    if (this.#done) throw new Error("Trying to add data in unsupported state");
    return this.#give(this.#engine.update(bytes), outputEncoding, false);
  }

  final(outputEncoding = undefined) {
    if (this.#done) throw cryptoError(Error, "INVALID_STATE", "Invalid state");
    this.#done = true;
    return this.#give(this.#engine.final(), outputEncoding, true);
  }

  setAutoPadding(pads = true) {
    if (this.#done) throw badState("setAutoPadding");
    this.#engine.pads = Boolean(pads);
    return this;
  }

  setAAD(data, _options = undefined) {
    const bytes = bytesFrom(data, "buffer", _options?.encoding);
    if (this.#done || !(this.#engine instanceof Gcm) || this.#engine.started) throw badState("setAAD");
    this.#engine.addAdditional(bytes);
    return this;
  }

  /** The engine, if it is one of GCM in the state that `method` needs. */
  _gcm(method, done) {
    if (this.#done !== done || !(this.#engine instanceof Gcm)) throw badState(method);
    return this.#engine;
  }

  _transform(chunk, encoding, callback) {
    this.push(this.update(chunk, encoding));
    callback();
  }

  _flush(callback) {
    try {
      this.push(this.final());
    } catch (error) {
      return callback(error);
    }
    callback();
  }
}

export class Cipheriv extends AesCipher {
  constructor(cipher, key, iv, options = undefined) {
    super(true, cipher, key, iv, options);
  }

  getAuthTag() {
    return encoded(this._gcm("getAuthTag", true).tag);
  }
}

export class Decipheriv extends AesCipher {
  constructor(cipher, key, iv, options = undefined) {
    super(false, cipher, key, iv, options);
  }

  setAuthTag(tag, encoding = undefined) {
    const bytes = typeof tag === "string" ? bytesFrom(tag, "buffer", encoding) : checkBytes(tag, "buffer");
    const gcm = this._gcm("setAuthTag", false);
    if (!TAGS.includes(bytes.length) || (gcm.tagBytes !== undefined && bytes.length !== gcm.tagBytes)) throw invalidTag(bytes.length);
    if (gcm.tag !== undefined) throw badState("setAuthTag");
    gcm.tag = bytes.slice();
    return this;
  }
}

export const createCipheriv = (cipher, key, iv, options = undefined) => new Cipheriv(cipher, key, iv, options);
export const createDecipheriv = (cipher, key, iv, options = undefined) => new Decipheriv(cipher, key, iv, options);
