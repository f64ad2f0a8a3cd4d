// Intl.NumberFormat (ECMA-402 §16), in English.
import data from "../vendor/intl/numbers.js";
import { scale, toDecimal } from "./decimal.js";
import { DIGIT_OPTIONS, readDigitOptions, roundAndWrite } from "./number-options.js";
import { digitsOf, isNumberingSystem } from "./numbering.js";
import { cardinal } from "./plural-categories.js";
import {
  canonicalizeLocaleList, defineMethods, defineService, getBooleanOrString, getOption, getOptionsObject, getTypeOption, instanceOf, Intl, lookUp, readMatcher,
  resolveLocale, stateReader,
} from "./support.js";

const states = new WeakMap();
const stateOf = stateReader("NumberFormat", states);

export function NumberFormat(locales = undefined, options = undefined) {
  const format = instanceOf(NumberFormat, new.target);
  states.set(format, newState(locales, options));
  return format;
}

/** What a formatter knows: the options as resolved, and what is made of them once. */
export function newState(locales, options) {
  const requested = canonicalizeLocaleList(locales);
  options = getOptionsObjectLoosely(options);
  readMatcher(options);
  const numberingSystem = getTypeOption(options, "numberingSystem");
  const resolved = resolveLocale(requested, { nu: { option: numberingSystem, isValue: isNumberingSystem } });
  const state = { locale: resolved.locale, numberingSystem: resolved.nu ?? "latn" };
  readUnitOptions(state, options);
  const notation = getOption(options, "notation", "string", ["standard", "scientific", "engineering", "compact"], "standard");
  state.notation = notation;
  let minimum = 0;
  let maximum = state.style === "percent" ? 0 : 3;
  if (state.style === "currency" && notation === "standard") minimum = maximum = currencyDigits(state.currency);
  else if (state.style === "currency") maximum = Math.max(currencyDigits(state.currency), 0), (minimum = notation === "compact" ? 0 : maximum);
  readDigitOptions(state, options, minimum, maximum, notation === "compact");
  const compactDisplay = getOption(options, "compactDisplay", "string", ["short", "long"], "short");
  if (notation === "compact") state.compactDisplay = compactDisplay;
  const grouping = notation === "compact" ? "min2" : "auto";
  const useGrouping = getBooleanOrString(options, "useGrouping", ["min2", "auto", "always", "true", "false"], grouping);
  state.useGrouping = useGrouping === true ? "always" : useGrouping === "true" || useGrouping === "false" ? grouping : useGrouping;
  state.signDisplay = getOption(options, "signDisplay", "string", ["auto", "never", "always", "exceptZero", "negative"], "auto");
  prepare(state);
  return state;
}

/** CoerceOptionsToObject: NumberFormat takes what Object() takes. */
function getOptionsObjectLoosely(options) {
  if (options === undefined) return Object.create(null);
  if (options === null) throw new TypeError("Cannot convert undefined or null to object");
  return Object(options);
}

/** SetNumberFormatUnitOptions, §16.1.3. */
function readUnitOptions(state, options) {
  const style = getOption(options, "style", "string", ["decimal", "percent", "currency", "unit"], "decimal");
  state.style = style;
  const currency = getOption(options, "currency", "string", undefined, undefined);
  if (currency === undefined) {
    if (style === "currency") throw new TypeError("Currency code is required with currency style.");
  } else if (!/^[a-z]{3}$/i.test(currency)) {
    throw new RangeError(`Invalid currency code : ${currency.slice(0, 100)}`);
  }
  const display = getOption(options, "currencyDisplay", "string", ["code", "symbol", "narrowSymbol", "name"], "symbol");
  const sign = getOption(options, "currencySign", "string", ["standard", "accounting"], "standard");
  const unit = getOption(options, "unit", "string", undefined, undefined);
  if (unit === undefined) {
    if (style === "unit") throw new TypeError("Unit is required with unit style.");
  } else if (!isUnit(unit)) {
    throw new RangeError(`Invalid unit argument for Intl.NumberFormat() '${unit.slice(0, 100)}'`);
  }
  const unitDisplay = getOption(options, "unitDisplay", "string", ["short", "narrow", "long"], "short");
  if (style === "currency") Object.assign(state, { currency: currency.toUpperCase(), currencyDisplay: display, currencySign: sign });
  if (style === "unit") Object.assign(state, { unit, unitDisplay });
}

/** The sanctioned units: those of the table that are not composed of two. */
export function simpleUnits() {
  return [...data.units.matchAll(/\n([^\t]+)/g)].map(([, unit]) => unit).filter((unit) => !unit.includes("-per-"));
}

const isSimpleUnit = (unit) => !unit.includes("-per-") && lookUp(data.units, unit) !== undefined;

