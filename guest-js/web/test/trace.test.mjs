// elias/trace: spans in the order of the calls that the host gets.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { newWorld } from "./world.mjs";

const FILE = "capabilities/trace.js";
const native = await newWorld(({ file }) => file === FILE);
const { trace } = await import(`../src/${FILE}${native.world}`);

let calls;
let kept;
beforeEach(() => {
  [calls, kept] = [[], true];
  native.beginSpan = (name, parent) => {
    if (!kept) return 0;
    calls.push(["begin", name, parent]);
    return calls.length;
  };
  native.endSpan = (number, failed) => void calls.push(["end", number, failed]);
});

test("a span has the result of its function, and those within it as its parts", () => {
  const result = trace.span("outer", () => trace.span("inner", () => 7));
  assert.equal(result, 7);
  assert.deepEqual(calls, [["begin", "outer", 0], ["begin", "inner", 1], ["end", 2, false], ["end", 1, false]]);
});

test("a span ends when its promise is settled", async () => {
  let resolve;
  const promise = new Promise((fulfil) => (resolve = fulfil));
  const span = trace.span("waits", () => promise);
  assert.equal(calls.length, 1);
  resolve("done");
  assert.equal(await span, "done");
  assert.deepEqual(calls[1], ["end", 1, false]);
});

test("a span whose function throws, or whose promise is rejected, has failed", async () => {
  const error = new Error("broken");
  assert.throws(() => trace.span("throws", () => { throw error; }), error);
  await assert.rejects(trace.span("rejects", async () => { throw error; }), error);
  assert.deepEqual(calls.filter(([what]) => what === "end"), [["end", 1, true], ["end", 3, true]]);
  assert.equal(native.asyncContext(), undefined, "what follows is in no span");
});

test("a span that the host does not keep is its function alone", () => {
  kept = false;
  assert.equal(trace.span("a", () => trace.span("b", () => 1)), 1);
  assert.deepEqual(calls, []);
});

test("a span needs a name and a function", () => {
  for (const [name, callback] of [["", () => {}], [5, () => {}], ["a", undefined]]) {
    assert.throws(() => trace.span(name, callback), TypeError);
  }
});
