// node:zlib: gzip, zlib, raw deflate and Brotli. https://nodejs.org/api/zlib.html
import native from "elias:native";
import stream from "../vendor/node/readable-stream.js";
import { Buffer, kMaxLength } from "./buffer.js";
import { checkFunction, invalidArgType, nodeError, outOfRange } from "./internal/errors.js";
import { codes, constants } from "./internal/zlib-constants.js";
import { DictionaryDecoder, DictionaryEncoder } from "./internal/zlib-dictionary.js";

/** The native's failure as zlib has it. */
function zlibError(error) {
  if (error.code !== undefined) return error;
  const brotli = /^brotli (-\d+)$/.exec(error.message);
  if (brotli !== null) {
    const errno = Number(brotli[1]);
    const name = Object.keys(constants).find(
      (key) => key.startsWith("BROTLI_DECODER_ERROR") && constants[key] === errno,
    );
    return Object.assign(nodeError(Error, `ERR_${name?.slice("BROTLI_DECODER".length)}`, "Decompression failed"), {
      errno,
    });
  }
  const early = /too early/.test(error.message);
  return Object.assign(
    nodeError(Error, early ? "Z_BUF_ERROR" : "Z_DATA_ERROR", early ? "unexpected end of file" : error.message),
    { errno: early ? -5 : -3 },
  );
}

function toBytes(input, encoding = "utf8") {
  if (typeof input === "string") return Buffer.from(input, encoding);
  if (ArrayBuffer.isView(input)) return new Uint8Array(input.buffer, input.byteOffset, input.byteLength);
  if (input instanceof ArrayBuffer) return new Uint8Array(input);
  throw invalidArgType("buffer", ["string", "Buffer", "TypedArray", "DataView", "ArrayBuffer"], input);
}

// The first bytes of a file: gzip's magic number, or else a zlib header.
const detect = (bytes) => (bytes[0] === 0x1f && (bytes.length === 1 || bytes[1] === 0x8b) ? "gzip" : "deflate");

/** Whether a number is given; what is none, or not finite, is refused. */
function isGiven(value, name) {
  if (value === undefined || Number.isNaN(value)) return false;
  if (typeof value !== "number") throw invalidArgType(name, "number", value);
  if (!Number.isFinite(value)) throw outOfRange(name, "a finite number", value);
  return true;
}

/** A number among options, within bounds. */
function option(options, name, min, max, otherwise) {
  const value = options?.[name];
  const title = `options.${name}`;
  if (!isGiven(value, title)) return otherwise;
  if (value < min || value > max) throw outOfRange(title, max === Infinity ? `>= ${min}` : `>= ${min} and <= ${max}`, value);
  return value;
}

const BROTLI_PARAM_MAX = Math.max(constants.BROTLI_PARAM_NDIRECT, constants.BROTLI_DECODER_PARAM_LARGE_WINDOW);

/** The parameters of Brotli by their numbers. */
function brotliParams(options) {
  const params = new Map();
  for (const [key, value] of Object.entries(options?.params ?? {})) {
    const number = Number(key);
    if (Number.isNaN(number) || number < 0 || number > BROTLI_PARAM_MAX || params.has(number)) {
      throw nodeError(RangeError, "ERR_BROTLI_INVALID_PARAM", `${key} is not a valid Brotli parameter`);
    }
    if (typeof value !== "number" && typeof value !== "boolean") throw invalidArgType("options.params[key]", "number", value);
    params.set(number, Number(value));
  }
  return params;
}

function dictionaryOf(options) {
  const dictionary = options?.dictionary;
  if (dictionary === undefined) return undefined;
  if (ArrayBuffer.isView(dictionary) || dictionary instanceof ArrayBuffer) return toBytes(dictionary);
  throw invalidArgType("options.dictionary", ["Buffer", "TypedArray", "DataView", "ArrayBuffer"], dictionary);
}

