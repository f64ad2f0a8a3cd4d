// node:buffer against Node's own: each expression must give the same value, or throw the same class, code and message.
import "./world.mjs";
import assert from "node:assert/strict";
import * as theirs from "node:buffer";
import { test } from "node:test";

const ours = await import("../src/node/buffer.js?world=buffer");

/** The value without the identity of the two classes. */
function plain(value) {
  if (typeof value === "bigint") return `${value}n`;
  if (value instanceof Uint8Array) return { bytes: [...value], of: value.constructor.name };
  if (value instanceof Error) return { name: value.name, code: value.code, message: value.message };
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === "function") return `function ${value.name}`;
  if (typeof value === "object" && value !== null) return
    Object.fromEntries(Object.entries(value).map(([key, it]) => [key, plain(it)]));
  return Object.is(value, -0) ? "-0" : value;
}

function outcome(expression, module) {
  const names = Object.keys(module).filter((name) => name !== "default");
  try {
    return plain(new Function(...names, "u8",
      `"use strict"; return ${expression};`)(...names.map((name) => module[name]), new Uint8Array([104, 105])));
  } catch (error) {
    return plain(error);
  }
}

const differences = (expressions) =>
  expressions.flatMap((expression) => {
    const [mine, node] = [outcome(expression, ours), outcome(expression, theirs)];
    try {
      assert.deepEqual(mine, node);
      return [];
    } catch {
      return [`${expression}\n  ours ${JSON.stringify(mine)}\n  node ${JSON.stringify(node)}`];
    }
  });

const same = (expressions) => assert.equal(differences(expressions).join("\n"), "");
/** Every combination. */
const product = (make, ...lists) =>
  lists.reduce((all, list) => all.flatMap((args) => list.map((it) => [...args, it])), [[]]).map((args) => make(...args));

const encodings = ["utf8", "UTF-8", "hex", "base64", "base64url", "latin1", "binary", "ascii", "utf16le", "ucs2",
  "UCS-2"];
const odd = ["undefined", "null", "NaN", "-1", "1.5", "9", "'1'", "'x'", "{}", "true", "Infinity", "2**40", "1n",
  "Symbol('s')"];
const numbers = ["UInt8", "Int8", "UInt16LE", "UInt16BE", "Int16LE", "Int16BE", "UInt32LE", "UInt32BE", "Int32LE",
  "Int32BE", "FloatLE", "FloatBE", "DoubleLE", "DoubleBE"];
const bigs = ["BigInt64LE", "BigInt64BE", "BigUInt64LE", "BigUInt64BE"];

test("what there is", () => {
  same([
    "Object.getOwnPropertyNames(Buffer.prototype).sort()", "Object.getOwnPropertyNames(Buffer).sort()",
      "Buffer.from('a').constructor.name",
    "Buffer.name", "Buffer.length", "Buffer.poolSize", "Buffer[Symbol.species].name",
      "Object.getPrototypeOf(Buffer) === Uint8Array", "Buffer.from('a') instanceof Uint8Array",
    "Buffer.from('ab').map((it) => it + 1)", "Buffer.from('ab').filter(() => true)",
      "Buffer.isBuffer(Buffer.from('ab').subarray(1))", "Buffer.isBuffer(u8)",
    "JSON.stringify(Buffer.from('hi'))", "`${Buffer.from('é')}`", "[...Buffer.from('ab').entries()]",
      "Buffer.from('ab').toLocaleString()", "Buffer.from('a').parent instanceof ArrayBuffer",
    "typeof Buffer.from('a').offset", "Buffer.prototype.parent", "Buffer.from('ab').inspect()",
      "Buffer.alloc(60).inspect()", "typeof SlowBuffer", "SlowBuffer(2)", "constants", "kMaxLength",
      "INSPECT_MAX_BYTES",
    "class2()", "typeof File", "typeof Blob", "resolveObjectURL('blob:nodedata:x')",
      "Reflect.construct(Buffer, ['ab'])", "Buffer(3)", "Buffer(3, 'utf8')", "new Buffer({})",
      "structuredClone(Buffer.from('a'))",
  ]);
});

