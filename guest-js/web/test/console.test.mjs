// The console: formats, levels, and the fields of the structured log.
import assert from "node:assert/strict";
import { test } from "node:test";
import { format, formatWithOptions, inspect } from "node:util";
import { newWorld } from "./world.mjs";

const nodeConsole = console;
const native = await newWorld();
const ours = console;
globalThis.console = nodeConsole;

function logged(run) {
  native.logs.length = 0;
  run();
  return native.logs.map(({ message }) => message).join("\n");
}
const shown = (...args) => logged(() => ours.log(...args));

test("values look as they do in Node", () => {
  class Point {
    x = 1;
  }
  const cases = [
    [["a", 1, null, undefined, true, 10n, Symbol("s"), -0], "a 1 null undefined true 10n Symbol(s) -0"],
    [[{ a: 1, "b-c": "it's" }], `{ a: 1, 'b-c': "it's" }`],
    [[[1, , , 2, "x"]], "[ 1, <2 empty items>, 2, 'x' ]"],
    [[{ a: { b: { c: { d: 1 } } } }], "{ a: { b: { c: [Object] } } }"],
    [[new Map([["k", { v: 1 }]]), new Set([1])], "Map(1) { 'k' => { v: 1 } } Set(1) { 1 }"],
    [[new Point(), {}, [], Object.create(null)], "Point { x: 1 } {} [] [Object: null prototype] {}"],
    [[() => {}, function f() {}, class A extends Point {}], "[Function (anonymous)] [Function: f] [class A extends Point]"],
    [[new Date(0), /x/g, new Uint8Array(2)], "1970-01-01T00:00:00.000Z /x/g Uint8Array(2) [ 0, 0 ]"],
    [[{ get a() { return 1; }, [Symbol("k")]: 2 }], "{ a: [Getter], [Symbol(k)]: 2 }"],
    [[new Headers({ A: "b" }), new WeakSet()], "Headers { a: 'b' } WeakSet { <items unknown> }"],
  ];
  for (const [args, expected] of cases) assert.equal(shown(...args), expected);
  const cycle = { a: 1 };
  cycle.me = cycle;
  assert.equal(shown(cycle), "<ref *1> { a: 1, me: [Circular *1] }");
  assert.match(shown(Array(200).fill(1)), /\.\.\. 100 more items/);
  assert.equal(shown({ a: "x".repeat(50), b: "y".repeat(50) }), `{\n  a: '${"x".repeat(50)}',\n  b: '${"y".repeat(50)}'\n}`);
});

/** Without frames, which differ: ours have those of this file, and Node cuts what causes share. */
const withoutFrames = (text) => text.replace(/\n\s+(?:at |\.\.\. \d+ lines matching)[^\n]*/g, "");

