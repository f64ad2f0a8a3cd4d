// The console: formats, levels, and the fields of the structured log.
import assert from "node:assert/strict";
import { test } from "node:test";
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
  assert.match(shown(proxy), /cannot be shown/);
});

test("format specifiers", () => {
  assert.equal(shown("%s is %d, %i, %f%% %j %c%o", "x", "4", 4.7, "1.5", { a: 1 }, "css", [1], "rest"), 'x is 4, 4, 1.5% {"a":1} [ 1 ] rest');
  assert.equal(shown("100%", "%s"), "100% %s");
  assert.equal(shown("%s"), "%s");
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
