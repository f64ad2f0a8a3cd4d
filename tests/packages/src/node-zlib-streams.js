// node:zlib where programs lean on its details: flushing, members of gzip, Brotli, options and errors.
import { Buffer } from "node:buffer";
import { once } from "node:events";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";
import zlib from "node:zlib";

const { gzipSync, deflateSync, deflateRawSync, brotliCompressSync, constants } = zlib;
const text = "hello ".repeat(500);

const outcome = async (run) => {
  try {
    const value = await run();
    return Buffer.isBuffer(value) ? value.toString().slice(0, 40) : value;
  } catch (error) {
    return [error.name, error.code, error.errno ?? null, error.message];
  }
};

/** What is read of a compressor's output at each flush. */
async function flushed(compressor, decompressor, ...kind) {
  const seen = [];
  let got = "";
  decompressor.on("data", (part) => (got += part));
  compressor.on("data", (part) => decompressor.write(part));
  for (const word of ["one ", "two ", "three"]) {
    compressor.write(word);
    await new Promise((resolve) => compressor.flush(...kind, resolve));
    await new Promise((resolve) => decompressor.flush(resolve));
    seen.push(got);
  }
  compressor.end();
  await once(compressor, "end");
  return seen;
}

function streamed(decoder, ...pieces) {
  return new Promise((resolve, reject) => {
    let got = "";
    decoder.on("data", (part) => (got += part)).on("end", () => resolve(got)).on("error", reject);
    for (const piece of pieces) decoder.write(piece);
    decoder.end();
  });
}

const two = Buffer.concat([gzipSync("first "), gzipSync("second")]);
const changed = (bytes, at) => {
  const copy = Buffer.from(bytes);
  copy[at < 0 ? copy.length + at : at] ^= 1;
  return copy;
};
const named = Buffer.concat([Buffer.from([0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 3]), Buffer.from("name\0"), gzipSync("x").subarray(10)]);