/** Reads the options of an operation. Those that only change how much memory is used have no effect. */
function settings(kind, options) {
  const { format, compresses } = kind;
  const brotli = format === "brotli";
  const [last, finish] = brotli ? [constants.BROTLI_OPERATION_EMIT_METADATA, constants.BROTLI_OPERATION_FINISH] : [constants.Z_BLOCK, constants.Z_FINISH];
  const chunkSize = option(options, "chunkSize", constants.Z_MIN_CHUNK, Infinity, constants.Z_DEFAULT_CHUNK);
  const flush = option(options, "flush", 0, last);
  const finishFlush = option(options, "finishFlush", 0, last, finish);
  const isFlush = (value) => (brotli ? value === constants.BROTLI_OPERATION_FLUSH : value === constants.Z_SYNC_FLUSH || value === constants.Z_FULL_FLUSH || value === constants.Z_PARTIAL_FLUSH);
  const made = {
    chunkSize,
    // The end of input is not the end of the stream: for a reader it may be cut short, a writer leaves it open.
    partial: finishFlush !== finish,
    // Each write is flushed.
    eager: compresses && isFlush(flush),
    maxOutputLength: option(options, "maxOutputLength", 1, kMaxLength, kMaxLength),
    level: undefined,
    window: undefined,
    windowBits: 0,
    dictionary: undefined,
  };
  if (brotli) {
    const params = brotliParams(options);
    made.level = params.get(constants.BROTLI_PARAM_QUALITY);
    made.window = params.get(constants.BROTLI_PARAM_LGWIN);
  } else {
    const isDetected = !compresses && format !== "deflate-raw";
    const { windowBits } = options ?? {};
    if (!isDetected || (windowBits !== undefined && windowBits !== null && windowBits !== 0)) {
      const least = constants.Z_MIN_WINDOWBITS + (format === "gzip" && compresses ? 1 : 0);
      made.windowBits = option(options, "windowBits", least, constants.Z_MAX_WINDOWBITS, constants.Z_MAX_WINDOWBITS);
    }
    const level = option(options, "level", -1, 9, -1);
    made.level = level === -1 ? undefined : level;
    option(options, "memLevel", 1, 9);
    option(options, "strategy", 0, 4);
    made.dictionary = dictionaryOf(options);
  }
  return made;
}

const fail = (code, errno, message) => Object.assign(nodeError(Error, code, message), { errno });

/** A coder of the host's side as an object. */
class NativeCoder {
  constructor(...settingsOf) {
    this.id = native.coderNew(...settingsOf, true);
  }

  push(bytes) {
    return native.coderPush(this.id, bytes);
  }

  flush() {
    return native.coderFlush(this.id);
  }

  end(partial) {
    return native.coderEnd(this.id, partial);
  }

  drop() {
    native.coderDrop(this.id);
  }
}

const FDICT = 0x20;

/**
 * Checks the fields of zlib's header that the native ignores; `bytes` are the first. Returns whether there is a
 * dictionary.
 */
function readHeader(bytes, { windowBits, dictionary }) {
  const [first, second] = bytes;
  if (second === undefined || ((first << 8) | second) % 31 !== 0 || (first & 0x0f) !== 8) return false;
  if ((first >> 4) + 8 > (windowBits || constants.Z_MAX_WINDOWBITS)) throw fail("Z_DATA_ERROR", constants.Z_DATA_ERROR, "invalid window size");
  if ((second & FDICT) === 0) return false;
  if (dictionary === undefined) throw fail("Z_NEED_DICT", constants.Z_NEED_DICT, "Missing dictionary");
  return true;
}

function open({ format, compresses }, bytes, set) {
  const { dictionary, level, window } = set;
  const found = format ?? detect(bytes);
  const isRaw = found === "deflate-raw";
  if (compresses) {
    if (dictionary !== undefined && (isRaw || found === "deflate")) return new DictionaryEncoder(isRaw, level, dictionary);
  } else if (isRaw ? dictionary !== undefined : found === "deflate" && readHeader(bytes, set)) {
    return new DictionaryDecoder(isRaw, dictionary, fail);
  }
  return new NativeCoder(found, compresses, level, window);
}

const tooLarge = (limit) =>
  nodeError(RangeError, "ERR_BUFFER_TOO_LARGE", `Cannot create a Buffer larger than ${limit} bytes`);

// Bytes of input for each step, so that what a bomb unpacks into is counted before much of it is there.
const STEP = 64 * 1024;

/** Ends a coder as `finishFlush` says. */
function finish({ compresses }, coder, { partial }) {
  if (!compresses || !partial) return coder.end(partial);
  const out = coder.flush();
  coder.drop();
  return out;
}

