// Intl in other locales than English against Node's, with the data that `[build] locales` brings into a component.
import assert from "node:assert/strict";
import { test } from "node:test";
import { addLocales } from "./intl/add-locales.mjs";
import { answers } from "./intl/cases.mjs";
import { cases, LOCALES } from "./intl/locale-cases.mjs";
import { report } from "./intl/report.mjs";
import { newWorld } from "./world.mjs";

process.env.TZ = "UTC";
const expected = new Map(LOCALES.map((tag) => [tag, [...answers(0, Infinity, cases([tag]))]]));
delete globalThis.Intl;
await newWorld(({ core, file }) => core || file.includes("intl/"));

test("without their data, other locales are answered in English, and it is said so", () => {
  assert.equal(new Intl.NumberFormat("de").resolvedOptions().locale, "en-US");
  assert.equal(new Intl.DateTimeFormat(["pl", "en"]).resolvedOptions().locale, "en");
  assert.deepEqual(Intl.PluralRules.supportedLocalesOf(["pl", "en-GB", "zh-TW"]), ["en-GB"]);
  assert.equal((1234.5).toLocaleString("de"), "1,234.5");
});

addLocales(await import("../src/intl/support.js?world=1"), [...LOCALES, "es-419", "nb", "zh"]);

for (const tag of LOCALES) {
  test(`the answers in ${tag} are Node's`, () => {
    const { wrong, text } = report(expected.get(tag), [...answers(0, Infinity, cases([tag]))]);
    assert.equal(wrong, 0, text);
  });
}

test("a request gets the nearest locale that there is, in its own script", () => {
  const found = (tag) => new Intl.NumberFormat(tag).resolvedOptions().locale;
  assert.equal(found("de-DE"), "de-DE");
  assert.equal(found("de-AT"), "de-AT");
  assert.equal(found("de-LU"), "de");
  assert.equal(found("de-AT-u-nu-arab"), "de-AT-u-nu-arab");
  assert.equal(found("zh-TW"), "zh-TW");
  assert.equal(found("zh-HK"), "zh-Hant");
  assert.equal(found("zh-CN"), "zh-CN");
  assert.equal(found("zh-SG"), "zh");
  assert.equal(found("es-MX"), "es-419");
  assert.equal(found("es-ES"), "es-ES");
  assert.equal(found("no"), "nb");
  assert.equal(found("pt-BR"), "en-US");
  assert.equal(found("pt-PT"), "pt-PT");
  assert.equal(found("de-Cyrl"), "en-US");
  assert.equal(found(["xx", "sv-FI", "de"]), "sv");
  assert.equal(found("en-AU"), "en");
  assert.deepEqual(Intl.Collator.supportedLocalesOf(["de-LU", "it", "zh-HK"]), ["de-LU", "zh-HK"]);
  // The locale of whoever names none stays.
  assert.equal(new Intl.DateTimeFormat().resolvedOptions().locale, "en-US");
  assert.equal((1234.5).toLocaleString(), "1,234.5");
});

test("the order of letters is the locale's", () => {
  const sort = (tag, text) => text.split(" ").sort(new Intl.Collator(tag).compare).join(" ");
  assert.equal(sort("sv", "ö z a å ä"), "a z å ä ö");
  assert.equal(sort("de", "ö z a å ä"), "a å ä ö z");
  assert.equal(sort("cs", "chata cizí had ibis"), "cizí had chata ibis");
  assert.equal(sort("pl", "łan lato mak las"), "las lato łan mak");
  assert.equal(sort("ru", "z а я"), "а я z");
  assert.equal(sort("zh", "中 一 阿"), "阿 一 中");
  assert.equal(["İ", "ı", "i", "h"].sort((a, b) => a.localeCompare(b, "tr")).join(""), "hıiİ");
});
