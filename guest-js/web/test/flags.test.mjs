// elias/flags: evaluations as OpenFeature has them, over a fake of the host.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { newWorld } from "./world.mjs";

const FILE = "capabilities/flags.js";
const native = await newWorld(({ file }) => file === FILE);
const { flags } = await import(`../src/${FILE}${native.world}`);

let asked;
let answer;
beforeEach(() => {
  asked = [];
  answer = { variant: "on", value: "true", reason: "TARGETING_MATCH" };
  native.flagsEvaluate = (...question) => (asked.push(question), answer);
});

test("an evaluation gives the value of the variant, and its details", () => {
  const context = { targetingKey: "ada", since: new Date(0), plan: "pro" };
  assert.equal(flags.getBooleanValue("checkout", false, context), true);
  assert.deepEqual(asked, [
    ["checkout", "boolean", '{"targetingKey":"ada","since":"1970-01-01T00:00:00.000Z","plan":"pro"}'],
  ]);
  answer.metadata = '{"team":"web"}';
  assert.deepEqual(flags.getBooleanDetails("checkout", false), {
    flagKey: "checkout", value: true, variant: "on", reason: "TARGETING_MATCH", flagMetadata: { team: "web" },
  });
  assert.equal(asked[1][2], "{}");
});

test("every type has its evaluations", () => {
  for (const [type, value, otherwise] of [
    ["Boolean", true, false], ["String", "a", "b"], ["Number", 2.5, 1], ["Object", { a: [1] }, {}], ["Object", [1], []],
  ]) {
    answer = { variant: "v", value: JSON.stringify(value), reason: "STATIC" };
    assert.deepEqual(flags[`get${type}Value`]("f", otherwise), value);
    assert.equal(flags[`get${type}Details`]("f", otherwise).variant, "v");
    assert.equal(asked.at(-1)[1], type.toLowerCase());
  }
});

test("a disabled flag gives the default", () => {
  answer = { reason: "DISABLED" };
  const { value, variant, reason, errorCode } = flags.getStringDetails("f", "default");
  assert.deepEqual([value, variant, reason, errorCode], ["default", undefined, "DISABLED", undefined]);
});

test("what fails gives the default and says why, and never throws", () => {
  answer = { errorCode: "FLAG_NOT_FOUND", errorMessage: "the flag `f` does not exist" };
  assert.deepEqual(flags.getNumberDetails("f", 3), {
    flagKey: "f", value: 3, reason: "ERROR", errorCode: "FLAG_NOT_FOUND",
    errorMessage: "the flag `f` does not exist", flagMetadata: {},
  });
  asked = [];
  const cycle = {};
  cycle.self = cycle;
  for (const context of [cycle, { big: 1n }]) {
    assert.equal(flags.getBooleanDetails("f", true, context).errorCode, "INVALID_CONTEXT");
    assert.equal(flags.getBooleanValue("f", true, context), true);
  }
  for (const [method, wrong] of [
    ["getBooleanDetails", "true"], ["getNumberDetails", "1"], ["getStringDetails", 1], ["getObjectDetails", null],
  ]) {
    const { value, errorCode } = flags[method]("f", wrong);
    assert.deepEqual([value, errorCode], [wrong, "TYPE_MISMATCH"]);
  }
  assert.deepEqual(asked, [], "the host was not asked");
});

test("the provider is one that OpenFeature's SDK for servers takes", async () => {
  const { provider } = flags;
  assert.equal(provider.metadata.name, "elias");
  assert.equal(provider.runsOn, "server");
  const resolved = provider.resolveBooleanEvaluation("f", false, { targetingKey: "ada" }, console);
  assert.ok(resolved instanceof Promise);
  assert.deepEqual([(await resolved).value, (await resolved).variant], [true, "on"]);
  answer = { errorCode: "TARGETING_KEY_MISSING", errorMessage: "no key" };
  assert.equal((await provider.resolveObjectEvaluation("f", {}, {})).errorCode, "TARGETING_KEY_MISSING");
});
