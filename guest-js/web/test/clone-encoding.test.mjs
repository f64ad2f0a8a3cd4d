// The structured clone encoding, in which the messages of service workers are written.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { inspect, isDeepStrictEqual } from "node:util";
import { newWorld } from "./world.mjs";

const { world } = await newWorld();
const { ENCODED_MAX, decode, encode, refuseToEncode } = await import(`../src/messaging/clone-encoding.js${world}`);
const again = (value) => decode(encode(value));

test("values with a JSON form stay short", () => {
  assert.equal(encode({ sku: "A1", n: 2, ok: true, none: null }), '[1,[2],{"sku":"A1","n":2,"ok":true,"none":null}]');
  assert.equal(encode(["A1", [1.5]]), '[1,[2],["array","A1",[3]],["array",1.5]]');
  assert.equal(encode("text"), '[1,"text"]');
  assert.equal(encode(undefined), '[1,["undefined"]]');
});

test("plain JSON is encoded as the host encodes it", () => {
  const samples = new URL("../../../host/workers/src/value/samples.json", import.meta.url);
  for (const { json, text } of JSON.parse(readFileSync(samples, "utf8"))) {
    assert.equal(encode(json), text);
    assert.deepEqual(JSON.stringify(decode(text)), JSON.stringify(json));
  }
});

test("primitives come back as they were", () => {
  const values = [
    undefined, null, true, false, 0, -0, 1, -1.5, 1e300, 5e-324, Number.MAX_SAFE_INTEGER, NaN, Infinity, -Infinity,
    "", "a", "é\0😀",
    "\ud800 alone", "undefined", '["number","NaN"]', 0n, -1n, 2n ** 200n,
  ];
  for (const value of values) assert.ok(Object.is(again(value), value), String(value));
  assert.deepEqual(again(values), values);
});

test("objects of the language come back as they were", () => {
  const view = new DataView(new ArrayBuffer(8), 2, 4);
  view.setInt16(0, -5);
  const values = [
    {}, [], [[]], { a: { b: [] } }, new Map(), new Map([["a", 1], [{ k: 1 }, new Set([1, "1"])], [NaN, -0]]),
    new Set([[]]),
    new Date(0), new Date(-1.5e12), /a\/(?<b>c)/giu, Object(1), Object(""), Object(false), Object(7n),
    new ArrayBuffer(0), Uint8Array.from([0, 1, 255]).buffer, new Uint8Array(10_000).fill(7), Float64Array.of(NaN, -0,
    0.1), BigInt64Array.of(-3n),
    view, new Uint8Array(new ArrayBuffer(8), 3, 2), [, 1], [1, , 3, ,], Object.assign([1], { name: "x" }),
    new Array(2 ** 32 - 1),
  ];
  for (const value of values) {
    const clone = again(value);
    assert.ok(isDeepStrictEqual(clone, value), inspect(clone));
    assert.equal(Object.getPrototypeOf(clone), Object.getPrototypeOf(value));
  }
  assert.ok(Number.isNaN(again(new Date(NaN)).getTime()));
  const holes = again([, undefined, ,]);
  assert.deepEqual([holes.length, 0 in holes, 1 in holes, 2 in holes], [3, false, true, false]);
});

test("errors keep name, message, stack and cause", () => {
  class OutOfStock extends Error {
    name = "OutOfStock";
  }
  const error = again(new TypeError("wrong", { cause: new OutOfStock("none") }));
  assert.ok(error instanceof TypeError);
  assert.deepEqual([error.message, error.name, Object.keys(error)], ["wrong", "TypeError", []]);
  assert.match(error.stack, /clone-encoding\.test/);
  assert.deepEqual([error.cause instanceof Error, error.cause.name, error.cause.message], [true, "OutOfStock", "none"]);
  const exception = again(new DOMException("no", "AbortError"));
  assert.deepEqual([exception instanceof DOMException, exception.name, exception.message], [true, "AbortError", "no"]);
  const cycle = new Error("a");
  cycle.cause = { cycle };
  const clone = again(cycle);
  assert.equal(clone.cause.cycle, clone);
});