const cases = {
  flush: () => flushed(zlib.createGzip(), zlib.createGunzip()),
  syncFlush: () => flushed(zlib.createDeflate(), zlib.createInflate(), constants.Z_SYNC_FLUSH),
  rawFlush: () => flushed(zlib.createDeflateRaw({ level: 1 }), zlib.createInflateRaw(), constants.Z_FULL_FLUSH),
  brotliFlush: () => flushed(zlib.createBrotliCompress(), zlib.createBrotliDecompress()),
  eachWrite: async () => {
    const gzip = zlib.createGzip({ flush: constants.Z_SYNC_FLUSH });
    const parts = [];
    gzip.on("data", (part) => parts.push(part));
    await new Promise((resolve) => gzip.write("abc", resolve));
    return parts.length > 0;
  },
  members: () => zlib.gunzipSync(two),
  unzipMembers: () => zlib.unzipSync(two),
  membersStreamed: () => streamed(zlib.createGunzip(), two),
  membersInPieces: () => streamed(zlib.createGunzip(), ...Array.from(two, (_, at) => two.subarray(at, at + 1))),
  unzipInPieces: () => streamed(zlib.createUnzip(), ...Array.from(two, (_, at) => two.subarray(at, at + 1))),
  unzipDeflateInPieces: () => streamed(zlib.createUnzip(), ...Array.from(deflateSync("abc"), (byte) => Buffer.from([byte]))),
  zerosAfter: () => zlib.gunzipSync(Buffer.concat([gzipSync("x"), Buffer.alloc(9)])),
  zerosAndMoreAfter: () => zlib.gunzipSync(Buffer.concat([gzipSync("x"), Buffer.from([0, 1, 2])])),
  garbageAfter: () => zlib.gunzipSync(Buffer.concat([gzipSync("x"), Buffer.from("abcd")])),
  magicAfter: () => zlib.gunzipSync(Buffer.concat([gzipSync("x"), Buffer.from([0x1f])])),
  otherMethodAfter: () => zlib.gunzipSync(Buffer.concat([gzipSync("x"), Buffer.from([0x1f, 0x8b, 0xff, 0, 0, 0])])),
  afterDeflate: () => zlib.inflateSync(Buffer.concat([deflateSync("x"), Buffer.from("zz")])),
  afterRaw: () => zlib.inflateRawSync(Buffer.concat([deflateRawSync("x"), Buffer.from("zz")])),
  afterBrotli: () => zlib.brotliDecompressSync(Buffer.concat([brotliCompressSync("x"), Buffer.from("zz")])),
  name: () => zlib.gunzipSync(named),
  nameInPieces: () => streamed(zlib.createGunzip(), ...Array.from(named, (byte) => Buffer.from([byte]))),
  noGzip: () => zlib.gunzipSync(Buffer.from("hello")),
  otherMethod: () => zlib.gunzipSync(Buffer.from([0x1f, 0x8b, 9, 0, 0, 0, 0, 0, 0, 0])),
  noZlib: () => zlib.inflateSync(Buffer.from("hello")),
  wrongSum: () => zlib.gunzipSync(changed(gzipSync("xyz"), -8)),
  wrongLength: () => zlib.gunzipSync(changed(gzipSync("xyz"), -4)),
  short: () => zlib.gunzipSync(gzipSync(text).subarray(0, 20)),
  shortStreamed: () => streamed(zlib.createGunzip(), gzipSync(text).subarray(0, 20)),
  shortBrotli: () => zlib.brotliDecompressSync(brotliCompressSync("hello world").subarray(0, 8)),
  noBrotli: () => zlib.brotliDecompressSync(Buffer.from("hello world")),
  empty: () => zlib.gunzipSync(""),
  emptyUnzip: () => zlib.unzipSync(""),
  emptyStream: () => streamed(zlib.createGunzip()),
  partial: () => zlib.gunzipSync(gzipSync("abc").subarray(0, -8), { finishFlush: constants.Z_SYNC_FLUSH }),
  most: () => zlib.gunzipSync(gzipSync(text), { maxOutputLength: 10 }),
  mostLater: () => promisify(zlib.gunzip)(gzipSync(text), { maxOutputLength: 10 }),
  input: () => zlib.gzipSync(5),
  level: () => zlib.gzipSync("x", { level: 99 }),
  levelType: () => zlib.gzipSync("x", { level: "9" }),
  chunkSize: () => zlib.gzipSync("x", { chunkSize: 1 }),
  windowBits: () => zlib.gzipSync("x", { windowBits: 99 }),
  strategy: () => zlib.gzipSync("x", { strategy: 9 }),
  memLevel: () => zlib.gzipSync("x", { memLevel: 10 }),
  flushOption: () => zlib.gzipSync("x", { flush: 9 }),
  noCallback: () => zlib.gzip("x"),
  brotli: () => zlib.brotliDecompressSync(brotliCompressSync(text)).length,
  brotliLow: () => zlib.brotliDecompressSync(brotliCompressSync(text, { params: { [constants.BROTLI_PARAM_QUALITY]: 1, [constants.BROTLI_PARAM_LGWIN]: 12 } })).length,
  brotliLater: async () => (await promisify(zlib.brotliDecompress)(await promisify(zlib.brotliCompress)(text))).length,
  brotliKnown: () => zlib.brotliDecompressSync(Buffer.from("CwWAaGVsbG8gd29ybGQD", "base64")),
  brotliStreamed: async () => {
    const parts = [];
    await pipeline(Readable.from([text, text]), zlib.createBrotliCompress(), zlib.createBrotliDecompress(), async (source) => {
      for await (const part of source) parts.push(part);
    });
    return Buffer.concat(parts).length;
  },
  written: async () => {
    const gzip = zlib.createGzip();
    gzip.resume();
    gzip.end("abc");
    await once(gzip, "end");
    return [gzip.bytesWritten, gzip.constructor.name];
  },
  codes: () => [zlib.codes.Z_DATA_ERROR, zlib.codes[-3], zlib.constants.BROTLI_DECODER_ERROR_UNREACHABLE, zlib.Z_BEST_SPEED],
};

export default {
  async fetch() {
    const answers = {};
    for (const [name, run] of Object.entries(cases)) answers[name] = await outcome(run);
    return Response.json(answers);
  },
};
