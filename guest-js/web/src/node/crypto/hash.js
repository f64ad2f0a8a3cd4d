// Hash, Hmac and the one-shot hash. https://nodejs.org/api/crypto.html#class-hash
import native from "elias:native";
import stream from "../../vendor/node/readable-stream.js";
import { keccak, keccakNamed } from "./keccak.js";
import {
  Chunks, HASH_BYTES, OTHER_HASHES, bytesFrom, checkInteger, checkString, cryptoError, dataBytes, encoded, hashNamed, lazyStream, noSuchDigest,
  secretBytes, wrongType,
} from "./support.js";

const LazyTransform = lazyStream(stream.Transform, ["_readableState", "_writableState"]);
const UINT32_MAX = 2 ** 32 - 1;
/** The member in which a Hash shows its chunks to its copies. */
const CHUNKS = Symbol("chunks");

const unknownHash = () => new Error(`Digest method not supported. ${OTHER_HASHES}`);
const finalized = () => cryptoError(Error, "HASH_FINALIZED", "Digest already called");

/** The common part of Hash and Hmac: chunks, and a digest of all of them. */
class Digest extends LazyTransform {
  #chunks = new Chunks();
  #done = false;

  get [CHUNKS]() {
    return this.#done ? undefined : this.#chunks;
  }

  update(data, encoding = undefined) {
    if (this.#done) throw finalized();
    this.#chunks.push(dataBytes(data, encoding));
    return this;
  }

  /** The result of `work` for all chunks, the first time; then nothing. */
  _finish(work) {
    if (this.#done) return undefined;
    this.#done = true;
    return work(this.#chunks.whole());
  }

  _transform(chunk, encoding, callback) {
    this.#chunks.push(dataBytes(chunk, encoding));
    callback();
  }

  _flush(callback) {
    this.push(this.digest());
    callback();
  }
}

/** The function that gives the digest of bytes: of the host for its hashes, a script for SHA-3 and SHAKE. */
function digestOf(name, length) {
  const extendable = keccakNamed(name);
  if (extendable !== undefined) return (data) => keccak(extendable, data, length);
  const hash = hashNamed(name);
  return hash === undefined ? undefined : (data) => native.crypto.digest(hash, data);
}

export class Hash extends Digest {
  #algorithm;
  #work;

  constructor(algorithm, options = undefined) {
    super(options);
    if (algorithm?.[CHUNKS] !== undefined) {
      this.#algorithm = algorithm.#algorithm;
      this.update(algorithm[CHUNKS].whole());
    } else {
      checkString(algorithm, "algorithm");
      this.#algorithm = algorithm;
    }
    const length = options?.outputLength;
    this.#work = digestOf(this.#algorithm, length);
    if (this.#work === undefined) throw unknownHash();
    if (length === undefined) return;
    checkInteger(length, "options.outputLength", 0, UINT32_MAX);
    const known = keccakNamed(this.#algorithm);
    if (known?.isExtendable || length === (known?.bytes ?? HASH_BYTES[hashNamed(this.#algorithm)])) return;
    throw cryptoError(Error, "UNSUPPORTED_OPERATION", "Unsupported state or unable to set the output length");
  }

  copy(options = undefined) {
    if (this[CHUNKS] === undefined) throw finalized();
    return new Hash(this, options);
  }

  digest(encoding = undefined) {
    const digest = this._finish(this.#work);
    if (digest === undefined) throw finalized();
    return encoded(digest, encoding);
  }
}

export class Hmac extends Digest {
  #hash;
  #key;

  constructor(algorithm, key, options = undefined) {
    super(options);
    checkString(algorithm, "hmac");
    this.#key = secretBytes(key, "key", options?.encoding).slice();
    this.#hash = hashNamed(algorithm);
    if (this.#hash === undefined) throw noSuchDigest(algorithm);
  }

  /** A second one is empty, as in Node.js. */
  digest(encoding = undefined) {
    const digest = this._finish((data) => native.crypto.hmac(this.#hash, this.#key, data));
    return encoded(digest ?? new Uint8Array(0), encoding);
  }
}

export const createHash = (algorithm, options = undefined) => new Hash(algorithm, options);
export const createHmac = (algorithm, key, options = undefined) => new Hmac(algorithm, key, options);

/** The hash of one text or of bytes, as hexadecimal digits if nothing else is asked for. */
export function hash(algorithm, input, outputEncoding = "hex") {
  checkString(algorithm, "algorithm");
  if (typeof input !== "string" && !ArrayBuffer.isView(input)) {
    throw wrongType("input", "of type string or an instance of Buffer, TypedArray, or DataView", input);
  }
  const encoding = typeof outputEncoding === "object" && outputEncoding !== null ? (outputEncoding.outputEncoding ?? "hex") : outputEncoding;
  checkString(encoding, "outputEncoding");
  const work = digestOf(algorithm);
  if (work === undefined) throw unknownHash();
  return encoded(work(bytesFrom(input, "input")), encoding);
}