function whole(kind, input, options) {
  const bytes = toBytes(input);
  const set = settings(kind, options);
  let coder;
  const parts = [];
  let length = 0;
  const add = (part) => {
    length += part.length;
    if (length > set.maxOutputLength) throw tooLarge(set.maxOutputLength);
    if (part.length > 0) parts.push(part);
  };
  try {
    coder = open(kind, bytes, set);
    for (let at = 0; at < bytes.length; at += STEP) add(coder.push(bytes.subarray(at, at + STEP)));
    add(finish(kind, coder, set));
  } catch (error) {
    coder?.drop();
    throw zlibError(error);
  }
  const out =
    parts.length === 1
      ? Buffer.from(parts[0].buffer, parts[0].byteOffset, parts[0].length)
      : Buffer.concat(parts, length);
  return options?.info ? { buffer: out, engine: undefined } : out;
}

/** A part of the native's output as a Buffer that has it alone; null if it is empty. */
const chunk = (bytes) => (bytes.length === 0 ? null : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));

function coderStream(name, kind) {
  function Coder(options = undefined) {
    if (!(this instanceof Coder)) return new Coder(options);
    this.set = settings(kind, options);
    stream.Transform.call(this, { ...options, flush: undefined, transform: undefined, objectMode: false });
    this.coder = undefined;
    this.bytesWritten = 0;
    this._level = this.set.level ?? -1;
    this._strategy = options?.strategy ?? 0;
  }
  Object.defineProperty(Coder, "name", { value: name, configurable: true });
  Object.setPrototypeOf(Coder.prototype, stream.Transform.prototype);
  Object.setPrototypeOf(Coder, stream.Transform);

  /** Calls `work` with the open coder, and gives what it makes to the reader. */
  function step(self, bytes, callback, work) {
    let out;
    try {
      self.coder ??= open(kind, bytes, self.set);
      out = work(self.coder);
    } catch (error) {
      return callback(zlibError(error));
    }
    const { chunkSize } = self.set;
    for (const part of out) {
      for (let at = 0; at < part.length; at += chunkSize) self.push(chunk(part.length <= chunkSize ? part : part.slice(at, at + chunkSize)));
    }
    callback();
  }

  // What `flush` writes, to take its turn among what was written before.
  const FLUSH = Buffer.alloc(0);

  Object.assign(Coder.prototype, {
    _transform(data, encoding, callback) {
      if (data === FLUSH) return step(this, data, callback, (coder) => [coder.flush()]);
      let bytes;
      try {
        bytes = toBytes(data, encoding);
      } catch (error) {
        return callback(error);
      }
      this.bytesWritten += bytes.length;
      // Which format it is, and whether there is a dictionary, can be told from the first two bytes.
      if (!kind.compresses && (kind.format === null || kind.format === "deflate") && this.coder === undefined) {
        bytes = this.begun === undefined ? bytes : Buffer.concat([this.begun, bytes]);
        if (bytes.length < 2 && (kind.format !== null || bytes[0] === 0x1f)) {
          this.begun = bytes;
          return callback();
        }
        if (bytes.length === 0) return callback();
      }
      step(this, bytes, callback, (coder) => {
        const out = [];
        for (let at = 0; at < bytes.length; at += STEP)
          out.push(coder.push(bytes.subarray(at, at + STEP)));
        if (this.set.eager) out.push(coder.flush());
        return out;
      });
    },
    _flush(callback) {
      const bytes = this.begun !== undefined && this.coder === undefined ? this.begun : Buffer.alloc(0);
      // Unzip, and a lenient reader, take nothing for something.
      if (this.coder === undefined && bytes.length === 0 && (kind.format === null || this.set.partial))
        return callback();
      step(this, bytes, callback, (coder) => {
        this.coder = undefined;
        return [coder.push(bytes), finish(kind, coder, this.set)];
      });
    },
    _destroy(error, callback) {
      this.coder?.drop();
      this.coder = undefined;
      callback(error);
    },
    flush(flushKind, callback = undefined) {
      if (typeof flushKind === "function") [flushKind, callback] = [undefined, flushKind];
      if (this.writableFinished) {
        if (callback !== undefined) queueMicrotask(callback);
      } else if (this.writableEnded) {
        if (callback !== undefined) this.once("end", callback);
      } else if (flushKind === constants.Z_NO_FLUSH || !kind.compresses) {
        this.write(Buffer.alloc(0), callback);
      } else {
        this.write(FLUSH, callback);
      }
    },
    // What follows is compressed as what came before: the level of a stream is that of its beginning.
    params(level, strategy, callback) {
      const check = (value, name, min, max) => {
        if (!isGiven(value, name)) return;
        if (value < min || value > max) throw outOfRange(name, `>= ${min} and <= ${max}`, value);
      };
      check(level, "level", -1, 9);
      check(strategy, "strategy", 0, 4);
      this._level = level;
      this._strategy = strategy;
      if (typeof callback === "function") this.flush(constants.Z_SYNC_FLUSH, () => callback(null));
    },
    close(callback = undefined) {
      if (callback !== undefined) {
        if (this.closed) queueMicrotask(callback);
        else this.once("close", callback);
      }
      this.destroy();
    },
    reset() {
      this.coder?.drop();
      this.coder = undefined;
      this.begun = undefined;
    },
  });
  Object.defineProperty(Coder.prototype, "_closed", {
    get() {
      return this.destroyed;
    },
    configurable: true,
  });
  return Coder;
}