test("cycles and what is met twice stay one object", () => {
  const shared = { n: 1 };
  const bytes = new Uint8Array(4);
  const same = new Uint16Array(bytes.buffer);
  const value = { a: shared, list: [shared], map: new Map([[shared, shared]]), bytes, same };
  value.self = value;
  value.map.set("map", value.map);
  const clone = again(value);
  assert.equal(clone.self, clone);
  assert.equal(clone.list[0], clone.a);
  assert.equal(clone.map.get(clone.a), clone.a);
  assert.equal(clone.map.get("map"), clone.map);
  assert.equal(clone.bytes.buffer, clone.same.buffer);
  clone.bytes[0] = 1;
  assert.equal(clone.same[0], 1);
});

test("resizable buffers keep their room, and views that follow them do", () => {
  const buffer = new ArrayBuffer(2, { maxByteLength: 8 });
  const { follows, fixed } = again({ follows: new Uint8Array(buffer), fixed: new Uint8Array(buffer, 0, 1) });
  follows.buffer.resize(5);
  assert.deepEqual([follows.length, fixed.length, fixed.buffer.maxByteLength], [5, 1, 8]);
});

test("a class's objects become plain, without what they inherit", () => {
  class Cart {
    items = 1;
    #hidden = 2;
    get total() {
      return this.#hidden;
    }
  }
  const clone = again(new Cart());
  assert.deepEqual(clone, { items: 1 });
  assert.equal(Object.getPrototypeOf(clone), Object.prototype);
  assert.deepEqual(again({ get a() { return 1; }, [Symbol("s")]: 2 }), { a: 1 });
});

test("names that mean something to objects are properties like any other", () => {
  const value = JSON.parse('{"__proto__":{"admin":true},"constructor":1,"hasOwnProperty":2,"toString":null}');
  const clone = again(value);
  assert.deepEqual(Object.keys(clone), ["__proto__", "constructor", "hasOwnProperty", "toString"]);
  assert.equal(clone.admin, undefined);
  assert.equal(Object.getPrototypeOf(clone), Object.prototype);
  assert.equal({}.admin, undefined);
  const list = again(Object.defineProperty([1, 2], "__proto__", { value: [9], enumerable: true }));
  assert.equal(Object.getPrototypeOf(list), Array.prototype);
  assert.deepEqual(Object.keys(list), ["0", "1", "__proto__"]);
});

test("a value may be as deep as it is large", () => {
  let deep = [];
  for (let depth = 0; depth < 10_000; depth += 1) deep = depth % 2 === 0 ? [deep] : { deep };
  let clone = again(deep);
  let depth = 0;
  for (; Object.keys(clone).length > 0; depth += 1) clone = clone[0] ?? clone.deep;
  assert.equal(depth, 10_000);
});