function isUnit(unit) {
  if (/[\t\n]/.test(unit)) return false;
  const at = unit.indexOf("-per-");
  return at === -1 ? isSimpleUnit(unit) : isSimpleUnit(unit.slice(0, at)) && isSimpleUnit(unit.slice(at + 5));
}

const currencyDigits = (currency) => Number(lookUp(data.currencyDigits, currency)?.[0] ?? 2);

/** The name of a currency in English, for one of it or for others; undefined if it has none. */
export const currencyName = (currency, category) => lookUp(data.currencyNames, currency)?.[category === "one" ? 0 : 1];

/** The sign of a currency, or the code where it has none. */
export const currencySymbol = (currency, narrow) => lookUp(data.currencySymbols, currency)?.[narrow ? 1 : 0] ?? currency;

/** Works out once what every number needs. */
function prepare(state) {
  const digits = digitsOf(state.numberingSystem);
  state.digits = state.numberingSystem === "latn" ? null : [...digits].length === 10 ? [...digits] : Array.from({ length: 10 }, (_, at) => String.fromCodePoint(digits.codePointAt(0) + at));
  state.symbols = SYMBOLS[state.numberingSystem] ?? LATIN;
  if (state.style === "currency") {
    const { currency, currencyDisplay } = state;
    state.currencyText = currencyDisplay === "code" ? currency : currencySymbol(currency, currencyDisplay === "narrowSymbol");
    // CLDR's currencySpacing: a letter beside a digit is kept off it.
    state.currencySpace = /[\p{S}\p{Z}]$/u.test(state.currencyText) ? "" : "\u00a0";
  }
  if (state.style === "unit") state.unitPatterns = unitPatterns(state.unit, state.unitDisplay);
}

const LATIN = { decimal: ".", group: ",", minus: "-", plus: "+", percent: "%", exponent: "E" };
// What CLDR's root has of the numbering systems that have signs of their own.
const ARABIC = { decimal: "\u066b", group: "\u066c", minus: "\u061c-", plus: "\u061c+", percent: "\u066a\u061c", exponent: "\u0623\u0633" };
const PERSIAN = { decimal: "\u066b", group: "\u066c", minus: "\u200e-\u200e", plus: "\u200e+\u200e", percent: "\u066a", exponent: "\u00d7\u06f1\u06f0^" };
const SYMBOLS = { arab: ARABIC, arabext: PERSIAN };

const WIDTHS = { long: 0, short: 3, narrow: 6 };

/** The patterns of a unit: singular, plural. */
function unitPatterns(unit, display) {
  const at = WIDTHS[display];
  const whole = lookUp(data.units, unit);
  if (whole !== undefined) return [whole[at] || whole[at + 1], whole[at + 1]];
  const [numerator, denominator] = unit.split("-per-");
  const [one, other] = unitPatterns(numerator, display);
  const under = lookUp(data.units, denominator);
  const per = under[at + 2] || (display === "long" ? "{0} per " : "{0}/") + (under[at] || under[at + 1]).replace("{0}", "").trim();
  return [per.replace("{0}", one), per.replace("{0}", other)];
}

/** ComputeExponent, §16.5.19, and what is written at that exponent. */
function compose(state, decimal) {
  if (state.notation === "standard") return { exponent: 0, ...roundAndWrite(state, decimal) };
  let magnitude = decimal.digits === "" ? 0 : decimal.point - 1;
  let exponent = exponentFor(state, magnitude);
  let written = roundAndWrite(state, scale(decimal, -exponent));
  if (decimal.digits !== "" && written.rounded.digits !== "" && written.rounded.point - 1 !== magnitude - exponent) {
    magnitude++;
    const next = exponentFor(state, magnitude);
    if (next !== exponent) {
      exponent = next;
      written = roundAndWrite(state, scale(decimal, -exponent));
    }
  }
  return { exponent, ...written };
}

function exponentFor(state, magnitude) {
  switch (state.notation) {
    case "scientific":
      return magnitude;
    case "engineering":
      return Math.floor(magnitude / 3) * 3;
    default:
      return magnitude < 3 ? 0 : Math.min(Math.floor(magnitude / 3) * 3, 12);
  }
}

const COMPACT = { short: ["K", "M", "B", "T"], long: ["thousand", "million", "billion", "trillion"] };

/** Which sign is written: -1, 0 or 1. */
function signOf(display, negative, zero) {
  switch (display) {
    case "never":
      return 0;
    case "always":
      return negative ? -1 : 1;
    case "exceptZero":
      return zero ? 0 : negative ? -1 : 1;
    case "negative":
      return negative && !zero ? -1 : 0;
    default:
      return negative ? -1 : 0;
  }
}

