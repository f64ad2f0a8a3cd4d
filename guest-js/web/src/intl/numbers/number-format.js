// Intl.NumberFormat (ECMA-402 §16).
import english from "../../vendor/intl/numbers.js";
import {
  canonicalizeLocaleList, coerceOptions, dataOf, defineMethods, defineService, getBooleanOrString, getOption,
  getTypeOption, instanceOf, Intl, lookUp, readMatcher, cachedByLocale, resolveLocale, stateReader,
  withoutName,
} from "../support.js";
import { scale, toDecimal } from "./decimal.js";
import { DIGIT_OPTIONS, readDigitOptions, roundAndWrite } from "./number-options.js";
import { affixes, INNER, OUTER, MIDDLE, parsePattern, pushTrimmed } from "./number-patterns.js";
import { digitsOf, isNumberingSystem } from "./numbering.js";
import { pluralsOf } from "./plural-categories.js";

const states = new WeakMap();
const stateOf = stateReader("NumberFormat", states);

export function NumberFormat(locales = undefined, options = undefined) {
  const format = instanceOf(NumberFormat, new.target);
  states.set(format, newState(locales, options));
  return format;
}

/** The state of a formatter: the resolved options, and the values that are derived from them once. */
export function newState(locales, options) {
  const requested = canonicalizeLocaleList(locales);
  options = coerceOptions(options);
  readMatcher(options);
  const numberingSystem = getTypeOption(options, "numberingSystem");
  const resolved = resolveLocale(requested, { nu: { option: numberingSystem, isValue: isNumberingSystem } });
  const data = dataOf(resolved.dataLocale)?.numbers ?? english;
  const state = { locale: resolved.locale, numberingSystem: resolved.nu ?? data.system, data, plurals: pluralsOf(resolved.dataLocale) };
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
  return [...english.units.matchAll(/\n([^\t]+)/g)].map(([, unit]) => unit).filter((unit) => !unit.includes("-per-"));
}

const isSimpleUnit = (unit) => !unit.includes("-per-") && lookUp(english.units, unit) !== undefined;

function isUnit(unit) {
  if (/[\t\n]/.test(unit)) return false;
  const at = unit.indexOf("-per-");
  return at === -1 ? isSimpleUnit(unit) : isSimpleUnit(unit.slice(0, at)) && isSimpleUnit(unit.slice(at + 5));
}

const currencyDigits = (currency) => Number(lookUp(english.currencyDigits, currency)?.[0] ?? 2);

/** The name of a currency for an amount of a category; the code where it has none. */
function currencyName({ data, currency }, category) {
  const cells = lookUp(data.currencyNames, currency);
  return cells === undefined ? currency : cells[data.categories.indexOf(category)] || cells[data.categories.length - 1] || currency;
}

/** The sign of a currency, or the code where it has none. */
const currencySymbol = ({ data, currency }, narrow) => lookUp(data.currencySymbols, currency)?.[narrow ? 1 : 0] ?? currency;

/** Works out once what every number needs. */
function prepare(state) {
  const { data, style } = state;
  const digits = digitsOf(state.numberingSystem);
  state.digits = state.numberingSystem === "latn" ? null : [...digits].length === 10 ? [...digits] : Array.from({ length: 10 }, (_, at) => String.fromCodePoint(digits.codePointAt(0) + at));
  state.symbols = symbolsOf(data, state.numberingSystem);
  const { symbols } = state;
  const isSymbol = style === "currency" && state.currencyDisplay !== "name";
  state.isSymbol = isSymbol;
  if (isSymbol) {
    state.currencyText = state.currencyDisplay === "code" ? state.currency : currencySymbol(state, state.currencyDisplay === "narrowSymbol");
  }
  if (style === "currency" && (symbols.currencyDecimal || symbols.currencyGroup)) {
    state.symbols = { ...symbols, decimal: symbols.currencyDecimal || symbols.decimal, group: symbols.currencyGroup || symbols.group };
  }
  const isPercent = style === "percent" && state.notation !== "compact";
  // Percents that are not words are written as percents are.
  const isUnitSign = style === "unit" && state.unit === "percent" && state.unitDisplay !== "long";
  state.percentType = isUnitSign ? "unit" : "percentSign";
  const kind = isPercent || isUnitSign ? "percentPattern" : !isSymbol ? "decimalPattern" : state.currencySign === "accounting" ? "accountingPattern" : "currencyPattern";
  state.pattern = parsePattern(symbols[kind]);
  state.affixes = new Map();
  if (state.notation === "compact") {
    // There is no long form for currencies that are shown by a sign.
    const form = isSymbol ? "currency" : state.compactDisplay;
    state.compact = (power) => compactOf(data, form, power);
  }
  if (style === "unit") {
    state.unitPatterns = isUnitSign ? data.categories.map(() => "{0}") : unitPatterns(data, state.unit, state.unitDisplay);
  } else if (style === "percent" && !isPercent) {
    // Compact patterns have no place for the sign: it is put as a unit is.
    state.percentPattern = unitPatterns(data, "percent", "short").at(-1);
  }
}

