// node:zlib: gzip, zlib and raw deflate, at the usual level. https://nodejs.org/api/zlib.html
import native from "elias:native";
import stream from "../vendor/node/readable-stream.js";
import { Buffer } from "./buffer.js";
import { checkFunction, invalidArgument, nodeError, unavailable } from "./internal/errors.js";

const MAX_OUTPUT = 2 ** 30;

/** The native's failure as zlib has it. */
function zlibError(error) {
  if (error.code !== undefined) return error;
  const [code, errno] = /too early/.test(error.message) ? ["Z_BUF_ERROR", -5] : ["Z_DATA_ERROR", -3];
  return Object.assign(nodeError(Error, code, code === "Z_BUF_ERROR" ? "unexpected end of file" : error.message), { errno });
}

function toBytes(input, encoding = "utf8") {
  if (typeof input === "string") return Buffer.from(input, encoding);
  if (ArrayBuffer.isView(input)) return new Uint8Array(input.buffer, input.byteOffset, input.byteLength);
  if (input instanceof ArrayBuffer) return new Uint8Array(input);
  throw invalidArgument("buffer", "of type string or an instance of Buffer, TypedArray, DataView, or ArrayBuffer", input);
}

// What a file begins with: gzip's magic number, or else a zlib header.
const detect = (bytes) => (bytes[0] === 0x1f && bytes[1] === 0x8b ? "gzip" : "deflate");

/** Refuses what begins as no gzip file does: the native would wait for the rest of a header. */
function checkBeginning(format, compresses, bytes) {
  if (format !== "gzip" || compresses || bytes.length === 0) return;
  if (bytes[0] !== 0x1f || (bytes.length > 1 && bytes[1] !== 0x8b)) {
    throw Object.assign(nodeError(Error, "Z_DATA_ERROR", "incorrect header check"), { errno: -3 });
  }
}

function whole(format, compresses, input, options) {
  const bytes = toBytes(input);
  checkBeginning(format, compresses, bytes);
  const coder = native.coderNew(format ?? detect(bytes), compresses);
  let parts;
  try {
    parts = [native.coderPush(coder, bytes), native.coderEnd(coder)];
  } catch (error) {
    native.coderDrop(coder);
    throw zlibError(error);
  }
  const limit = options?.maxOutputLength ?? MAX_OUTPUT;
  if (parts[0].length + parts[1].length > limit) {
    throw nodeError(RangeError, "ERR_BUFFER_TOO_LARGE", `Cannot create a Buffer larger than ${limit} bytes`);
  }
  return Buffer.concat(parts);
}

function coderStream(name, format, compresses) {
  function Coder(options = undefined) {
    if (!(this instanceof Coder)) return new Coder(options);
    stream.Transform.call(this, { highWaterMark: options?.highWaterMark });
    this.coder = format === null ? undefined : native.coderNew(format, compresses);
    this.bytesWritten = 0;
  }
  Object.defineProperty(Coder, "name", { value: name, configurable: true });
  Object.setPrototypeOf(Coder.prototype, stream.Transform.prototype);
  Object.setPrototypeOf(Coder, stream.Transform);
  Object.assign(Coder.prototype, {
    _transform(chunk, encoding, callback) {
      let out;
      try {
        const bytes = toBytes(chunk, encoding);
        if (this.bytesWritten === 0) checkBeginning(format, compresses, bytes);
        this.bytesWritten += bytes.length;
        this.coder ??= native.coderNew(detect(bytes), compresses);
        out = native.coderPush(this.coder, bytes);
      } catch (error) {
        return callback(zlibError(error));
      }
      callback(null, out.length === 0 ? undefined : Buffer.from(out.buffer, out.byteOffset, out.length));
    },
    _flush(callback) {
      if (this.coder === undefined) return callback();
      let out;
      try {
        out = native.coderEnd(this.coder);
      } catch (error) {
        return callback(zlibError(error));
      }
      callback(null, out.length === 0 ? undefined : Buffer.from(out));
    },
    _destroy(error, callback) {
      if (this.coder !== undefined) native.coderDrop(this.coder);
      callback(error);
    },
    // What was put in comes out when the native has enough of it.
    flush(kind, callback = kind) {
      if (typeof callback === "function") queueMicrotask(() => callback());
    },
    params(_level, _strategy, callback) {
      queueMicrotask(() => callback(null));
    },
    close(callback = undefined) {
      if (callback !== undefined) this.once("close", callback);
      this.destroy();
    },
    reset() {},
  });
  return Coder;
}

