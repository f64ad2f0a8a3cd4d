// The formats of relative times of a locale.
import { inLocale } from "./cldr.mjs";
import { categoriesOf } from "./plurals.mjs";

/** By unit and style: patterns of the future by category, those of the past, and the numbers that have words. */
export function relative(tag) {
  const { fields } = inLocale(tag, "cldr-dates-full", "dateFields").dates;
  const categories = categoriesOf(tag);
  const units = {};
  for (const unit of ["second", "minute", "hour", "day", "week", "month", "quarter", "year"]) {
    units[unit] = {};
    for (const [style, suffix] of [["long", ""], ["short", "-short"], ["narrow", "-narrow"]]) {
      const field = fields[unit + suffix];
      const forms = (direction) => {
        const patterns = field[`relativeTime-type-${direction}`];
        return categories.map((category) => patterns[`relativeTimePattern-count-${category}`] ?? patterns["relativeTimePattern-count-other"]);
      };
      const words = {};
      for (const [key, text] of Object.entries(field)) if (key.startsWith("relative-type-")) words[key.slice("relative-type-".length)] = text;
      units[unit][style] = [forms("future"), forms("past"), words];
    }
  }
  return units;
}