// The signs of numbering systems that have signs of their own, from CLDR's root.
const ARABIC = { decimal: "\u066b", group: "\u066c", minus: "\u061c-", plus: "\u061c+", percent: "\u066a\u061c", exponent: "\u0623\u0633", approximately: "~", nan: "NaN" };
const PERSIAN = { decimal: "\u066b", group: "\u066c", minus: "\u200e-\u200e", plus: "\u200e+\u200e", percent: "\u066a", exponent: "\u00d7\u06f1\u06f0^", approximately: "~", nan: "NaN" };
const ROOT = { arab: ARABIC, arabext: PERSIAN };

/** The signs and patterns of a locale for a numbering system. */
function symbolsOf(data, system) {
  const own = lookUp(data.symbols, system);
  const [
    decimal, group, minus, plus, percent, exponent, approximately, infinity, nan, decimalPattern, percentPattern, currencyPattern, accountingPattern, range, currencyDecimal, currencyGroup,
  ] = own ?? lookUp(data.symbols, "latn");
  return {
    decimal, group, minus, plus, percent, exponent, approximately, infinity, nan, decimalPattern, percentPattern, currencyPattern, accountingPattern, range, currencyDecimal, currencyGroup,
    ...(own === undefined ? ROOT[system] : undefined),
  };
}

/** Powers of ten that have compact patterns. */
const COMPACT_MIN = 3;
const COMPACT_MAX = 14;

/** How numbers of a power of ten are shortened: by which power, and the patterns by category; undefined where they are not. */
function compactOf(data, form, power) {
  if (power < COMPACT_MIN) return undefined;
  power = Math.min(power, COMPACT_MAX);
  const cells = lookUp(data.compact, `${form} ${power}`);
  const other = cells?.[data.categories.length - 1] ?? "";
  const { digits } = parsePattern(other);
  if (digits === 0 || /^0+$/.test(other)) return undefined;
  return { exponent: power + 1 - digits, cells, other, one: cells.at(-1) };
}

const WIDTHS = ["long", "short", "narrow"];

/** The patterns of a unit, by category. */
function unitPatterns(data, unit, display) {
  const { categories } = data;
  const width = WIDTHS.indexOf(display);
  const from = width * (categories.length + 1);
  const cellsOf = (cells) => categories.map((_, at) => cells[from + at] || cells[from + categories.length - 1]);
  const whole = lookUp(data.units, unit);
  if (whole !== undefined) return cellsOf(whole);
  const [numerator, denominator] = unit.split("-per-");
  const over = unitPatterns(data, numerator, display);
  const under = lookUp(data.units, denominator);
  const one = categories.indexOf("one");
  const single = cellsOf(under)[one === -1 ? categories.length - 1 : one];
  const per = under[from + categories.length] || data.per[width].replace("{1}", () => single.replace("{0}", "").trim());
  return over.map((pattern) => per.replace("{0}", () => pattern));
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
      return state.compact(magnitude)?.exponent ?? 0;
  }
}

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