test("making buffers", () => {
  same(product((value) => `Buffer.from(${value})`, [
    ...odd, "'héllo'", "''", "'\\ud800x'", "[1, 300, -1, '7', 1.9, NaN]", "{ length: 2, 0: 1, 1: 300 }",
      "{ type: 'Buffer', data: [1, 2] }", "{ length: 'x' }", "{ length: -1 }", "u8", "new Uint16Array([1, 515])",
    "new DataView(new ArrayBuffer(4))", "new String('abc')", "{ [Symbol.toPrimitive]() { return 'p'; } }",
      "{ [Symbol.toPrimitive]() { return 5; } }", "{ valueOf() { return 'v'; } }", "{ valueOf() { return null; } }",
      "function f() {}",
    "() => 1", "new Map()", "new Date(0)", "[]", "Object.create(null)", "new (class Foo {})()", "'x'.repeat(2)",
      "new Boolean(true)", "-0",
  ]));
  same(product((text, encoding) => `Buffer.from(${text}, ${encoding})`, ["'4af_-Z'", "'6869zz'", "'abc'",
    "'Y W\\nI='", "'_-8='", "'YQ==YQ=='", "'YQ='", "'Y'", "'é€😀'", "'=='", "'YWI*Yw'", "'\\u0141'", "''"],
    [...encodings.map((it) => `'${it}'`), "'nope'", "''", "null", "5", "'HEX'", "{}"]));
  same(product((offset, length) => `Buffer.from(new Uint8Array([1, 2, 3, 4]).buffer, ${offset}, ${length})`,
    ["undefined", "0", "1", "4", "5", "-1", "NaN", "'1'"], ["undefined", "0", "2", "9", "-1", "NaN", "'2'"]));
  same(product((size, fill) => `Buffer.alloc(${size}${fill})`, ["0", "5", ...odd.slice(0, -3)], ["", ", 0", ", 'ab'",
    ", ''"]));
  same(["Buffer.alloc(5, 'zz', 'hex')", "Buffer.alloc(4, 'YQ==', 'base64')", "Buffer.alloc(5, 'x', 'nope')",
    "Buffer.alloc(5, 'x', 5)", "Buffer.alloc(3, u8)", "Buffer.alloc(3, new Uint8Array())", "Buffer.alloc(3, 257)",
    "Buffer.alloc(3, true)", "Buffer.alloc(3, {})", "Buffer.alloc(3, '€')", "Buffer.alloc(3, 'é', 'latin1')"]);
  same(product((size) => `Buffer.allocUnsafe(${size}).length`, ["3", ...odd.slice(0, -3)]));
  same(product((list, length) => `Buffer.concat(${list}, ${length})`, ["[u8, u8]", "[]", "1", "[1]", "[u8, 'x']",
    "[Buffer.from('a')]", "undefined", "u8"], ["undefined", "0", "3", "9", "-1", "'1'", "1.5", "NaN", "null"]));
  same(product((view, offset, length) => `Buffer.copyBytesFrom(${view}, ${offset}, ${length})`,
    ["new Uint16Array([1, 2, 3])", "'x'", "new DataView(new ArrayBuffer(2))", "new Uint8Array()"], ["undefined", "1",
      "9", "-1", "'1'", "1.5"], ["undefined", "1", "9", "-1"]));
  same(["Buffer.of(1, 2, 300)", "Buffer.of()", "Buffer.isEncoding('utf-8')", "Buffer.isEncoding('Base64URL')",
    "Buffer.isEncoding('')", "Buffer.isEncoding(5)", "Buffer.isEncoding(null)", "Buffer.isEncoding('toString')",
    "Buffer.from('a', 'constructor')"]);
  same(product((value, encoding) => `Buffer.byteLength(${value}, ${encoding})`, ["'€é'", "'YWI='", "'abc'", "''",
    "u8", "new ArrayBuffer(3)", "5", "{}", "null"], ["undefined", ...encodings.map((it) => `'${it}'`), "'nope'", "5"]));
});

