// node:zlib against Node's own: results, options, errors. The natives are Node's coders in the place of the engine's.
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import real from "node:zlib";
import { newWorld } from "./world.mjs";

const later = globalThis.setTimeout;
const native = await newWorld(({ file, core }) => core || /^(?:vendor\/)?node\//.test(file) || !/^(?:vendor\/)?testing\//.test(file));

const coders = new Map();
const MAKERS = {
  gzip: ["createGzip", "createGunzip"], deflate: ["createDeflate", "createInflate"], "deflate-raw": ["createDeflateRaw", "createInflateRaw"],
  brotli: ["createBrotliCompress", "createBrotliDecompress"],
};
Object.assign(native, {
  coderNew(format, compresses, level) {
    const id = coders.size + 1;
    const options = format === "brotli" ? (level === undefined ? {} : { params: { [real.constants.BROTLI_PARAM_QUALITY]: level } }) : { level: compresses ? level : undefined };
    coders.set(id, { coder: real[MAKERS[format][compresses ? 0 : 1]](options), format, compresses });
    return id;
  },
  coderPush: (id, bytes) => run(id, bytes, 0),
  coderFlush: (id) => run(id, Buffer.alloc(0), coders.get(id).format === "brotli" ? 1 : 2),
  coderEnd(id, partial) {
    const { format, compresses } = coders.get(id);
    return run(id, Buffer.alloc(0), !compresses && partial ? (format === "brotli" ? 1 : 2) : format === "brotli" ? 2 : 4);
  },
  coderDrop() {},
});
function run(id, bytes, flush) {
  const { _handle: handle, _writeState: state } = coders.get(id).coder;
  let failure;
  handle.onerror = (message, _, code) => (failure = code === "Z_BUF_ERROR" ? "the compressed data ends too early" : message);
  const parts = [];
  let at = 0;
  do {
    const room = Buffer.alloc(65_536);
    handle.writeSync(flush, Buffer.from(bytes), at, bytes.length - at, room, 0, room.length);
    if (failure !== undefined) throw new TypeError(failure);
    at = bytes.length - state[1];
    parts.push(room.subarray(0, room.length - state[0]));
  } while (state[0] === 0);
  return new Uint8Array(Buffer.concat(parts));
}

const { default: ours } = await import("../src/node/zlib.js?world=1");
const DICTIONARY = Buffer.from("the quick brown fox jumps over the lazy dog");
const TEXT = Buffer.from("the lazy dog jumps over the quick brown fox, and the fox over the dog. ".repeat(40));

/** The result of a call, or how it fails. */
function outcome(call) {
  try {
    const value = call();
    return { value: value instanceof Uint8Array ? Buffer.from(value).toString("latin1") : typeof value };
  } catch (error) {
    return { name: error.name, code: error.code, errno: error.errno, message: error.message };
  }
}
const same = (what, call) => assert.deepEqual(outcome(() => call(ours)), outcome(() => call(real)), what);

test("options are checked as Node checks them", () => {
  const values = [undefined, null, NaN, Infinity, -Infinity, -2, -1, 0, 1, 4, 5, 6, 7, 8, 9, 10, 15, 16, 63, 64, 1e6, "1", true, {}];
  for (const name of ["chunkSize", "flush", "finishFlush", "maxOutputLength", "windowBits", "level", "memLevel", "strategy"]) {
    for (const value of values) {
      for (const maker of ["createGzip", "createGunzip", "createDeflate", "createInflate", "createDeflateRaw", "createInflateRaw", "createUnzip", "createBrotliCompress", "createBrotliDecompress"]) {
        same(`${maker} ${name} ${String(value)}`, (zlib) => zlib[maker]({ [name]: value }));
      }
    }
  }
  for (const dictionary of [null, "x", 5, {}, new Uint8Array(3), new ArrayBuffer(2), new DataView(new ArrayBuffer(2)), Buffer.alloc(0)]) {
    same(`dictionary ${String(dictionary)}`, (zlib) => zlib.createDeflate({ dictionary }));
  }
  for (const params of [{ 1: 5 }, { 0: 1, 1: 11, 2: 22, 5: 100 }, { 99: 1 }, { x: 1 }, { "-1": 1 }, { 1: "5" }, { 1: true }, { 1: null }, { 4: 1 }, {}]) {
    same(`params ${JSON.stringify(params)}`, (zlib) => zlib.createBrotliCompress({ params }));
    same(`sync params ${JSON.stringify(params)}`, (zlib) => typeof zlib.brotliCompressSync(TEXT, { params }));
  }
  for (const input of [undefined, null, 5, {}, []]) for (const form of ["gzipSync", "inflateSync", "brotliDecompressSync"]) same(`${form} ${String(input)}`, (zlib) => zlib[form](input));
  same("callback", (zlib) => zlib.gzip("x"));
  for (const args of [[-2, 0], [10, 0], [1, 5], ["x", 0], [1, "x"]]) same(`params() ${args}`, (zlib) => zlib.createDeflate().params(...args, () => {}));
});

test("what is wrong with data is told with Node's codes", () => {
  const deflated = real.deflateSync(TEXT);
  const cases = [
    ["inflateSync", Buffer.from("no zlib at all")], ["gunzipSync", Buffer.from("no gzip at all")], ["unzipSync", Buffer.from("neither")],
    ["inflateSync", deflated.subarray(0, 20)], ["gunzipSync", real.gzipSync(TEXT).subarray(0, 20)], ["inflateSync", Buffer.alloc(0)], ["unzipSync", Buffer.alloc(0)], ["gunzipSync", Buffer.alloc(0)],
    ["inflateSync", Buffer.concat([deflated.subarray(0, -1), Buffer.from([0])])], ["inflateSync", real.deflateSync(TEXT, { dictionary: DICTIONARY })],
    ["inflateSync", real.deflateSync(TEXT, { dictionary: DICTIONARY }), { dictionary: Buffer.from("another") }],
    ["inflateSync", deflated, { windowBits: 9 }], ["inflateSync", real.deflateSync(TEXT, { windowBits: 9 }), { windowBits: 9 }],
    ["inflateSync", deflated, { maxOutputLength: 10 }], ["gzipSync", TEXT, { maxOutputLength: 5 }], ["brotliCompressSync", TEXT, { maxOutputLength: 5 }],
    ["inflateSync", deflated.subarray(0, 20), { finishFlush: real.constants.Z_SYNC_FLUSH }], ["inflateSync", deflated, { dictionary: DICTIONARY }],
  ];
  for (const [form, input, options] of cases) same(`${form} ${input.length} ${JSON.stringify(options)}`, (zlib) => zlib[form](input, options));
});

test("dictionaries go both ways", () => {
  for (const dictionary of [DICTIONARY, Buffer.alloc(50_000, DICTIONARY), Buffer.from("x")]) {
    for (const [compress, decompress] of [["deflateSync", "inflateSync"], ["deflateRawSync", "inflateRawSync"]]) {
      for (const text of [TEXT, Buffer.alloc(0), Buffer.from("fox"), Buffer.alloc(200_000, TEXT)]) {
        const made = ours[compress](text, { dictionary });
        assert.ok(real[decompress](made, { dictionary }).equals(text), `${compress} ${dictionary.length} ${text.length}`);
        assert.ok(Buffer.from(ours[decompress](real[compress](text, { dictionary }), { dictionary })).equals(text), `${decompress} ${dictionary.length} ${text.length}`);
      }
    }
  }
  assert.ok(ours.deflateSync("the lazy dog", { dictionary: DICTIONARY }).length < ours.deflateSync("the lazy dog").length + 4);
  // gzip has none, and its option is passed over.
  assert.ok(real.gunzipSync(ours.gzipSync(TEXT, { dictionary: DICTIONARY })).equals(TEXT));
});

test("finishFlush leaves a stream open, and sizes of chunks are kept", async () => {
  const open = ours.deflateRawSync(TEXT, { finishFlush: real.constants.Z_SYNC_FLUSH });
  assert.throws(() => real.inflateRawSync(open), { code: "Z_BUF_ERROR" });
  assert.ok(real.inflateRawSync(open, { finishFlush: real.constants.Z_SYNC_FLUSH }).equals(TEXT));
  // Of two deflate streams that were left open and one that was not a whole one is made.
  assert.ok(real.inflateRawSync(Buffer.concat([open, ours.deflateRawSync("!")])).equals(Buffer.concat([TEXT, Buffer.from("!")])));
  const chunks = await collected(ours.createInflate({ chunkSize: 100 }), [real.deflateSync(TEXT)]);
  assert.ok(chunks.length >= TEXT.length / 100 && chunks.every((chunk) => chunk.length <= 100));
  assert.ok(Buffer.concat(chunks).equals(TEXT));
});

test("streams take a dictionary byte by byte, count what was written, and begin anew", async () => {
  const packed = real.deflateSync(TEXT, { dictionary: DICTIONARY });
  const single = Array.from(packed, (byte) => Buffer.from([byte]));
  const inflate = ours.createInflate({ dictionary: DICTIONARY });
  assert.ok(Buffer.concat(await collected(inflate, single)).equals(TEXT));
  assert.equal(inflate.bytesWritten, packed.length);
  const failing = ours.createInflate();
  await assert.rejects(collected(failing, single), { code: "Z_NEED_DICT", errno: 2, message: "Missing dictionary" });
  const deflate = ours.createDeflate({ dictionary: DICTIONARY });
  assert.ok(real.inflateSync(Buffer.concat(await collected(deflate, [TEXT.subarray(0, 7), TEXT.subarray(7)])), { dictionary: DICTIONARY }).equals(TEXT));
  const again = ours.createInflate();
  again.write(Buffer.from([0x78]));
  await new Promise((done) => later(done, 1));
  again.reset();
  assert.ok(Buffer.concat(await collected(again, [real.deflateSync(TEXT)])).equals(TEXT));
});

function collected(stream, writes) {
  return new Promise((resolve, reject) => {
    const chunks = [];
    stream.on("data", (chunk) => chunks.push(chunk));
    stream.on("end", () => resolve(chunks));
    stream.on("error", reject);
    for (const part of writes) stream.write(part);
    stream.end();
  });
}
