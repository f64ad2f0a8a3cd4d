// Intl.DateTimeFormat (ECMA-402 §11), in the Gregorian calendar.
import english from "../../vendor/intl/dates.js";
import { digitsOf, isNumberingSystem } from "../numbers/numbering.js";
import {
  canonicalizeLocaleList, coerceOptions, dataOf, defineMethods, defineService, getNumberOption, getOption, getTypeOption,
  instanceOf, readMatcher, cachedByLocale, resolveLocale, stateReader, withoutName,
} from "../support.js";
import { fieldText, toFields } from "./date-fields.js";
import { bestPattern, items, skeletonOf, stylePattern } from "./date-patterns.js";
import { rangeParts } from "./date-ranges.js";
import { findZone, UTC } from "./time-zone.js";

const states = new WeakMap();
const stateOf = stateReader("DateTimeFormat", states);

export function DateTimeFormat(locales = undefined, options = undefined) {
  const format = instanceOf(DateTimeFormat, new.target);
  states.set(format, newState(locales, options, "any", "date"));
  return format;
}

const TEXT = ["narrow", "short", "long"];
const DIGITS = ["2-digit", "numeric"];
/** The components, in the order in which they are read (Table 16). */
const COMPONENTS = [
  ["weekday", TEXT], ["era", TEXT], ["year", DIGITS], ["month", [...DIGITS, ...TEXT]], ["day", DIGITS], ["dayPeriod", TEXT], ["hour", DIGITS], ["minute", DIGITS],
  ["second", DIGITS], ["fractionalSecondDigits", null], ["timeZoneName", ["short", "long", "shortOffset", "longOffset", "shortGeneric", "longGeneric"]],
];
const DATE_COMPONENTS = ["weekday", "year", "month", "day"];
const TIME_COMPONENTS = ["dayPeriod", "hour", "minute", "second", "fractionalSecondDigits"];
const CYCLES = ["h11", "h12", "h23", "h24"];
const STYLES = ["full", "long", "medium", "short"];
const CALENDARS = ["gregory"];

/** CreateDateTimeFormat, §11.1.2. `required` and `defaults` are "date", "time", "any", "all". */
function newState(locales, options, required, defaults) {
  const requested = canonicalizeLocaleList(locales);
  options = coerceOptions(options);
  readMatcher(options);
  const calendar = getTypeOption(options, "calendar");
  const numberingSystem = getTypeOption(options, "numberingSystem");
  const hour12 = getOption(options, "hour12", "boolean", undefined, undefined);
  const hourCycle = getOption(options, "hourCycle", "string", CYCLES, undefined);
  const resolved = resolveLocale(requested, {
    ca: { option: calendar, isValue: (value) => CALENDARS.includes(value) },
    hc: { option: hour12 === undefined ? hourCycle : null, isValue: (value) => CYCLES.includes(value) },
    nu: { option: numberingSystem, isValue: isNumberingSystem },
  });
  const own = dataOf(resolved.dataLocale);
  const data = own?.dates ?? english;
  const system = own?.numbers.system ?? "latn";
  const state = { locale: resolved.locale, calendar: "gregory", numberingSystem: resolved.nu ?? system, data, names: {} };
  state.zoneNames = own === undefined ? undefined : { ...own.zones, digits: system === "latn" ? "0" : digitsOf(system) };
  // As in Node, the clock of 24 hours that `hour12: false` means begins with 24 where the usual one has 12 hours.
  const usual = data.cycle;
  const twelve = resolved.hc === "h11" || usual === "h11" ? "h11" : "h12";
  const cycle = hour12 === undefined ? (hourCycle ?? resolved.hc ?? usual) : hour12 ? twelve : usual === "h23" ? usual : "h24";
  const { timeZone } = options;
  state.zone = timeZone === undefined ? UTC : findZone(`${timeZone}`);
  let asked = 0;
  for (const [name, values] of COMPONENTS) {
    const value = values === null ? getNumberOption(options, name, 1, 3, undefined) : getOption(options, name, "string", values, undefined);
    state[name] = value;
    if (value !== undefined) asked++;
  }
  getOption(options, "formatMatcher", "string", ["basic", "best fit"], "best fit");
  const dateStyle = getOption(options, "dateStyle", "string", STYLES, undefined);
  const timeStyle = getOption(options, "timeStyle", "string", STYLES, undefined);
  if (dateStyle !== undefined || timeStyle !== undefined) {
    if (asked > 0) throw new TypeError(`Can't set option ${COMPONENTS.find(([name]) => state[name] !== undefined)[0]} when ${dateStyle === undefined ? "timeStyle" : "dateStyle"} is used`);
    if (required === "date" && timeStyle !== undefined) throw new TypeError("Invalid option : timeStyle");
    if (required === "time" && dateStyle !== undefined) throw new TypeError("Invalid option : dateStyle");
    Object.assign(state, { dateStyle, timeStyle });
    state.pattern = stylePattern(data, dateStyle, timeStyle);
    if (timeStyle !== undefined && !unquoted(state.pattern).includes(HOURS[cycle])) {
      state.pattern = withCycle(bestPattern(data, skeletonFor(skeletonOf(state.pattern), cycle)), cycle);
    }
  } else {
    addDefaults(state, required, defaults);
    state.pattern = withCycle(bestPattern(data, skeletonOfOptions(state, cycle)), cycle);
    readBack(state);
  }
  if (/[hHkK]/.test(unquoted(state.pattern))) state.hourCycle = cycle;
  state.items = items(state.pattern);
  state.digits = digitsOf(state.numberingSystem);
  return state;
}