test("text out of bytes and into them", () => {
  same(product((encoding, from, to) => `Buffer.from('é€ ab\\xff😀').toString(${encoding}, ${from}, ${to})`,
    [...encodings.map((it) => `'${it}'`), "undefined", "null", "'nope'", "5"],
    ["undefined", "0", "2", "-5", "NaN", "'1'", "99"], ["undefined", "4", "99", "-1", "'3'", "NaN", "null"]));
  same(["Buffer.from([0xf0, 0x9f, 0x98]).toString()", "Buffer.from([0xff, 0xfe, 0x61]).toString()",
    "Buffer.from([0xef, 0xbb, 0xbf, 0x61]).toString()", "Buffer.from([0xe9, 0x80]).toString('ascii')",
    "Buffer.from([1, 0xd8, 2]).toString('utf16le')", "Buffer.from([0, 0xd8]).toString('ucs2').length"]);
  const methods = ["ascii", "base64", "base64url", "latin1", "hex", "ucs2", "utf8"];
  same(product((name, args) => `Buffer.from('abcdefé').${name}Slice(${args})`, methods, ["", "1", "1, 3", "2, 1",
    "-1", "0, 99", "'x'", "1.9, 3.9", "9", "null, 3", "0, -1", "undefined, 2"]));
  same(product((name, args) => `(() => { const b = Buffer.alloc(6, '.'); return [b.${name}Write(${args}), b]; })()`,
    methods, ["'YWJj'", "'6162zz'", "'é€'", "'abcdefgh'", "'a', 5", "'€', 4", "'é', 5", "'a', 6", "'a', 7", "'a', -1",
      "5", "'abcdef', 1, 2", "'abcdef', 1, 99", "'ab', 0, -1", "'ab', '1'", ""]));
  same(product((text, offset, length, encoding) =>
    `(() => { const b = Buffer.alloc(6, '.'); return [b.write(${text}, ${offset}, ${length}, ${encoding}), b]; })()`,
    ["'6162'", "'é€'", "''", "5"], ["undefined", "0", "5", "9", "-1", "1.5", "'hex'", "'nope'", "null"], ["undefined",
      "3", "9", "-1", "'latin1'", "'nope'"], ["undefined", "'hex'", "'ucs2'", "'nope'", "''"]));
});

test("searching, comparing, copying, filling", () => {
  const values = ["'l'", "'ll'", "''", "'€'", "u8", "Buffer.from('lo')", "new Uint8Array()", "108", "364", "-148",
    "99.9", "null", "undefined", "{}", "[108]", "true", "'6c6c'"];
  const offsets = ["undefined", "0", "3", "-3", "-99", "99", "NaN", "'hex'", "'nope'", "null", "{}", "2.7", "Infinity"];
  same(product((method, value, offset) => `Buffer.from('hello hi€ lo').${method}(${value}, ${offset})`, ["indexOf",
    "lastIndexOf", "includes"], values, offsets));
  same(product((method, value, offset, encoding) =>
    `Buffer.from('aXbXcXaXbX', 'utf16le').${method}(${value}, ${offset}, ${encoding})`, ["indexOf", "lastIndexOf"],
      ["'bX'", "'X'", "'61'", "'YQ=='", "''", "Buffer.from('bX', 'utf16le')", "Buffer.from([88])"], ["undefined", "0",
        "1", "5", "-4", "99"], ["undefined", "'utf16le'", "'hex'", "'base64'", "'latin1'", "'nope'"]));
  same(product((value) => `Buffer.from('hi').equals(${value})`, ["u8", "Buffer.from('hi')", "'hi'", "undefined",
    "new Uint16Array(1)", "[104, 105]"]));
  same(product((one, other) => `Buffer.compare(${one}, ${other})`, ["u8", "Buffer.from('hj')", "'x'", "1"], ["u8",
    "Buffer.from('h')", "undefined"]));
  same(product((args) => `Buffer.from('abcdef').compare(Buffer.from('bcd'), ${args})`, ["", "0", "9", "-1", "0, 3",
    "0, 9", "0, 3, 1", "0, 3, 1, 4", "0, 3, 9", "0, 3, 1, 9", "1, 1, 2, 2", "'0'", "0, '1'", "0, 3, 4, 2", "1.5"]));
  same(["Buffer.from('a').compare('x')", "Buffer.from('hi').compare(u8)", "Buffer.from('a').compare()"]);
  same(product((target, args) =>
    `(() => { const t = ${target}; return [Buffer.from('abcdef').copy(t, ${args}), t]; })()`, ["new Uint8Array(4)",
      "Buffer.alloc(4)", "'x'", "[1]", "new Uint16Array(2)"], ["", "1", "9", "-1", "0, 2", "0, 2, 4", "0, 9", "0, -1",
        "0, 0, -1", "0, 4, 2", "'1'", "NaN, NaN", "0, 1.9, 3.9", "2, 0, 99", "null"]));
  same(["(() => { const b = Buffer.from('abcdef'); b.copy(b, 2, 0, 4); return b; })()"]);
  same(product((value, args) => `Buffer.from('abcdef').fill(${value}${args})`, ["'x'", "'xyz'", "''", "0", "257",
    "-1", "1.9", "u8", "new Uint16Array([258])", "'6162'", "'é'", "null", "true", "{}", "'zz'"], ["", ", 2", ", 2, 4",
    ", 9", ", -1", ", 1, 99", ", 'hex'", ", 2, 'hex'", ", 2, 4, 'hex'", ", 'nope'", ", 1, 2, 5", ", '1'", ", 4, 2"]));
  same(product((from, to) =>
    `Buffer.from('abcdef').subarray(${from}, ${to}).toString() + Buffer.from('abcdef').slice(${from}, ${to})`,
      ["undefined", "1", "-2", "NaN", "'2'", "99", "-99", "1.9"], ["undefined", "3", "-1", "null", "99", "'4'", "0"]));
  same(product((length, bits) =>
    `Buffer.from([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]).subarray(0, ${length}).swap${bits}()`, ["0",
      "2", "3", "4", "8", "12", "16"], ["16", "32", "64"]));
});

