// Intl.ListFormat (ECMA-402 §13). English has few enough patterns (CLDR listPatterns.json) to be here.
import { canonicalizeLocaleList, dataOf, defineService, getOption, getOptionsObject, instanceOf, readMatcher, resolveLocale, stateReader } from "../support.js";

/** By type and style in English, patterns of two elements, and of the first, middle and last two of more. */
const ENGLISH = {
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

const pattern = (text) => (text.includes("{0}") ? text : `{0}${text}{1}`);

/** The patterns of two elements, and of the first, middle and last two of more. */
function patternsOf(dataLocale, type, style) {
  const key = `${type} ${style}`;
  const own = dataOf(dataLocale)?.lists[key];
  if (own !== undefined) return own;
  const [pair, middle, last] = ENGLISH[key].map(pattern);
  return [pair, middle, middle, last];
}

const states = new WeakMap();
const stateOf = stateReader("ListFormat", states);

export function ListFormat(locales = undefined, options = undefined) {
  if (new.target === undefined) throw new TypeError("Constructor Intl.ListFormat requires 'new'");
  const format = instanceOf(ListFormat, new.target);
  const requested = canonicalizeLocaleList(locales);
  options = getOptionsObject(options);
  readMatcher(options);
  const { locale, dataLocale } = resolveLocale(requested);
  const type = getOption(options, "type", "string", ["conjunction", "disjunction", "unit"], "conjunction");
  const style = getOption(options, "style", "string", ["long", "short", "narrow"], "long");
  states.set(format, { locale, type, style, language: dataLocale.split("-")[0], patterns: patternsOf(dataLocale, type, style) });
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

// Where the word between depends on the sound of what follows, as ICU has it.
const Y_BECOMES_E = /^(?:i|hi(?!a|e))/i;
const O_BECOMES_U = /^(?:o|ho|8|11(?![0-9]{1,2}(?![0-9])|[0-9]{4,5}(?![0-9])))/i;
const NOT_HEBREW = /^(?!\p{Script=Hebrew})/u;

function between(text, language, next) {
  if (language === "es") {
    if (text === " y " && Y_BECOMES_E.test(next)) return " e ";
    if (text === " o " && O_BECOMES_U.test(next)) return " u ";
  }
  if (language === "he" && text.endsWith(" \u05d5") && NOT_HEBREW.test(next)) return `${text}-`;
  return text;
}

function partition({ patterns: [pair, start, middle, end], language }, list) {
  const parts = [];
  const literal = (text, atStart) => {
    if (text === "") return;
    if (atStart) parts.unshift({ type: "literal", value: text });
    else parts.push({ type: "literal", value: text });
  };
  list.forEach((value, at) => {
    if (at > 0) {
      const [before, text, after] = (list.length === 2 ? pair : at === list.length - 1 ? end : at === 1 ? start : middle).split(/\{[01]\}/);
      literal(before, true);
      literal(between(text, language, value), false);
      parts.push({ type: "element", value });
      literal(after, false);
    } else {
      parts.push({ type: "element", value });
    }
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