const unquoted = (pattern) => items(pattern).map(([text, isField]) => (isField ? text : "")).join("");

function addDefaults(state, required, defaults) {
  const has = (names) => names.some((name) => state[name] !== undefined);
  if ((required !== "time" && has(DATE_COMPONENTS)) || (required !== "date" && has(TIME_COMPONENTS))) return;
  if (defaults !== "time") Object.assign(state, { year: "numeric", month: "numeric", day: "numeric" });
  if (defaults !== "date") Object.assign(state, { hour: "numeric", minute: "numeric", second: "numeric" });
}

const HOURS = { h11: "K", h12: "h", h23: "H", h24: "k" };
const ZONE_LETTERS = { short: "z", long: "zzzz", shortOffset: "O", longOffset: "OOOO", shortGeneric: "v", longGeneric: "vvvv" };
const WIDTH = { narrow: 5, long: 4, short: 3 };

/** The skeleton of the options, in pattern letters. */
function skeletonOfOptions(state, cycle) {
  const letters = [];
  const digits = (name, letter) => state[name] !== undefined && letters.push(letter.repeat(state[name] === "2-digit" ? 2 : 1));
  if (state.era !== undefined) letters.push("G".repeat({ ...WIDTH, short: 1 }[state.era]));
  digits("year", "y");
  if (WIDTH[state.month] !== undefined) letters.push("M".repeat(WIDTH[state.month]));
  else digits("month", "M");
  if (state.weekday !== undefined) letters.push("E".repeat(WIDTH[state.weekday]));
  digits("day", "d");
  const twelve = cycle === "h11" || cycle === "h12";
  if (state.dayPeriod !== undefined && (twelve || state.hour === undefined)) letters.push("B".repeat({ ...WIDTH, short: 1 }[state.dayPeriod]));
  digits("hour", twelve ? "h" : "H");
  digits("minute", "m");
  digits("second", "s");
  if (state.fractionalSecondDigits !== undefined) letters.push("S".repeat(state.fractionalSecondDigits));
  if (state.timeZoneName !== undefined) letters.push(ZONE_LETTERS[state.timeZoneName]);
  return letters.join("");
}

/** A skeleton with hours for another clock. */
const skeletonFor = (skeleton, cycle) => skeleton.replace(/[aB]+/, "").replace(/[hHkK]/g, cycle === "h11" || cycle === "h12" ? "h" : "H");

