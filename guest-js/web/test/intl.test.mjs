// Our Intl against Node's, and what bad input does to it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { answers } from "./intl/cases.mjs";
import { report } from "./intl/report.mjs";
import { newWorld } from "./world.mjs";

process.env.TZ = "UTC";
const expected = [...answers()];
delete globalThis.Intl;
await newWorld(({ core, file }) => core || file.includes("intl/"));

test("the answers are Node's", () => {
  const { wrong, text } = report(expected, [...answers()]);
  assert.equal(wrong, 0, text);
});

test("absurd input is refused, and soon", () => {
  const long = "a".repeat(1_000_000);
  const refused = [
    () => new Intl.NumberFormat(long),
    () => new Intl.NumberFormat(`en-u-${"ab-".repeat(100_000)}cd`),
    () => new Intl.NumberFormat("en", { numberingSystem: long }),
    () => new Intl.NumberFormat("en", { style: "unit", unit: `${long}-per-${long}` }),
    () => new Intl.NumberFormat("en", { style: "unit", unit: "acre\tacre" }),
    () => new Intl.NumberFormat("en", { maximumFractionDigits: 1e9 }),
    () => new Intl.DateTimeFormat("en", { timeZone: long }),
    () => new Intl.DateTimeFormat("en", { timeZone: "Europe/Berlin\t" }),
    () => new Intl.DateTimeFormat("en").format(8.64e15 + 1),
    () => new Intl.DisplayNames("en", { type: "region" }).of(long),
    () => new Intl.RelativeTimeFormat("en").format(1, long),
    () => Intl.supportedValuesOf(long),
    () => "a".localeCompare("b", "not a locale"),
    () => "a".toLocaleUpperCase("x"),
  ];
  for (const run of refused) assert.throws(run, RangeError, String(run));
  assert.equal(new Intl.NumberFormat("en").format("1e1000000000"), "∞");
  assert.equal(new Intl.NumberFormat("en").format("-1e-1000000000"), "-0");
  assert.equal(new Intl.NumberFormat("en", { maximumFractionDigits: 100 }).format(0.1), "0.1");
});

test("hooks that a program changes do not change what it is told", () => {
  class Mine extends Intl.NumberFormat {}
  assert.equal(new Mine("en").format(1234.5), "1,234.5");
  assert.throws(() => Intl.NumberFormat.prototype.formatToParts.call({}), TypeError);
  assert.throws(() => Intl.PluralRules("en"), TypeError);
  assert.equal(Intl.NumberFormat("en").format(1), "1");
  assert.deepEqual(Object.keys(Intl.DateTimeFormat.prototype), []);
});
