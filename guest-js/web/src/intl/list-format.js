// Intl.ListFormat (ECMA-402 §13), in English: few enough patterns (CLDR listPatterns.json) to be here.
import { canonicalizeLocaleList, defineService, getOption, getOptionsObject, instanceOf, readMatcher, resolveLocale, stateReader } from "./support.js";

// What stands between two elements, between those of more, and before the last of more.
const PATTERNS = {
  "conjunction long": [" and ", ", ", ", and "],
  "conjunction short": [" & ", ", ", ", & "],
  "conjunction narrow": [", ", ", ", ", "],
  "disjunction long": [" or ", ", ", ", or "],
  "disjunction short": [" or ", ", ", ", or "],
  "disjunction narrow": [" or ", ", ", ", or "],
  "unit long": [", ", ", ", ", "],
  "unit short": [", ", ", ", ", "],
  "unit narrow": [" ", " ", " "],
};

const states = new WeakMap();
const stateOf = stateReader("ListFormat", states);

export function ListFormat(locales = undefined, options = undefined) {
  if (new.target === undefined) throw new TypeError("Constructor Intl.ListFormat requires 'new'");
  const format = instanceOf(ListFormat, new.target);
  const requested = canonicalizeLocaleList(locales);
  options = getOptionsObject(options);
  readMatcher(options);
  const { locale } = resolveLocale(requested);
  const type = getOption(options, "type", "string", ["conjunction", "disjunction", "unit"], "conjunction");
  const style = getOption(options, "style", "string", ["long", "short", "narrow"], "long");
  states.set(format, { locale, type, style, patterns: PATTERNS[`${type} ${style}`] });
  return format;
}

/** StringListFromIterable, §13.5.5. */
function stringList(iterable) {
  if (iterable === undefined) return [];
  const list = [];
  for (const value of Object(iterable)[Symbol.iterator] === undefined ? notIterable(iterable) : iterable) {
    if (typeof value !== "string") throw new TypeError("Iterable yielded a value which is not a string");
    list.push(value);
  }
  return list;
}

function notIterable(value) {
  throw new TypeError(`${String(value)} is not iterable`);
}

function partition({ patterns: [pair, middle, last] }, list) {
  const parts = [];
  list.forEach((value, at) => {
    if (at > 0) parts.push({ type: "literal", value: list.length === 2 ? pair : at === list.length - 1 ? last : middle });
    parts.push({ type: "element", value });
  });
  return parts;
}

defineService("ListFormat", ListFormat, {
  format(list) {
    const state = stateOf(this, "format");
    return partition(state, stringList(list)).map(({ value }) => value).join("");
  },
  formatToParts(list) {
    const state = stateOf(this, "formatToParts");
    return partition(state, stringList(list));
  },
  resolvedOptions() {
    const { locale, type, style } = stateOf(this, "resolvedOptions");
    return { locale, type, style };
  },
});