/** The three forms of one operation: at once, with a callback, and as a stream. */
function operation(name, format, compresses) {
  const sync = (input, options = undefined) => whole(format, compresses, input, options);
  const withCallback = (input, options, callback = options) => {
    checkFunction(callback, "callback");
    const given = typeof options === "function" ? undefined : options;
    const bytes = toBytes(input);
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
  const Coder = coderStream(name, format, compresses);
  return { sync, later: withCallback, Coder, create: (options) => new Coder(options) };
}

export const { sync: gzipSync, later: gzip, Coder: Gzip, create: createGzip } = operation("Gzip", "gzip", true);
export const { sync: gunzipSync, later: gunzip, Coder: Gunzip, create: createGunzip } = operation("Gunzip", "gzip", false);
export const { sync: deflateSync, later: deflate, Coder: Deflate, create: createDeflate } = operation("Deflate", "deflate", true);
export const { sync: inflateSync, later: inflate, Coder: Inflate, create: createInflate } = operation("Inflate", "deflate", false);
export const { sync: deflateRawSync, later: deflateRaw, Coder: DeflateRaw, create: createDeflateRaw } = operation("DeflateRaw", "deflate-raw", true);
export const { sync: inflateRawSync, later: inflateRaw, Coder: InflateRaw, create: createInflateRaw } = operation("InflateRaw", "deflate-raw", false);
export const { sync: unzipSync, later: unzip, Coder: Unzip, create: createUnzip } = operation("Unzip", null, false);

const noBrotli = (what) => () => {
  throw unavailable(`zlib.${what}`, "Use gzip: Brotli's dictionary would be in every component.");
};
export const brotliCompressSync = noBrotli("brotliCompressSync");
export const brotliCompress = noBrotli("brotliCompress");
export const brotliDecompressSync = noBrotli("brotliDecompressSync");
export const brotliDecompress = noBrotli("brotliDecompress");
export const createBrotliCompress = noBrotli("createBrotliCompress");
export const createBrotliDecompress = noBrotli("createBrotliDecompress");

let table;

/** The checksum of gzip and zip. */
export function crc32(data, value = 0) {
  table ??= Uint32Array.from({ length: 256 }, (_, at) => {
    for (let bit = 0; bit < 8; bit++) at = at & 1 ? (at >>> 1) ^ 0xedb88320 : at >>> 1;
    return at;
  });
  let sum = ~value;
  for (const byte of toBytes(data)) sum = (sum >>> 8) ^ table[(sum ^ byte) & 0xff];
  return ~sum >>> 0;
}

export const constants = Object.freeze({
  Z_NO_FLUSH: 0, Z_PARTIAL_FLUSH: 1, Z_SYNC_FLUSH: 2, Z_FULL_FLUSH: 3, Z_FINISH: 4, Z_BLOCK: 5, Z_OK: 0, Z_STREAM_END: 1, Z_NEED_DICT: 2,
  Z_ERRNO: -1, Z_STREAM_ERROR: -2, Z_DATA_ERROR: -3, Z_MEM_ERROR: -4, Z_BUF_ERROR: -5, Z_VERSION_ERROR: -6, Z_NO_COMPRESSION: 0,
  Z_BEST_SPEED: 1, Z_BEST_COMPRESSION: 9, Z_DEFAULT_COMPRESSION: -1, Z_FILTERED: 1, Z_HUFFMAN_ONLY: 2, Z_RLE: 3, Z_FIXED: 4,
  Z_DEFAULT_STRATEGY: 0, Z_MIN_WINDOWBITS: 8, Z_MAX_WINDOWBITS: 15, Z_DEFAULT_WINDOWBITS: 15, Z_MIN_CHUNK: 64, Z_DEFAULT_CHUNK: 16384,
  Z_MIN_MEMLEVEL: 1, Z_MAX_MEMLEVEL: 9, Z_DEFAULT_MEMLEVEL: 8, Z_MIN_LEVEL: -1, Z_MAX_LEVEL: 9, Z_DEFAULT_LEVEL: -1,
  BROTLI_OPERATION_PROCESS: 0, BROTLI_OPERATION_FLUSH: 1, BROTLI_OPERATION_FINISH: 2, BROTLI_PARAM_QUALITY: 1,
});

export default {
  ...constants, constants, crc32, gzipSync, gzip, Gzip, createGzip, gunzipSync, gunzip, Gunzip, createGunzip, deflateSync, deflate,
  Deflate, createDeflate, inflateSync, inflate, Inflate, createInflate, deflateRawSync, deflateRaw, DeflateRaw, createDeflateRaw,
  inflateRawSync, inflateRaw, InflateRaw, createInflateRaw, unzipSync, unzip, Unzip, createUnzip, brotliCompressSync, brotliCompress,
  brotliDecompressSync, brotliDecompress, createBrotliCompress, createBrotliDecompress,
};
