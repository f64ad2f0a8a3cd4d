// The list formats of a locale.
import { inLocale } from "./cldr.mjs";

const TYPES = { conjunction: "standard", disjunction: "or", unit: "unit" };

/** By type and style, the patterns of two elements, and of the first, middle and last two of more. */
export function lists(tag) {
  const { listPatterns } = inLocale(tag, "cldr-misc-full", "listPatterns");
  const patterns = {};
  for (const [type, name] of Object.entries(TYPES)) {
    for (const style of ["long", "short", "narrow"]) {
      const found = listPatterns[`listPattern-type-${name}${style === "long" ? "" : `-${style}`}`];
      patterns[`${type} ${style}`] = [found["2"], found.start, found.middle, found.end];
    }
  }
  return patterns;
}