test("every kind of value looks as it does in Node", () => {
  class Point {
    x = 1;
    get y() {
      return 2;
    }
  }
  class Bag extends Map {
    label = "b";
  }
  const cycle = { name: "c" };
  cycle.list = [cycle];
  const values = [
    [1.5, -0, "it's", 'say "it\'s"', "\u0000\u007f\ud800", "x".repeat(100)],
    ["x".repeat(100), `${"line\n".repeat(30)}`],
    Array.from({ length: 120 }, (_, at) => at),
    Array.from({ length: 30 }, (_, at) => `item${at}`),
    ["日本語", "한국어", "é", "a", "b", "c", "d", "日", "語"],
    Object.assign([1, , 3], { extra: true }),
    new Point(),
    Point,
    Point.prototype,
    class extends Point {},
    Object.assign(() => {}, { a: 1 }),
    [function* g() {}, async () => {}, async function* ag() {}, Object.setPrototypeOf(function f() {}, null)],
    new Bag([["k", { v: [1, [2, [3]]] }]]),
    new (class Tags extends Set {})([1, "a"]),
    new (class List extends Array {})(1, 2),
    Object.setPrototypeOf(new Map([[1, 2]]), null),
    Object.assign(Object.create(null), { a: 1 }),
    Object.create(Object.create(null)),
    { [Symbol.toStringTag]: "Tag", a: 1 },
    new (class X { get [Symbol.toStringTag]() { return "Y"; } })(),
    cycle,
    { a: cycle, b: cycle },
    { $: 1, "a-b": 2, 1: 3, "": 4, é: 5, [Symbol("s t")]: 6, __proto__: null },
    { get a() { return 1; }, set a(_) {}, get b() { return 1; }, set c(_) {} },
    new Uint16Array([1, 2]),
    [new ArrayBuffer(4), new DataView(new ArrayBuffer(2)), new SharedArrayBuffer(1)],
    [new WeakMap(), new WeakSet()],
    [new Number(3), new String("ab"), Object(5n), Object(Symbol("q")), new Boolean(false)],
    Object.assign(new String("ab"), { c: 1 }),
    [/x/gi, Object.assign(/y/, { z: 1 }), new Date(0), new Date(NaN), new (class D extends Date {})(0)],
    (function () { return arguments; })(1, { a: 2 }),
    { a: { b: { c: {} } }, d: { e: { f: [] } }, g: { h: { i: [1] } } },
    { [inspect.custom]: (depth, options) => `custom ${depth} ${options.compact}` },
    { [inspect.custom]: () => ({ shown: [1, 2] }) },
    { inner: { [inspect.custom]: () => "two\nlines" } },
    [Math, JSON, Symbol("a b"), null, undefined, NaN, 10n],
    new Array(5),
    [[[[]]]],
    { long: "a".repeat(60), other: { nested: ["b".repeat(30), "c".repeat(30)] } },
  ];
  for (const value of values) assert.equal(shown(value), format(value));
  // Node's test runner gives promises properties of its own.
  const rejected = Promise.reject("why");
  rejected.catch(() => {});
  assert.match(shown(Promise.resolve(4)), /^Promise \{\s+4[, ]/);
  assert.match(shown(new Promise(() => {})), /^Promise \{\s+<pending>[, ]/);
  assert.match(shown(rejected), /^Promise \{\s+<rejected> 'why'[, ]/);
});

test("every kind of error looks as it does in Node", () => {
  class Plain extends Error {}
  class Wrong extends TypeError {}
  class Named extends Error {
    name = "Named";
    code = "E_NAMED";
  }
  const own = new Error("own");
  own.cause = own;
  const errors = [
    new Error("a"),
    new Error(""),
    new Plain("p"),
    new Wrong("w"),
    new Named("n"),
    new (class extends Error {})("anonymous"),
    new Error("a", { cause: new Plain("inner", { cause: { x: 1 } }) }),
    new Error("a", { cause: undefined }),
    new AggregateError([new Error("1"), new Wrong("2")], "all"),
    Object.assign(new Error("a"), { code: 5, extra: { deep: { deeper: { deepest: 1 } } } }),
    Object.assign(new Error("a"), { stack: "a stack of its own" }),
    Object.assign(new Error("a"), { stack: undefined }),
    own,
    { in: [new Error("nested")] },
    { a: { b: { c: { d: new Error("too deep") } } } },
  ];
  for (const error of errors) assert.equal(withoutFrames(shown(error)), withoutFrames(format(error)));
});

test("util.inspect takes Node's options", async () => {
  const ours = (await import(`../src/node/util.js${native.world}`)).default;
  const value = {
    b: [1, 2, { c: new Map([["k", { deep: { er: 1 } }]]) }], a: "text", get g() { return { h: 1 }; }, n: 1234567.891,
  };
  const hidden = Object.defineProperty({ seen: 1 }, "hidden", { value: [1] });
  const options = [
    { depth: 0 }, { depth: null }, { depth: -1 }, { sorted: true }, { sorted: (a, b) => (a < b ? 1 : -1) },
    { getters: true },
    { getters: "set" }, { compact: false }, { compact: true }, { compact: 1 }, { breakLength: 30 },
    { breakLength: Infinity },
    { maxArrayLength: 1 }, { maxStringLength: 2 }, { numericSeparator: true }, { showHidden: true, getters: true },
  ];
  for (const given of options) assert.equal(ours.inspect(value, given), inspect(value, given), JSON.stringify(given));
  assert.equal(ours.inspect(hidden, { showHidden: true }), inspect(hidden, { showHidden: true }));
  assert.equal(ours.inspect(hidden, true), inspect(hidden, true));
  const colored = [
    null, undefined, true, "s", 1, 2n, Symbol("y"), new Date(0), /r/, () => {}, [,], { a: 1 }, new Error("e").message,
  ];
  assert.equal(ours.inspect(colored, { colors: true }), inspect(colored, { colors: true }));
  const args = [{ depth: 0, colors: true }, "%s %O", 1, value, value];
  assert.equal(ours.formatWithOptions(...args), formatWithOptions(...args));
  assert.throws(() => ours.formatWithOptions(5), { code: "ERR_INVALID_ARG_TYPE" });
});

test("errors come with stack, cause and properties", () => {
  const error = Object.assign(new TypeError("bad", { cause: "why" }), { code: 7 });
  const text = shown(error);
  assert.match(text, /^TypeError: bad\n {4}at /);
  assert.match(text, /code: 7/);
  assert.match(text, /\[cause\]: 'why'/);
  error.stack = "    at f (app.js:1:2)\n";
  assert.match(shown(error), /^TypeError: bad\n {4}at f \(app\.js:1:2\) \{/);
});

test("what throws when it is looked at does not break the log", () => {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  assert.equal(shown(proxy), "<Revoked Proxy>");
  const hostile = {
    get [Symbol.toStringTag]() {
      throw new Error("no tag");
    },
  };
  assert.equal(shown({ a: [hostile], b: 1 }), "{ a: [ [object that cannot be shown: no tag] ], b: 1 }");
});

test("format specifiers", () => {
  const all = shown("%s is %d, %i, %f%% %j %c%o", "x", "4", 4.7, "1.5", { a: 1 }, "css", [1], "rest");
  assert.equal(all, 'x is 4, 4, 1.5% {"a":1} [ 1, [length]: 1 ] rest');
  assert.equal(shown("100%", "%s"), "100% %s");
  class Money {
    toString() {
      return "5 EUR";
    }
  }
  const lists = [
    ["%s %s %s", {}, { a: { b: 1 } }, [1, [2]]],
    [
      "%s %s %s %s", new Money(), new (class extends Money {})(), Object.create({ toString: () => "inherited" }),
      new Date(0),
    ],
    ["%s %s %s", Object.create(null), class A {}, Symbol("s")],
    ["%d %d %d %d %d", "", null, {}, 5n, Symbol("s")],
    ["%i %i %f %f", 1.9, 5n, "1.5x", Symbol("s")],
    ["%s %s", -0, 123456789012345678901234567890n],
    ["%o", { f() {} }],
    ["%O %j", { a: { b: { c: { d: 1 } } } }, { a: [1] }],
    ["%% %x %s"],
    ["%%", 1],
    ["a", "b", { c: 1 }, 5n],
    [{ a: 1 }, "%s", "b"],
  ];
  for (const args of lists) assert.equal(shown(...args), format(...args));
  const cycle = {};
  cycle.me = cycle;
  assert.equal(shown("%j", cycle), "[Circular]");
  assert.equal(shown("%s"), "%s");
});

test("lines of a stack that the cause has too are left out, and %j throws what toJSON throws", () => {
  const stack = (title, lines) => [title, ...lines.map((line) => `    at ${line}`)].join("\n");
  const common = ["a (x.js:1:1)", "b (x.js:2:1)", "c (x.js:3:1)", "d (x.js:4:1)", "e (x.js:5:1)"];
  for (const [outer, inner] of [
    [["o (x.js:9:9)", ...common], ["i (x.js:8:8)", ...common]], [common, common], [common.slice(0, 3), common],
    [common.slice(0, 4), common],
    [["o (x.js:9:9)"], ["i (x.js:8:8)"]], [[...common, "z (x.js:7:7)"], [...common, "y (x.js:6:6)"]], [common, []],
    [[], common],
  ]) {
    const cause = Object.assign(new Error("inner"), { stack: stack("Error: inner", inner) });
    const error = Object.assign(new Error("outer", { cause }), { stack: stack("Error: outer", outer) });
    // They were made here, where the property is not enumerable.
    assert.equal(shown(error), inspect(error), `${outer} | ${inner}`);
    assert.equal(shown({ error }), inspect({ error }));
  }
  const thrower = { toJSON() { throw new RangeError("no"); } };
  for (const show of [format, (...args) => ours.log(...args)]) {
    assert.throws(() => show("%j", thrower), { name: "RangeError", message: "no" });
  }
  for (const show of [format, (...args) => ours.log(...args)]) assert.throws(() => show("%j", 1n), TypeError);
});

test("iterators of Maps and Sets show what they have still to give", () => {
  const [map, set] = [new Map([["a", { b: 1 }], ["c", 2]]), new Set([1, "x"])];
  const begun = map.keys();
  begun.next();
  const done = set.values();
  for (const _ of done);
  for (const value of [
    map.keys(), map.values(), map.entries(), map[Symbol.iterator](), set.values(), set.entries(), begun, done,
    new Map().keys(), [map.keys()],
    { a: { b: { c: map.keys() } } },
  ]) {
    assert.equal(shown(value), inspect(value));
  }
  assert.deepEqual(begun.next(), { value: "c", done: false });
});

test("levels, groups, counters, timers, assert, table", () => {
  logged(() => ["trace", "debug", "info", "warn", "error"].forEach((name) => ours[name](name)));
  assert.deepEqual(native.logs.map(({ level }) => level), [2, 1, 2, 3, 4]); // trace is shown like info
  assert.match(native.logs[0].message, /^Trace: trace\n {4}at .*console\.test/);
  const text = logged(() => {
    ours.group("g");
    ours.log("in\nside");
    ours.groupEnd();
    ours.count();
    ours.count("default");
    ours.countReset();
    ours.countReset("none");
    ours.assert(true, "no");
    ours.assert(false, "yes %d", 1);
  });
  assert.equal(
    text,
    'g\n  in\n  side\ndefault: 1\ndefault: 2\nThere is no count "none"\nAssertion failed: yes 1',
  );
  assert.match(logged(() => (ours.time("t"), ours.timeEnd("t"))), /^t: \d+\.\d{3}ms$/);
  assert.equal(
    logged(() => ours.table([{ a: 1 }, { a: "x" }])),
    "┌─────────┬─────┐\n│ (index) │ a   │\n├─────────┼─────┤\n│ 0       │ 1   │\n│ 1       │ 'x' │\n└─────────┴─────┘",
  );
});

test("console.table of a Map, a Set, and values among rows", () => {
  const table = (data, columns) => logged(() => ours.table(data, columns));
  assert.equal(table(new Set([5])).split("\n")[1], "│ (iteration index) │ Values │");
  assert.equal(table(new Map([["k", { a: 1 }]])).split("\n")[3], "│ 0                 │ 'k' │ { a: 1 } │");
  assert.equal(table([{ a: 1, b: 2 }, 3], ["b"]).split("\n")[1], "│ (index) │ b │ Values │");
});

test("the arguments as JSON: always valid, never large", () => {
  const cycle = { n: 1n, f() {}, e: new RangeError("r"), m: new Map([[1, 2]]), nan: NaN };
  cycle.self = cycle;
  const twice = {};
  shown("a", cycle, [twice, twice]);
  const [text, object, pair] = JSON.parse(native.logs[0].json);
  assert.equal(text, "a");
  assert.equal(object.n, "1");
  assert.equal(object.self, "[circular]");
  assert.equal(object.e.message, "r");
  assert.deepEqual(object.m, [[1, 2]]);
  assert.deepEqual(pair, [{}, {}]);
  const wide = Object.fromEntries(Array.from({ length: 5000 }, (_, at) => [`key${at}`, at]));
  const deep = [];
  for (let at = deep, level = 0; level < 5000; level++) at.push((at = []));
  for (const value of ["é".repeat(100000), Array(1e6).fill("x"), Array(90).fill(Array(90).fill(Array(90).fill("€"))), wide, deep, "\u0001".repeat(9000)]) {
    shown([value]);
    const { json } = native.logs[0];
    JSON.parse(json);
    assert.ok(Buffer.byteLength(json) <= 16384, `${Buffer.byteLength(json)}`);
  }
  for (const args of [["text", 1, true, null, undefined, 2n, Symbol("s")], ["x".repeat(100000)], []]) {
    shown(...args);
    assert.equal(native.logs[0].json, ""); // the message says it all
  }
  shown({ toJSON() { throw new Error("x"); } });
  assert.match(native.logs[0].json, /no JSON form: x/);
});