/** The three forms of one operation: at once, with a callback, and as a stream. */
function operation(name, format, compresses) {
  const kind = { format, compresses };
  const sync = (input, options = undefined) => whole(kind, input, options);
  const withCallback = (input, options, callback = options) => {
    checkFunction(callback, "callback");
    const given = typeof options === "function" ? undefined : options;
    const bytes = toBytes(input);
    settings(kind, given);
    queueMicrotask(() => {
      let out;
      try {
        out = sync(bytes, given);
      } catch (error) {
        return callback(error);
      }
      callback(null, out);
    });
  };
  const Coder = coderStream(name, kind);
  return { sync, later: withCallback, Coder, create: (options) => new Coder(options) };
}

export const { sync: gzipSync, later: gzip, Coder: Gzip, create: createGzip } = operation("Gzip", "gzip", true);
export const {
  sync: gunzipSync,
  later: gunzip,
  Coder: Gunzip,
  create: createGunzip,
} = operation("Gunzip", "gzip", false);
export const {
  sync: deflateSync,
  later: deflate,
  Coder: Deflate,
  create: createDeflate,
} = operation("Deflate", "deflate", true);
export const {
  sync: inflateSync,
  later: inflate,
  Coder: Inflate,
  create: createInflate,
} = operation("Inflate", "deflate", false);
export const {
  sync: deflateRawSync,
  later: deflateRaw,
  Coder: DeflateRaw,
  create: createDeflateRaw,
} = operation("DeflateRaw", "deflate-raw", true);
export const {
  sync: inflateRawSync,
  later: inflateRaw,
  Coder: InflateRaw,
  create: createInflateRaw,
} = operation("InflateRaw", "deflate-raw", false);
export const { sync: unzipSync, later: unzip, Coder: Unzip, create: createUnzip } = operation("Unzip", null, false);
export const {
  sync: brotliCompressSync,
  later: brotliCompress,
  Coder: BrotliCompress,
  create: createBrotliCompress,
} = operation("BrotliCompress", "brotli", true);
export const {
  sync: brotliDecompressSync,
  later: brotliDecompress,
  Coder: BrotliDecompress,
  create: createBrotliDecompress,
} = operation("BrotliDecompress", "brotli", false);

let table;

/** The checksum of gzip and zip. */
export function crc32(data, value = 0) {
  if (typeof data !== "string" && !ArrayBuffer.isView(data))
    throw invalidArgType("data", ["string", "Buffer", "TypedArray", "DataView"], data);
  if (typeof value !== "number") throw invalidArgType("value", "number", value);
  table ??= Uint32Array.from({ length: 256 }, (_, at) => {
    for (let bit = 0; bit < 8; bit++) at = at & 1 ? (at >>> 1) ^ 0xedb88320 : at >>> 1;
    return at;
  });
  let sum = ~value;
  for (const byte of toBytes(data)) sum = (sum >>> 8) ^ table[(sum ^ byte) & 0xff];
  return ~sum >>> 0;
}

export { codes, constants };
export default {
  ...constants,
  constants,
  codes,
  crc32,
  gzipSync,
  gzip,
  Gzip,
  createGzip,
  gunzipSync,
  gunzip,
  Gunzip,
  createGunzip,
  deflateSync,
  deflate,
  Deflate,
  createDeflate,
  inflateSync,
  inflate,
  Inflate,
  createInflate,
  deflateRawSync,
  deflateRaw,
  DeflateRaw,
  createDeflateRaw,
  inflateRawSync,
  inflateRaw,
  InflateRaw,
  createInflateRaw,
  unzipSync,
  unzip,
  Unzip,
  createUnzip,
  brotliCompressSync,
  brotliCompress,
  BrotliCompress,
  createBrotliCompress,
  brotliDecompressSync,
  brotliDecompress,
  BrotliDecompress,
  createBrotliDecompress,
};