/**
 * PartitionNumberPattern, §16.5.6: the parts of a decimal, as `[type, value, level]`. `oneAs` is the plural category
 * that singulars are written in.
 */
export function partition(state, decimal, oneAs = "one") {
  const parts = [];
  let category = "other";
  let zero = false;
  let isDigit = false;
  let compact;
  if (state.style === "percent") decimal = scale(decimal, 2);
  if (decimal.kind === "nan") {
    parts.push(["nan", "NaN"]);
  } else if (decimal.kind === "infinity") {
    parts.push(["infinity", "∞"]);
  } else {
    const written = compose(state, decimal);
    zero = written.rounded.digits === "";
    isDigit = true;
    pushNumber(state, written, parts);
    category = cardinal(written.integer, written.fraction) === "one" ? oneAs : "other";
    if (state.notation === "compact" && written.exponent > 0) {
      compact = written.exponent / 3 - 1;
      category = "other";
    } else if (state.notation !== "standard" && state.notation !== "compact") {
      pushExponent(state, written.exponent, parts);
      if (written.exponent !== 0) category = "other";
    }
  }
  zero ||= decimal.kind === "nan";
  const sign = signOf(state.signDisplay, decimal.negative, zero);
  return affix(state, parts, sign, category, isDigit, compact);
}

/** The integer in groups, and the fraction. */
function pushNumber(state, { integer, fraction }, parts) {
  const { useGrouping, symbols } = state;
  const least = useGrouping === "min2" ? 5 : 4;
  if (useGrouping === false || integer.length < least) {
    parts.push(["integer", localDigits(state, integer)]);
  } else {
    let at = integer.length % 3 || 3;
    parts.push(["integer", localDigits(state, integer.slice(0, at))]);
    for (; at < integer.length; at += 3) {
      parts.push(["group", symbols.group], ["integer", localDigits(state, integer.slice(at, at + 3))]);
    }
  }
  if (fraction !== "") parts.push(["decimal", symbols.decimal], ["fraction", localDigits(state, fraction)]);
}

function pushExponent(state, exponent, parts) {
  parts.push(["exponentSeparator", state.symbols.exponent, INNER]);
  if (exponent < 0) parts.push(["exponentMinusSign", state.symbols.minus, INNER]);
  parts.push(["exponentInteger", localDigits(state, String(Math.abs(exponent))), INNER]);
}

const localDigits = ({ digits }, text) => (digits === null ? text : Array.from(text, (digit) => digits[digit]).join(""));

// How far out an affix stands, which decides what a range says once: the exponent, then sign, currency and compact suffix, then units.
const INNER = 1;
const MIDDLE = 2;
const OUTER = 3;

/** Puts around a number what belongs to it. */
function affix(state, number, sign, category, isDigit, compact) {
  const { style } = state;
  const parts = [];
  const bracketed = sign < 0 && style === "currency" && state.currencySign === "accounting" && state.currencyDisplay !== "name";
  if (bracketed) parts.push(["literal", "(", MIDDLE]);
  else if (sign !== 0) pushSign(state, sign, parts);
  const symbol = style === "currency" && state.currencyDisplay !== "name";
  if (symbol) {
    parts.push(["currency", state.currencyText, MIDDLE]);
    if (state.currencySpace !== "" && isDigit) parts.push(["literal", state.currencySpace, MIDDLE]);
  }
  const pattern = style === "unit" ? (category === "one" ? state.unitPatterns[0] : state.unitPatterns[1]) : "";
  const hole = pattern.indexOf("{0}");
  if (hole > 0) pushUnit(pattern.slice(0, hole), parts);
  parts.push(...number);
  if (compact !== undefined) {
    // There is no long form for currencies that are shown by a sign.
    const form = symbol ? "short" : state.compactDisplay;
    if (form === "long") parts.push(["literal", " ", MIDDLE]);
    parts.push(["compact", COMPACT[form][compact], MIDDLE]);
  }
  if (style === "percent") parts.push(["percentSign", state.symbols.percent, MIDDLE]);
  else if (style === "unit") pushUnit(pattern.slice(hole + 3), parts);
  else if (style === "currency" && !symbol) {
    parts.push(["literal", " ", OUTER], ["currency", currencyName(state.currency, category) ?? state.currency, OUTER]);
  }
  if (bracketed) parts.push(["literal", ")", MIDDLE]);
  return parts;
}

function pushSign(state, sign, parts) {
  const text = sign < 0 ? state.symbols.minus : state.symbols.plus;
  const type = sign < 0 ? "minusSign" : "plusSign";
  for (const char of text) parts.push([char === "-" || char === "+" ? type : "literal", char, MIDDLE]);
}

