// Writes what Intl knows of every locale but English into one file, from which elias-build takes what a component asks for.
//
// The file: a little-endian u32, that many bytes of JSON, and brotli streams, one for each language. The JSON is
// `{ locales: [[tag, stream, line, names]], streams: [[offset, bytes]], parents: { tag: tag } }`, offsets from the end of the JSON,
// where `names` are the other tags that mean the same. A stream is lines of JSON, a locale each.
import { brotliCompressSync, constants } from "node:zlib";
import { likely, read, supplemental } from "./cldr.mjs";
import { dates } from "./dates.mjs";
import { lists } from "./lists.mjs";
import { names } from "./names.mjs";
import { numbers } from "./numbers.mjs";
import { plurals } from "./plurals.mjs";
import { relative } from "./relative.mjs";
import { tailoring } from "./tailoring.mjs";
import { zoneNames } from "./zone-names.mjs";

export const madeFrom = ["cldr-bcp47", "cldr-core", "cldr-dates-full", "cldr-localenames-full", "cldr-misc-full", "cldr-numbers-full", "cldr-units-full"];

const { effectiveCoverageLevels } = read("cldr-core/coverageLevels.json");
const { full } = read("cldr-core/availableLocales.json").availableLocales;
const defaultContent = new Set(read("cldr-core/defaultContent.json").defaultContent);

/** The locales that the Unicode CLDR covers at the level "modern". */
export const LOCALES = full.filter((tag) => effectiveCoverageLevels[tag] === "modern" && tag !== "und" && tag !== "en" && !/-[a-z0-9]{5,8}$/.test(tag)).sort();

const parse = (tag) => {
  const [language, ...rest] = tag.split("-");
  return { language, script: rest.find((part) => part.length === 4) ?? "", region: rest.find((part) => part.length === 2 || /^\d{3}$/.test(part)) ?? "" };
};

/** Other tags for the same: with what is likely anyway added, or left out where that changes nothing. */
export function otherNames(tag) {
  const { language, script, region } = likely(tag);
  const own = parse(tag);
  const others = new Set();
  const add = (...parts) => others.add(parts.filter((part) => part !== "").join("-"));
  const isDefault = own.region === "" && (defaultContent.has(`${tag}-${region}`) || tag.split("-").length === 1);
  if (own.script === "") add(language, script, own.region);
  if (isDefault) {
    add(language, script, region);
    if (likely(`${language}-${region}`).script === script) add(language, region);
  } else if (own.region !== "" && likely(`${language}-${region}`).script === script) {
    add(language, region);
  }
  if (likely(language).script === script && likely(language).region === region) add(language);
  return [...others].filter((other) => other !== tag && !LOCALES.includes(other));
}

export function localeOf(tag) {
  return {
    plurals: plurals(tag), numbers: numbers(tag), dates: dates(tag), zones: zoneNames(tag), relative: relative(tag), lists: lists(tag), names: names(tag), collation: tailoring(tag),
  };
}

export function archive() {
  const byLanguage = Map.groupBy?.(LOCALES, (tag) => tag.split("-")[0]) ?? LOCALES.reduce((groups, tag) => {
    const [language] = tag.split("-");
    return groups.set(language, [...(groups.get(language) ?? []), tag]);
  }, new Map());
  const locales = [];
  const streams = [];
  const chunks = [];
  let offset = 0;
  for (const tags of byLanguage.values()) {
    const text = tags.map((tag) => JSON.stringify(localeOf(tag))).join("\n");
    const bytes = Buffer.from(text);
    const stream = brotliCompressSync(bytes, {
      params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGWIN]: 24, [constants.BROTLI_PARAM_MODE]: constants.BROTLI_MODE_TEXT, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length },
    });
    tags.forEach((tag, line) => locales.push([tag, streams.length, line, otherNames(tag)]));
    streams.push([offset, stream.length]);
    chunks.push(stream);
    offset += stream.length;
  }
  const { parentLocale } = supplemental("parentLocales").parentLocales;
  const parents = Object.fromEntries(Object.entries(parentLocale).filter(([, parent]) => parent !== "und"));
  const head = Buffer.from(JSON.stringify({ locales, streams, parents }));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(head.length);
  return Buffer.concat([length, head, ...chunks]);
}