test("numbers", () => {
  const offsets = ["", "0", "1", "7", "8", "-1", "1.5", "'0'", "null", "undefined", "NaN", "Infinity", "{}"];
  same(product((name, offset) => `Buffer.from([0x81, 2, 0xfd, 4, 5, 6, 7, 0x88]).read${name}(${offset})`,
    [...numbers, ...bigs, "Uint8", "Uint32LE", "BigUint64BE"], offsets));
  same(product((name) => `Buffer.alloc(1).read${name}()`, [...numbers, ...bigs]));
  const variable = ["UIntLE", "UIntBE", "IntLE", "IntBE", "UintBE"];
  same(product((name, offset, bytes) =>
    `Buffer.from([0x81, 2, 0xfd, 4, 5, 6, 7, 0x88]).read${name}(${offset}, ${bytes})`, variable, ["0", "1", "3", "-1",
      "'0'", "undefined", "1.5", "9"], ["1", "2", "3", "4", "5", "6", "7", "0", "'1'", "undefined", "1.5", "NaN"]));
  const values = ["0", "1", "-1", "127", "128", "255", "256", "-128", "-129", "65535", "65536", "2**31", "-(2**31)",
    "2**32", "1.9", "-1.9", "NaN", "'5'", "'x'", "null", "undefined", "1e18", "Infinity", "1.1"];
  same(product((name, value, offset) =>
    `(() => { const b = Buffer.alloc(9); return [b.write${name}(${value}${offset}), b]; })()`,
      [...numbers, "Uint16LE"], values, ["", ", 1", ", 9", ", '0'", ", 1.5"]));
  same(product((name, value, bytes) =>
    `(() => { const b = Buffer.alloc(9); return [b.write${name}(${value}, 1, ${bytes}), b]; })()`,
      variable, [...values, "2**48", "-(2**47)", "2**40"], ["1", "2", "3", "4", "5", "6", "7", "undefined"]));
  same(product((name, value, offset) =>
    `(() => { const b = Buffer.alloc(9); return [b.write${name}(${value}${offset}), b]; })()`, bigs, ["0n", "1n",
      "-1n", "2n**63n", "-(2n**63n)", "2n**63n-1n", "2n**64n-1n", "2n**64n", "1", "'1'", "undefined"], ["", ", 1",,
        ", 2", ", '0'"]));
});

test("transcode, isUtf8, isAscii", () => {
  const names = ["'utf8'", "'ucs2'", "'latin1'", "'ascii'", "'binary'", "'utf16le'"];
  same(product((bytes, from, to) => `transcode(Buffer.from(${bytes}), ${from}, ${to})`, ["'€é'", "'a'",
    "[0xe9, 0x41]", "''", "'é', 'ucs2'"], names, names));
  same(["transcode('x', 'utf8', 'ascii')", "transcode(Buffer.from('a'), 'utf8', 'hex')",
    "transcode(Buffer.from('a'), 'nope', 'utf8')", "transcode(u8, 'utf8', 'latin1')",
    "transcode(Buffer.from('😀a'), 'utf8', 'ascii')"]);
  same(product((name, input) => `${name}(${input})`, ["isUtf8", "isAscii"], ["Buffer.from('é')", "Buffer.from([255])",
    "u8", "u8.buffer", "'x'", "5", "new DataView(new ArrayBuffer(1))", "new Uint16Array([0xff])"]));
});
