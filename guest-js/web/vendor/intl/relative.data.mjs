// How relative times are written in English.
import { english } from "./cldr.mjs";

export const madeFrom = ["cldr-dates-full"];

const { fields } = english("cldr-dates-full", "dateFields").dates;
const units = {};
for (const unit of ["second", "minute", "hour", "day", "week", "month", "quarter", "year"]) {
  units[unit] = {};
  for (const [style, suffix] of [["long", ""], ["short", "-short"], ["narrow", "-narrow"]]) {
    const field = fields[unit + suffix];
    const form = (direction) => ["one", "other"].map((category) => field[`relativeTime-type-${direction}`][`relativeTimePattern-count-${category}`]);
    const words = {};
    for (const [key, text] of Object.entries(field)) if (key.startsWith("relative-type-")) words[key.slice("relative-type-".length)] = text;
    // Singular and plural of the future, then of the past; and the numbers that have words.
    units[unit][style] = [...form("future"), ...form("past"), words];
  }
}

export default units;