/** The plural category of a decimal as it is written. */
export function pluralOf(state, decimal) {
  if (decimal.kind !== "finite") return "other";
  if (state.style === "percent") decimal = scale(decimal, 2);
  const { integer, fraction, exponent } = state.notation === "compact" ? { exponent: 0, ...roundAndWrite(state, decimal) } : compose(state, decimal);
  return state.plurals.cardinal(integer, fraction, exponent);
}

/**
 * PartitionNumberPattern, §16.5.6: the parts of a decimal, as `[type, value, level]`. `forced` is the plural category of a range;
 * `isAbout` says that the number is not exact.
 */
export function partition(state, decimal, forced, isAbout = false) {
  const number = [];
  const { symbols } = state;
  let category = "other";
  let zero = false;
  let isDigit = false;
  let { pattern } = state;
  let literals = "literal";
  let key = "";
  if (state.style === "percent") decimal = scale(decimal, 2);
  if (decimal.kind === "nan") {
    number.push(["nan", symbols.nan]);
  } else if (decimal.kind === "infinity") {
    number.push(["infinity", symbols.infinity]);
  } else {
    const written = compose(state, decimal);
    const { integer, fraction, exponent, rounded } = written;
    zero = rounded.digits === "";
    isDigit = true;
    if (state.notation === "compact" && exponent > 0) {
      const compact = state.compact(rounded.digits === "" ? 0 : rounded.point - 1 + exponent);
      const plain = state.plurals.cardinal(integer, fraction);
      const isOne = compact.one !== "" && fraction === "" && integer === "1";
      key = isOne ? compact.one : compact.cells[state.data.categories.indexOf(plain)] || compact.other;
      pattern = parsePattern(key);
      literals = "compact";
      if (pattern.digits > 0) pushNumber(state, written, number);
      // As ICU has it, that of the number before it is shortened.
      category = pluralOf(state, decimal);
    } else {
      pushNumber(state, written, number);
      category = exponent > 0 && state.notation !== "standard" ? state.plurals.cardinal(integer, fraction, exponent) : state.plurals.cardinal(integer, fraction);
      if (state.notation !== "standard" && state.notation !== "compact") {
        pushExponent(state, exponent, number);
        if (exponent < 0) category = "other";
      }
    }
  }
  zero ||= decimal.kind === "nan";
  const sign = signOf(state.signDisplay, decimal.negative, zero);
  key += isAbout ? `~${sign}` : sign;
  let around = state.affixes.get(key);
  if (around === undefined) state.affixes.set(key, (around = affixes(pattern, sign, { symbols, currency: state.currencyText, literals, percentType: state.percentType, isAbout })));
  const parts = [...around.before];
  if (isDigit && around.spaces[0]) parts.push(["literal", "\u00a0", MIDDLE]);
  parts.push(...number);
  if (isDigit && around.spaces[1]) parts.push(["literal", "\u00a0", MIDDLE]);
  parts.push(...around.after);
  if (state.percentPattern !== undefined) pushPercent(state, parts);
  return withOuter(state, parts, forced ?? category);
}