const withCycle = (pattern, cycle) =>
  items(pattern).map(([text, isField]) => (isField ? text.replace(/[hHkK]/g, HOURS[cycle]) : /[a-zA-Z']/.test(text) ? `'${text}'` : text)).join("");

/** The components as the pattern has them: what resolvedOptions shows. */
function readBack(state) {
  if (!unquoted(state.pattern).includes("B")) state.dayPeriod = undefined;
  for (const [text, isField] of items(state.pattern)) {
    if (!isField) continue;
    const width = text.length === 5 ? "narrow" : text.length === 4 ? "long" : "short";
    const digits = text.length === 2 ? "2-digit" : "numeric";
    switch (text[0]) {
      case "y":
        state.year = digits;
        break;
      case "M":
      case "L":
        state.month = text.length > 2 ? width : digits;
        break;
      case "E":
      case "c":
        state.weekday = width;
        break;
      case "d":
        state.day = digits;
        break;
      case "h":
      case "H":
      case "k":
      case "K":
        state.hour = digits;
        break;
      case "m":
        state.minute = digits;
        break;
      case "s":
        state.second = digits;
        break;
      case "G":
        state.era = width;
    }
  }
}

const TIME_MAX = 8.64e15;

/** The instant that a date, a number or nothing (now) is; a RangeError beyond what Date holds. */
function toTime(date) {
  const time = date === undefined ? Date.now() : Number(date);
  if (!(Math.abs(time) <= TIME_MAX)) throw new RangeError("Invalid time value");
  return Math.trunc(time) + 0;
}

/** FormatDateTimePattern, §11.5.6: pairs of type and text. */
function partition(state, time) {
  const fields = toFields(state.zone, time);
  const parts = [];
  for (const [text, isField] of state.items) {
    parts.push(isField ? fieldText(state, text, fields) : ["literal", text]);
  }
  return parts;
}

// The pattern has U+202F before AM and PM; plain text has had a space there for ever, and V8 keeps it so.
const plain = (text) => text.replaceAll("\u202f", " ");

function formatTime(state, time) {
  const fields = toFields(state.zone, time);
  let text = "";
  for (const [item, isField] of state.items) text += isField ? fieldText(state, item, fields)[1] : item;
  return plain(text);
}

function ends(start, end) {
  if (start === undefined || end === undefined) throw new TypeError("startDate or endDate cannot be undefined");
  return [toTime(start), toTime(end)];
}

defineService("DateTimeFormat", DateTimeFormat, {
  get format() {
    const state = stateOf(this, "format");
    return (state.bound ??= withoutName((date) => formatTime(state, toTime(date))));
  },
  formatToParts(date) {
    const state = stateOf(this, "formatToParts");
    return partition(state, toTime(date)).map(([type, value]) => ({ type, value }));
  },
  formatRange(startDate, endDate) {
    const state = stateOf(this, "formatRange");
    const parts = rangeParts(state, ...ends(startDate, endDate), partition);
    const text = parts.map(({ value }) => value).join("");
    return parts.every(({ source }) => source === "shared") ? plain(text) : text;
  },
  formatRangeToParts(startDate, endDate) {
    const state = stateOf(this, "formatRangeToParts");
    return rangeParts(state, ...ends(startDate, endDate), partition);
  },
  resolvedOptions() {
    const state = stateOf(this, "resolvedOptions");
    const shown = { locale: state.locale, calendar: state.calendar, numberingSystem: state.numberingSystem, timeZone: state.zone.id };
    if (state.hourCycle !== undefined) {
      shown.hourCycle = state.hourCycle;
      shown.hour12 = state.hourCycle === "h11" || state.hourCycle === "h12";
    }
    for (const [name] of COMPONENTS) if (state[name] !== undefined) shown[name] = state[name];
    for (const name of ["dateStyle", "timeStyle"]) if (state[name] !== undefined) shown[name] = state[name];
    return shown;
  },
});
Object.defineProperty(DateTimeFormat.prototype.formatToParts, "length", { value: 1, configurable: true });

const defaults = { any: newState(undefined, undefined, "any", "all"), date: newState(undefined, undefined, "date", "date"), time: newState(undefined, undefined, "time", "time") };

const cachedState = { any: cachedByLocale(newState), date: cachedByLocale(newState), time: cachedByLocale(newState) };

function localeText(date, locales, options, required, filled) {
  const time = Date.prototype.valueOf.call(date);
  if (Number.isNaN(time)) return "Invalid Date";
  const state = locales === undefined && options === undefined ? defaults[required] : cachedState[required](locales, options, required, filled);
  return formatTime(state, time);
}

defineMethods(Date.prototype, {
  toLocaleString(locales = undefined, options = undefined) {
    return localeText(this, locales, options, "any", "all");
  },
  toLocaleDateString(locales = undefined, options = undefined) {
    return localeText(this, locales, options, "date", "date");
  },
  toLocaleTimeString(locales = undefined, options = undefined) {
    return localeText(this, locales, options, "time", "time");
  },
});


