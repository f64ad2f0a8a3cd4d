// Reads the Unicode CLDR's JSON packages.
import { existsSync, readFileSync } from "node:fs";

const packages = new URL("../node_modules/", import.meta.url);

const files = new Map();

/** A file of a package, for example `cldr-core/supplemental/plurals.json`. */
export function read(file) {
  if (!file.includes("/supplemental/")) return JSON.parse(readFileSync(new URL(file, packages), "utf8"));
  if (!files.has(file)) files.set(file, JSON.parse(readFileSync(new URL(file, packages), "utf8")));
  return files.get(file);
}

/** The data of a locale in a file, for example `de`, `cldr-dates-full`, `ca-gregorian`. */
export const inLocale = (tag, name, file) => read(`${name}/main/${tag}/${file}.json`).main[tag];

/** Whether a locale has a file. */
export const hasFile = (tag, name, file) => existsSync(new URL(`${name}/main/${tag}/${file}.json`, packages));

export const supplemental = (file) => read(`cldr-core/supplemental/${file}.json`).supplemental;

/** A table as one text, which costs an image its bytes and no objects: lines `\nkey\tvalue\tvalue`. */
export function table(rows) {
  for (const cell of rows.flat()) if (/[\t\n]/.test(cell)) throw new Error(`a cell of a table cannot hold ${JSON.stringify(cell)}`);
  return rows.map((row) => `\n${row.join("\t")}`).join("");
}

/** Language, script and region that a tag most likely means. */
export function likely(tag) {
  const subtags = supplemental("likelySubtags").likelySubtags;
  const [language, ...rest] = tag.split("-");
  const script = rest.find((part) => /^[A-Z][a-z]{3}$/.test(part));
  const region = rest.find((part) => /^(?:[A-Z]{2}|[0-9]{3})$/.test(part));
  const keys = [[language, script, region], [language, script], [language, region], [language]].map((key) => key.filter(Boolean).join("-"));
  const found = (subtags[keys.find((key) => subtags[key] !== undefined)] ?? "und-Zzzz-ZZ").split("-");
  return { language, script: script ?? found[1], region: region ?? found[2] };
}