test("what cannot be cloned is refused with its path", () => {
  const refused = (value, what) => {
    try {
      encode(value, what);
    } catch (error) {
      assert.ok(error instanceof DOMException);
      assert.equal(error.name, "DataCloneError");
      return error.message;
    }
    throw new Error("it was encoded");
  };
  assert.equal(refused(function add() {}), "the function add cannot be cloned: it is the value");
  const message = { items: [1, { done() {} }] };
  assert.equal(refused(message, "the message"), "the function done cannot be cloned: it is the message.items[1].done");
  assert.equal(refused([Symbol("s")]), "Symbol(s) cannot be cloned: it is the value[0]");
  const map = new Map([["k", Promise.resolve()]]);
  assert.equal(refused({ "a b": map }), 'a Promise cannot be cloned: it is the value["a b"].get("k")');
  assert.match(refused(new Map([[5n, { d() {} }]])), /it is the value\.get\(5\)\.d$/);
  assert.match(refused(new Map([[{}, () => {}]])), /it is the value\.values\(\)\[0\]$/);
  assert.match(refused({ a: [() => {}] }, ""), /it is a\[0\]$/);
  assert.match(refused(new Error("a", { cause: new WeakMap() })), /a WeakMap cannot be cloned: it is the value\.cause/);
  assert.match(refused(new Set([new Headers()])), /a Headers cannot be cloned: it is the value\.values\(\)\[0\]/);
  assert.match(refused(new MessageChannel().port1), /a MessagePort cannot/);
  assert.match(refused(new Blob([])), /a Blob cannot/);
  const gone = new ArrayBuffer(1);
  structuredClone(gone, { transfer: [gone] });
  assert.match(refused(gone), /an ArrayBuffer that was transferred cannot/);
  const marked = {};
  refuseToEncode(marked, "a thing");
  assert.equal(refused([marked]), "a thing cannot be cloned: it is the value[0]");
  let deep = () => {};
  for (let depth = 0; depth < 1_000; depth += 1) deep = { d: deep };
  assert.match(refused(deep), /^the function .* it is the value(?:\.d){20}\.\.\. \(980 more\)$/);
  const key = "k".repeat(1_000);
  assert.ok(refused({ [key]: () => {} }).length < 160);
});

test("what cannot be cloned is shown as a text where a reader is meant", () => {
  const text = (value) => decode(encode(value, "the value", { isReadable: true }));
  const marked = {};
  refuseToEncode(marked, "a thing");
  const promise = Promise.resolve();
  const value = { 0: 3, add() {}, all: [promise, new Map([["k", promise]])], at: Symbol("s"), marked, none: () => {} };
  assert.deepEqual(text({ value }), {
    value: {
      0: 3, add: "[Function add]", all: ["[Promise]", new Map([["k", "[Promise]"]])], at: "[Symbol(s)]",
      marked: "[Thing]", none: "[Function none]",
    },
  });
  assert.equal(text(promise), "[Promise]");
});

test("objects keep their class where both sides name it", () => {
  class Item {
    constructor() {
      throw new Error("no constructor is called");
    }
  }
  const item = Object.assign(Object.create(Item.prototype), { count: 2 });
  item.self = item;
  const encoded = encode({ list: [item, item], other: {} }, "", {
    classOf: (object) => (object instanceof Item ? "Item" : undefined),
  });
  assert.throws(() => decode(encoded), /an entry of an unknown kind/);
  const { list, other } = decode(encoded, { instanceOf: (name) => Object.create({ Item }[name].prototype) });
  assert.ok(list[0] instanceof Item && list[0] === list[1] && list[0].self === list[0]);
  assert.deepEqual([list[0].count, Object.getPrototypeOf(other)], [2, Object.prototype]);
});

test("the fields of a value are assigned to an object that is there", () => {
  const fields = { count: 1, ["__proto__"]: 5, hidden: 2 };
  fields.self = fields;
  const target = { kept: 7, set hidden(value) { this.shown = value; } };
  const { fields: same } = decode(encode({ fields, other: [fields] }), { fields: target });
  assert.ok(same === target && target.self === target);
  assert.deepEqual([target.count, target.kept, target.shown, Object.keys(target).includes("__proto__")], [1, 7, 2, true]);
});

test("what is too large is refused, before all of it is copied", () => {
  const fits = "x".repeat(ENCODED_MAX - 6);
  assert.equal(again(fits), fits);
  const tooLarge = { name: "RangeError", message: /the value is larger than 1048576 characters/ };
  for (const value of [
    "x".repeat(ENCODED_MAX), "\0".repeat(ENCODED_MAX / 4), new ArrayBuffer(ENCODED_MAX), new Array(ENCODED_MAX).fill(0),
    { a: "x".repeat(ENCODED_MAX / 2), b: "y".repeat(ENCODED_MAX / 2) }, new Error("x".repeat(ENCODED_MAX)),
  ]) {
    assert.throws(() => encode(value), tooLarge);
  }
  let asked = 0;
  const list = Array.from({ length: 1_000 }, () => "x".repeat(10_000));
  assert.throws(() => encode(new Proxy(list, { get: (of, key) => (asked++, of[key]) })), tooLarge);
  assert.ok(asked < 200, `${asked} items were looked at`);
  assert.throws(() => decode(`[1,"${"x".repeat(ENCODED_MAX)}"]`), TypeError);
});

