// Writes what Intl knows of every locale but English into one file, from which elias-build takes what a component asks for.
//
// The file: a little-endian u32, that many bytes of JSON, and brotli streams, one for each language. The JSON is
// `{ locales: [[tag, stream, line, names]], streams: [[offset, bytes]], parents: { tag: tag } }`, offsets from the end of the JSON,
// where `names` are the other tags that mean the same. A stream is lines of JSON, a locale each: the first is whole, the others are
// what they have in other places of it, by JSON pointers (RFC 6901).
import { promisify } from "node:util";
import { brotliCompress, constants } from "node:zlib";
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

/** The differences of `own` from `base`, by JSON pointers. Both have the same shape down to where they differ. */
function difference(base, own, pointer = "", found = {}) {
  const isPlain = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
  if (isPlain(base) && isPlain(own) && Object.keys(base).join("\n") === Object.keys(own).join("\n")) {
    for (const key of Object.keys(own)) difference(base[key], own[key], `${pointer}/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`, found);
  } else if (JSON.stringify(base) !== JSON.stringify(own)) {
    found[pointer] = own;
  }
  return found;
}

const compress = promisify(brotliCompress);

export async function archive() {
  const byLanguage = Map.groupBy?.(LOCALES, (tag) => tag.split("-")[0]) ?? LOCALES.reduce((groups, tag) => {
    const [language] = tag.split("-");
    return groups.set(language, [...(groups.get(language) ?? []), tag]);
  }, new Map());
  const locales = [];
  // Compressed beside one another, for it takes half a minute in all.
  const chunks = await Promise.all([...byLanguage.values()].map((tags, stream) => {
    const [first, ...others] = tags.map(localeOf);
    const bytes = Buffer.from([first, ...others.map((own) => difference(first, own))].map((value) => JSON.stringify(value)).join("\n"));
    tags.forEach((tag, line) => locales.push([tag, stream, line, otherNames(tag)]));
    return compress(bytes, {
      params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGWIN]: 24, [constants.BROTLI_PARAM_MODE]: constants.BROTLI_MODE_TEXT, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length },
    });
  }));
  const streams = [];
  let offset = 0;
  for (const { length } of chunks) {
    streams.push([offset, length]);
    offset += length;
  }
  const { parentLocale } = supplemental("parentLocales").parentLocales;
  const parents = Object.fromEntries(Object.entries(parentLocale).filter(([, parent]) => parent !== "und"));
  const head = Buffer.from(JSON.stringify({ locales, streams, parents }));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(head.length);
  return Buffer.concat([length, head, ...chunks]);
}
