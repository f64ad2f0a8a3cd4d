// Intl.PluralRules (ECMA-402 §17).
import { canonicalizeLocaleList, coerceOptions, defineService, getOption, instanceOf, readMatcher, resolveLocale, stateReader } from "../support.js";
import { toDecimal } from "./decimal.js";
import { DIGIT_OPTIONS, readDigitOptions, roundAndWrite } from "./number-options.js";
import { pluralsOf } from "./plural-categories.js";

const states = new WeakMap();
const stateOf = stateReader("PluralRules", states);

export function PluralRules(locales = undefined, options = undefined) {
  if (new.target === undefined) throw new TypeError("Constructor Intl.PluralRules requires 'new'");
  const rules = instanceOf(PluralRules, new.target);
  const requested = canonicalizeLocaleList(locales);
  options = coerceOptions(options);
  readMatcher(options);
  const state = { type: getOption(options, "type", "string", ["cardinal", "ordinal"], "cardinal") };
  readDigitOptions(state, options, 0, 3, false);
  const { locale, dataLocale } = resolveLocale(requested);
  state.locale = locale;
  state.plurals = pluralsOf(dataLocale);
  states.set(rules, state);
  return rules;
}

// The order in which V8 has them.
const CATEGORIES = ["few", "many", "one", "two", "zero", "other"];
const byCategory = (a, b) => CATEGORIES.indexOf(a) - CATEGORIES.indexOf(b);

function select(state, decimal) {
  if (decimal.kind !== "finite") return "other";
  const { integer, fraction } = roundAndWrite(state, decimal);
  return state.plurals[state.type](integer, fraction);
}

defineService("PluralRules", PluralRules, {
  select(value) {
    const state = stateOf(this, "select");
    return select(state, toDecimal(Number(value)));
  },
  selectRange(start, end) {
    const state = stateOf(this, "selectRange");
    if (start === undefined || end === undefined) throw new TypeError("Invalid argument");
    const [low, high] = [toDecimal(Number(start)), toDecimal(Number(end))];
    if (low.kind === "nan" || high.kind === "nan") throw new RangeError("Invalid number value");
    return state.plurals.range(select(state, low), select(state, high));
  },
  resolvedOptions() {
    const state = stateOf(this, "resolvedOptions");
    const shown = { locale: state.locale, type: state.type };
    for (const key of DIGIT_OPTIONS) if (state[key] !== undefined) shown[key] = state[key];
    shown.pluralCategories = [...state.plurals[`${state.type}Names`]].sort(byCategory);
    for (const key of ["roundingIncrement", "roundingMode", "roundingPriority", "trailingZeroDisplay"]) shown[key] = state[key];
    return shown;
  },
});
