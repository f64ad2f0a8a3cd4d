// The plural rules of a language, parsed already, so that no component has to parse them.
import { supplemental } from "./cldr.mjs";

const ORDER = ["zero", "one", "two", "few", "many", "other"];

/** CLDR's entry for a language in a table by tags: that of the tag, or of the longest prefix. */
function ofTag(entries, tag) {
  for (let key = tag; key !== ""; key = key.slice(0, Math.max(key.lastIndexOf("-"), 0))) if (entries[key] !== undefined) return entries[key];
  return undefined;
}

/** `n % 10 = 3..4,9` as `["n", 10, true, [3, 4, 9, 9]]`: operand, modulus (0 is none), whether it holds within, the ranges. */
function relation(text) {
  const [, operand, , modulus = "0", not, values] = /^([nivwftce])(\s*%\s*(\d+))?\s*(!?=)\s*([\d.,]+)$/.exec(text.trim());
  const ranges = values.split(",").flatMap((range) => {
    const [low, high = low] = range.split("..");
    return [Number(low), Number(high)];
  });
  return [operand, Number(modulus), not === "=", ranges];
}

/** The rules of a kind: `[category, [[relation, ...], ...]]`, one of whose lists must hold. */
function rules(kind, tag) {
  const found = ofTag(supplemental(kind === "cardinal" ? "plurals" : "ordinals")[`plurals-type-${kind}`], tag) ?? {};
  return ORDER.filter((category) => category !== "other" && found[`pluralRule-count-${category}`] !== undefined).map((category) => {
    const [condition] = found[`pluralRule-count-${category}`].split("@");
    return [category, condition.split(" or ").map((all) => all.split(" and ").map(relation))];
  });
}

/** The cardinal categories of a language, "other" last. */
export const categoriesOf = (tag) => [...rules("cardinal", tag).map(([category]) => category), "other"];

export function plurals(tag) {
  const ranges = {};
  for (const [key, category] of Object.entries(ofTag(supplemental("pluralRanges").plurals, tag) ?? {})) {
    const [, start, end] = /^pluralRange-start-(\w+)-end-(\w+)$/.exec(key);
    ranges[`${start} ${end}`] = category;
  }
  return { cardinal: rules("cardinal", tag), ordinal: rules("ordinal", tag), ranges };
}