/** The integer in groups, and the fraction. */
function pushNumber(state, { integer, fraction }, parts) {
  const { useGrouping, symbols, pattern: { primary, secondary } } = state;
  const minimum = useGrouping === "always" ? 1 : useGrouping === "min2" ? Math.max(2, state.data.minimumGrouping) : state.data.minimumGrouping;
  if (useGrouping === false || primary === 0 || integer.length < primary + minimum) {
    parts.push(["integer", localDigits(state, integer)]);
  } else {
    const last = integer.length - primary;
    let at = last % secondary || secondary;
    parts.push(["integer", localDigits(state, integer.slice(0, at))]);
    for (; at < integer.length; ) {
      const size = at < last ? secondary : primary;
      parts.push(["group", symbols.group], ["integer", localDigits(state, integer.slice(at, at + size))]);
      at += size;
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

/** Puts around a number with its signs the unit or the name of the currency. */
function withOuter(state, parts, category) {
  const { style, data } = state;
  if (style === "unit") {
    const pattern = state.unitPatterns[data.categories.indexOf(category)];
    const hole = pattern.indexOf("{0}");
    const before = [];
    // Arabic says "two meters" in one word.
    if (hole === -1) {
      pushUnit(pattern, before);
      return before;
    }
    pushUnit(pattern.slice(0, hole), before);
    parts = [...before, ...parts];
    pushUnit(pattern.slice(hole + 3), parts);
  } else if (style === "currency" && !state.isSymbol) {
    const pattern = data.currencyUnits[data.categories.indexOf(category)];
    const name = currencyName(state, category);
    const put = (text, target) => {
      const at = text.indexOf("{1}");
      if (at === -1) return void pushTrimmed("literal", text, OUTER, target);
      pushTrimmed("literal", text.slice(0, at), OUTER, target);
      pushTrimmed("currency", name, OUTER, target);
      pushTrimmed("literal", text.slice(at + 3), OUTER, target);
    };
    const hole = pattern.indexOf("{0}");
    const before = [];
    put(pattern.slice(0, hole), before);
    parts = [...before, ...parts];
    put(pattern.slice(hole + 3), parts);
  }
  return parts;
}

function pushPercent({ percentPattern }, parts) {
  const [before, after] = percentPattern.split("{0}");
  const front = [];
  pushTrimmed("percentSign", before, OUTER, front);
  parts.unshift(...front);
  pushTrimmed("percentSign", after, OUTER, parts);
}

/** The text of a unit; the space around it is not of it. */
const pushUnit = (text, parts) => pushTrimmed("unit", text, OUTER, parts);

/** The text of a decimal. */
function formatDecimal(state, decimal) {
  let text = "";
  for (const [, value] of partition(state, decimal)) text += value;
  return text;
}

const toObjects = (parts, extra) => parts.map(([type, value]) => ({ type, value, ...extra }));

/** PartitionNumberRangePattern, §16.5.22. */
function partitionRange(state, start, end) {
  if (start.kind === "nan" || end.kind === "nan") throw new RangeError("Invalid number value");
  if (isSame(state, start, end)) return toObjects(partition(state, start, undefined, true), { source: "shared" });
  const category = state.plurals.range(pluralOf(state, start), pluralOf(state, end));
  return collapse(state, partition(state, start, category), partition(state, end, category));
}

/** The sign that says "about" stands where a sign does. */
/** Whether two decimals are the same once they are rounded. */
function isSame(state, start, end) {
  if (start.kind !== end.kind || start.negative !== end.negative) return false;
  if (start.kind !== "finite") return true;
  const [a, b] = [start, end].map((decimal) => compose(state, state.style === "percent" ? scale(decimal, 2) : decimal));
  return a.integer === b.integer && a.fraction === b.fraction && a.exponent === b.exponent;
}

/**
 * What both ends share is written once, as ICU's UNUM_RANGE_COLLAPSE_AUTO has it: units always, and sign, currency and compact
 * suffix if they are the same and more than one character.
 */
function collapse({ symbols }, first, last) {
  const between = symbols.range.split(/\{[01]\}/)[1];
  const middleOf = (parts) => parts.map(([, value, level]) => (level === MIDDLE ? value : "")).join("");
  const middle = middleOf(first);
  const collapsed = [...middle].length > 1 && middle === middleOf(last);
  const shared = (level) => level === OUTER || (collapsed && level === MIDDLE);
  const isOwn = ([, , level]) => !shared(level);
  const source = (parts, side) => parts.map(([type, value, level]) => ({ type, value, source: shared(level) ? "shared" : side }));
  const spaced = first.some(([, , level]) => level !== undefined && !shared(level));
  return [
    ...source(first.slice(0, first.findLastIndex(isOwn) + 1), "startRange"),
    { type: "literal", value: spaced && between.trim() === between ? ` ${between} ` : between, source: "shared" },
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
    return (state.bound ??= withoutName((value) => formatDecimal(state, toDecimal(value))));
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

const cachedState = cachedByLocale(newState);
const stateFor = (locales, options) => (locales === undefined && options === undefined ? defaultState : cachedState(locales, options));
