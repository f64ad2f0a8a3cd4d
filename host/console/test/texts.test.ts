import { readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { LOCALES, getLocale, m, useLocale, type Locale, type Text } from "../src/lib/texts";
import { ago, bytes, duration, number } from "../src/lib/format";

const root = join(import.meta.dirname, "..");
const read = (locale: Locale): Record<string, Text> =>
  JSON.parse(readFileSync(join(root, `messages/${locale}.json`), "utf8")) as Record<string, Text>;
const texts = Object.fromEntries(LOCALES.map((locale) => [locale, read(locale)])) as Record<
  Locale,
  Record<string, Text>
>;

const forms = (text: Text): string[] =>
  typeof text === "string" ? [text] : Object.entries(text).flatMap(([name, form]) => (name === "by" ? [] : [form]));
const placeholders = (text: Text): string[] =>
  [...new Set(forms(text).flatMap((form) => [...form.matchAll(/\{(\w+)\}/g)].map((found) => found[1] ?? "")))].sort();

function sources(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    if (statSync(path).isDirectory()) return sources(path);
    return /\.(ts|svelte)$/.test(name) && !path.endsWith("api/schema.ts") ? [readFileSync(path, "utf8")] : [];
  });
}
const code = sources(join(root, "src"));

afterEach(() => useLocale("en"));

describe.each(LOCALES)("the texts in %s", (locale) => {
  test("are all that there are in English, and no others", () => {
    expect(Object.keys(texts[locale]).sort()).toEqual(Object.keys(texts.en).sort());
  });

  test("have the placeholders of the English ones, and are not empty", () => {
    for (const [key, text] of Object.entries(texts[locale])) {
      expect(placeholders(text), key).toEqual(placeholders(texts.en[key] as Text));
      for (const form of forms(text)) expect(form.trim(), key).not.toBe("");
    }
  });

  test("have every form that numbers of the language take", () => {
    const { pluralCategories } = new Intl.PluralRules(locale).resolvedOptions();
    for (const [key, text] of Object.entries(texts[locale])) {
      if (typeof text === "string") continue;
      expect(
        Object.keys(text)
          .filter((name) => name !== "by")
          .sort(),
        key,
      ).toEqual([...pluralCategories].sort());
    }
  });
});

test("each text is used, and each use gives the values that its text has", () => {
  const all = code.join("\n");
  const used = new Set([...all.matchAll(/\bm\.([a-z_0-9]+)/g)].map((found) => found[1] ?? ""));
  expect([...used].filter((key) => !(key in texts.en))).toEqual([]);
  expect(Object.keys(texts.en).filter((key) => !used.has(key))).toEqual([]);
  // Every call with its arguments, up to the bracket that closes it.
  for (const source of code) {
    for (const found of source.matchAll(/\bm\.([a-z_0-9]+)\(/g)) {
      const key = found[1] ?? "";
      let depth = 1;
      let end = found.index + found[0].length;
      const begin = end;
      for (; depth > 0 && end < source.length; end += 1) {
        if (source[end] === "(") depth += 1;
        else if (source[end] === ")") depth -= 1;
      }
      const argument = source.slice(begin, end - 1).trim();
      if (argument !== "" && !argument.startsWith("{")) continue;
      const names = topLevelNames(argument);
      expect(names, `m.${key}`).toEqual(placeholders(texts.en[key] as Text));
    }
  }
});

function topLevelNames(literal: string): string[] {
  const names: string[] = [];
  let depth = 0;
  let piece = "";
  for (const character of literal.slice(1, -1)) {
    if ("([{".includes(character)) depth += 1;
    if (")]}".includes(character)) depth -= 1;
    if (character === "," && depth === 0) {
      names.push(piece);
      piece = "";
    } else piece += character;
  }
  names.push(piece);
  return names
    .map((name) => (name.split(":")[0] ?? "").trim())
    .filter(Boolean)
    .sort();
}

test("numbers take the forms of their language", async () => {
  await useLocale("ru");
  expect([1, 2, 5, 11, 21, 104].map((count) => m.jobs_changed({ count }))).toEqual([
    "Изменено 1 задание",
    "Изменено 2 задания",
    "Изменено 5 заданий",
    "Изменено 11 заданий",
    "Изменено 21 задание",
    "Изменено 104 задания",
  ]);
  await useLocale("uz");
  expect(m.jobs_changed({ count: 5 })).toBe("5 ta vazifa oʻzgardi");
  await useLocale("en");
  expect([1, 2].map((count) => m.jobs_changed({ count }))).toEqual(["1 job changed", "2 jobs changed"]);
});

test("a value is no placeholder of its text", async () => {
  await useLocale("en");
  expect(m.version_of({ component: "{version}", version: 2 })).toBe("{version}, version 2");
});

test("sizes, durations and times are in the language of the page", async () => {
  await useLocale("ru");
  expect(getLocale()).toBe("ru");
  expect(number(1234567.891).replace(/\s/g, " ")).toBe("1 234 567,89");
  await useLocale("en");
  // The words are those of the browser's Intl; the sizes are ours.
  expect([bytes(999), bytes(1_500), bytes(12_345_678)].map((text) => text.replace(/[^0-9.,]/g, ""))).toEqual([
    "999",
    "1.5",
    "12.3",
  ]);
  expect([bytes(1_500), bytes(12_345_678)]).toEqual([expect.stringContaining("kB"), expect.stringContaining("MB")]);
  expect([duration(12), duration(2_500), duration(3_000_000), duration(600_000_000)].map(parseFloat)).toEqual([
    12, 2.5, 3, 10,
  ]);
  const now = 1_800_000_000_000;
  expect(ago(now - 5_000, now)).toMatch(/^5 .* ago$/);
  expect(ago(now + 3_600_000 * 3, now)).toMatch(/^in 3 /);
});