/** The text of a unit; the space around it is not of it. */
function pushUnit(text, parts) {
  const unit = text.trim();
  if (unit === "") return;
  const level = unit === "%" ? MIDDLE : OUTER;
  const start = text.indexOf(unit);
  if (start > 0) parts.push(["literal", text.slice(0, start), level]);
  parts.push(["unit", unit, level]);
  if (start + unit.length < text.length) parts.push(["literal", text.slice(start + unit.length), level]);
}

/** The text of a decimal. */
export function formatDecimal(state, decimal) {
  let text = "";
  for (const [, value] of partition(state, decimal)) text += value;
  return text;
}

const toObjects = (parts, extra) => parts.map(([type, value]) => ({ type, value, ...extra }));

/** PartitionNumberRangePattern, §16.5.22. */
function partitionRange(state, start, end) {
  if (start.kind === "nan" || end.kind === "nan") throw new RangeError("Invalid number value");
  const first = partition(state, start);
  const last = partition(state, end);
  const textOf = (parts) => parts.map(([, value]) => value).join("");
  if (textOf(first) === textOf(last)) {
    return toObjects(approximately(first), { source: "shared" });
  }
  // In English every range is plural.
  return collapse(first, partition(state, end, "other"));
}

/** The sign that says "about" stands where a sign does. */
function approximately(parts) {
  const at = parts.findIndex(([type]) => type === "minusSign" || type === "plusSign");
  return at === -1 ? [["approximatelySign", "~"], ...parts] : [...parts.slice(0, at), ["approximatelySign", "~"], ...parts.slice(at)];
}

/**
 * What both ends share is written once, as ICU's UNUM_RANGE_COLLAPSE_AUTO has it: units always, and sign, currency and compact
 * suffix if they are the same and more than one character.
 */
function collapse(first, last) {
  const middleOf = (parts) => parts.map(([, value, level]) => (level === MIDDLE ? value : "")).join("");
  const middle = middleOf(first);
  const collapsed = [...middle].length > 1 && middle === middleOf(last);
  const shared = (level) => level === OUTER || (collapsed && level === MIDDLE);
  const isOwn = ([, , level]) => !shared(level);
  const source = (parts, side) => parts.map(([type, value, level]) => ({ type, value, source: shared(level) ? "shared" : side }));
  const spaced = first.some(([, , level]) => level !== undefined && !shared(level));
  return [
    ...source(first.slice(0, first.findLastIndex(isOwn) + 1), "startRange"),
    { type: "literal", value: spaced ? " – " : "–", source: "shared" },
    ...source(last.slice(last.findIndex(isOwn)), "endRange"),
  ];
}

function rangeEnds(start, end) {
  if (start === undefined || end === undefined) throw new TypeError("Invalid argument");
  return [toDecimal(start), toDecimal(end)];
}

defineService("NumberFormat", NumberFormat, {
  get format() {
    const state = stateOf(this, "format");
    if (state.bound === undefined) {
      const bound = (value) => formatDecimal(state, toDecimal(value));
      Object.defineProperty(bound, "name", { value: "", configurable: true });
      state.bound = bound;
    }
    return state.bound;
  },
  formatToParts(value) {
    return toObjects(partition(stateOf(this, "formatToParts"), toDecimal(value)));
  },
  formatRange(start, end) {
    const state = stateOf(this, "formatRange");
    return partitionRange(state, ...rangeEnds(start, end)).map(({ value }) => value).join("");
  },
  formatRangeToParts(start, end) {
    const state = stateOf(this, "formatRangeToParts");
    return partitionRange(state, ...rangeEnds(start, end));
  },
  resolvedOptions() {
    const state = stateOf(this, "resolvedOptions");
    const shown = {};
    for (const key of [
      "locale", "numberingSystem", "style", "currency", "currencyDisplay", "currencySign", "unit", "unitDisplay", ...DIGIT_OPTIONS, "useGrouping", "notation",
      "compactDisplay", "signDisplay", "roundingIncrement", "roundingMode", "roundingPriority", "trailingZeroDisplay",
    ]) {
      if (state[key] !== undefined) shown[key] = state[key];
    }
    return shown;
  },
});

const defaultState = newState();

defineMethods(Number.prototype, {
  toLocaleString(locales = undefined, options = undefined) {
    return formatDecimal(stateFor(locales, options), toDecimal(Number.prototype.valueOf.call(this)));
  },
});
defineMethods(BigInt.prototype, {
  toLocaleString(locales = undefined, options = undefined) {
    return formatDecimal(stateFor(locales, options), toDecimal(BigInt.prototype.valueOf.call(this)));
  },
});

const stateFor = (locales, options) => (locales === undefined && options === undefined ? defaultState : newState(locales, options));