test("texts that encode did not write are refused", () => {
  const malformed = [
    "", "{", "null", "1", "{}", "[]", "[1]", "[2,1]", '["1",1]', "[1,{}]", "[1,[]]", "[1,[2]]", "[1,[1]]", "[1,[0]]",
    "[1,[-2],{}]", "[1,[2.5],{}]",
    "[1,[2,2],{}]", '[1,["other"]]', '[1,["bigint","1e3"]]', '[1,["bigint"]]', '[1,["bigint",5]]',
    '[1,["number","1"]]', '[1,["undefined",1]]',
    "[1,[2],null]", "[1,[2],5]", '[1,[2],"a"]', "[1,[2],[]]", '[1,[2],["other"]]', '[1,[2],["constructor"]]',
    '[1,[2],["array",{}]]',
    '[1,[2],["array",[9]]]', '[1,[2],{"a":{"b":1}}]', '[1,[2],["map",1]]', '[1,[2],["date","now"]]', '[1,[2],["date"]]',
    '[1,[2],["regexp","(","g"]]', '[1,[2],["regexp","a","gg"]]', '[1,[2],["regexp",1,2]]', '[1,[2],["error"]]',
    '[1,[2],["error",1,"",null]]',
    '[1,[2],["error","Error","",5]]', '[1,[2],["boxed",[2]]]', '[1,[2],["boxed",null]]', '[1,[2],["buffer","*"]]',
    '[1,[2],["buffer",5]]',
    '[1,[2],["buffer","AAAA",1]]', '[1,[2],["buffer","",1e300]]', '[1,[2],["view","Uint8Array",[3],0,1],{}]',
    '[1,[2],["view","Function",[3],0,1],["buffer","AA=="]]',
    '[1,[2],["view","Uint8Array",[3],0,9],["buffer","AA=="]]', '[1,[2],["view","Uint8Array",[2],0,1]]',
    '[1,[2],["view","Uint8Array",[3],-1,1],["buffer","AA=="]]',
    '[1,[2],["view","Uint8Array",5,0]]', '[1,[2],["view","__proto__",[3],0],["buffer","AA=="]]',
    '[1,[2],["sparse",1,{"5":1}]]',
    '[1,[2],["sparse",4294967296,{}]]', '[1,[2],["sparse",2,{"length":1}]]', '[1,[2],["sparse",2,[1]]]',
    '[1,[2],["exception","A"]]', "[1,0] x",
  ];
  const refused = { name: "TypeError", message: /^the text is not a structured clone: / };
  for (const text of malformed) assert.throws(() => decode(text), refused, text);
  for (const value of [undefined, null, 5, {}, ["a"]]) assert.throws(() => decode(value), TypeError);
  assert.throws(() => decode("[".repeat(10_000)), TypeError);
  // Entries that nothing refers to do no harm.
  assert.equal(decode('[1,5,["map"],{"a":[2]}]'), 5);
});

test("a program that replaces globals does not change what is decoded", () => {
  const text = encode({ map: new Map([[1, new Date(5)]]), bytes: Uint8Array.of(1, 2) });
  const kept = ["Map", "Date", "Uint8Array", "atob"].map((name) => [name, globalThis[name]]);
  for (const [name] of kept) delete globalThis[name];
  try {
    const { map, bytes } = decode(text);
    assert.equal(map.get(1).getTime() + bytes[1], 7);
  } finally {
    for (const [name, value] of kept) {
      Object.defineProperty(globalThis, name, { value, writable: true, configurable: true });
    }
  }
});
