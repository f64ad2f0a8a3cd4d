// node:zlib: gzip, zlib, raw deflate and Brotli. https://nodejs.org/api/zlib.html
import native from "elias:native";
import stream from "../vendor/node/readable-stream.js";
import { Buffer, kMaxLength } from "./buffer.js";
import { checkFunction, invalidArgType, nodeError, outOfRange, unavailable } from "./internal/errors.js";
import { codes, constants } from "./internal/zlib-constants.js";

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

// What a file begins with: gzip's magic number, or else a zlib header.
const detect = (bytes) => (bytes[0] === 0x1f && (bytes.length === 1 || bytes[1] === 0x8b) ? "gzip" : "deflate");

/** A number among options, within bounds. */
function option(options, name, min, max, otherwise) {
  const value = options?.[name];
  if (value === undefined || Number.isNaN(value)) return otherwise;
  if (typeof value !== "number") throw invalidArgType(`options.${name}`, "number", value);
  if (value < min || value > max)
    throw outOfRange(`options.${name}`, max === Infinity ? `>= ${min}` : `>= ${min} and <= ${max}`, value);
  return value;
}

/** What the options of an operation say. Those that only change how much memory is used have no effect. */
function settings(kind, options) {
  const { format, compresses } = kind;
  const brotli = format === "brotli";
  const limits = brotli ? [0, 3] : [0, 5];
  option(options, "chunkSize", 64, Infinity);
  const flush = option(options, "flush", ...limits);
  const finishFlush = option(
    options,
    "finishFlush",
    ...limits,
    brotli ? constants.BROTLI_OPERATION_FINISH : constants.Z_FINISH,
  );
  const made = {
    partial: !compresses && finishFlush !== (brotli ? constants.BROTLI_OPERATION_FINISH : constants.Z_FINISH),
    // Each write is flushed.
    eager:
      compresses &&
      (brotli
        ? flush === constants.BROTLI_OPERATION_FLUSH
        : flush === constants.Z_SYNC_FLUSH || flush === constants.Z_FULL_FLUSH),
    maxOutputLength: option(options, "maxOutputLength", 1, kMaxLength, kMaxLength),
    level: undefined,
    window: undefined,
  };
  if (brotli) {
    made.level = options?.params?.[constants.BROTLI_PARAM_QUALITY];
    made.window = options?.params?.[constants.BROTLI_PARAM_LGWIN];
  } else {
    const level = option(options, "level", -1, 9, -1);
    made.level = level === -1 ? undefined : level;
    option(options, "windowBits", compresses ? (format === "gzip" ? 9 : 8) : 0, 15);
    option(options, "memLevel", 1, 9);
    option(options, "strategy", 0, 4);
    if (options?.dictionary !== undefined) throw unavailable("zlib's option `dictionary`", "Compress without one.");
  }
  return made;
}

const open = ({ format, compresses }, bytes, { level, window }) =>
  native.coderNew(format ?? detect(bytes), compresses, level, window, true);

const tooLarge = (limit) =>
  nodeError(RangeError, "ERR_BUFFER_TOO_LARGE", `Cannot create a Buffer larger than ${limit} bytes`);

// Bytes of input for each step, so that what a bomb unpacks into is counted before much of it is there.
const STEP = 64 * 1024;

function whole(kind, input, options) {
  const bytes = toBytes(input);
  const set = settings(kind, options);
  const coder = open(kind, bytes, set);
  const parts = [];
  let length = 0;
  const add = (part) => {
    length += part.length;
    if (length > set.maxOutputLength) throw tooLarge(set.maxOutputLength);
    if (part.length > 0) parts.push(part);
  };
  try {
    for (let at = 0; at < bytes.length; at += STEP) add(native.coderPush(coder, bytes.subarray(at, at + STEP)));
    add(native.coderEnd(coder, set.partial));
  } catch (error) {
    native.coderDrop(coder);
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
    for (const part of out) if (part.length > 0) self.push(chunk(part));
    callback();
  }

  // What `flush` writes, to take its turn among what was written before.
  const FLUSH = Buffer.alloc(0);

  Object.assign(Coder.prototype, {
    _transform(data, encoding, callback) {
      if (data === FLUSH) return step(this, data, callback, (coder) => [native.coderFlush(coder)]);
      let bytes;
      try {
        bytes = toBytes(data, encoding);
      } catch (error) {
        return callback(error);
      }
      this.bytesWritten += bytes.length;
      // Which format it is can be told from the first two bytes.
      if (kind.format === null && this.coder === undefined) {
        bytes = this.begun === undefined ? bytes : Buffer.concat([this.begun, bytes]);
        if (bytes.length < 2 && bytes[0] === 0x1f) {
          this.begun = bytes;
          return callback();
        }
        if (bytes.length === 0) return callback();
      }
      step(this, bytes, callback, (coder) => {
        const out = [];
        for (let at = 0; at < bytes.length; at += STEP)
          out.push(native.coderPush(coder, bytes.subarray(at, at + STEP)));
        if (this.set.eager) out.push(native.coderFlush(coder));
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
        return [native.coderPush(coder, bytes), native.coderEnd(coder, this.set.partial)];
      });
    },
    _destroy(error, callback) {
      if (this.coder !== undefined) native.coderDrop(this.coder);
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
      option({ level }, "level", -1, 9);
      option({ strategy }, "strategy", 0, 4);
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
      if (this.coder !== undefined) native.coderDrop(this.coder);
      this.coder = undefined;
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
