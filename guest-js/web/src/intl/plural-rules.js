// Intl.PluralRules (ECMA-402 §17), in English.
import { toDecimal } from "./decimal.js";
import { DIGIT_OPTIONS, readDigitOptions, roundAndWrite } from "./number-options.js";
import { cardinal, ordinal } from "./plural-categories.js";
import { canonicalizeLocaleList, coerceOptions, defineService, getOption, instanceOf, readMatcher, resolveLocale, stateReader } from "./support.js";

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
  state.locale = resolveLocale(requested).locale;
  states.set(rules, state);
  return rules;
}

function select(state, decimal) {
  if (decimal.kind !== "finite") return "other";
  const { integer, fraction } = roundAndWrite(state, decimal);
  return state.type === "ordinal" ? ordinal(integer, fraction) : cardinal(integer, fraction);
}

defineService("PluralRules", PluralRules, {
  select(value) {
    const state = stateOf(this, "select");
    return select(state, toDecimal(Number(value)));
  },
  selectRange(start, end) {
    stateOf(this, "selectRange");
    if (start === undefined || end === undefined) throw new TypeError("Invalid argument");
    const [low, high] = [toDecimal(Number(start)), toDecimal(Number(end))];
    if (low.kind === "nan" || high.kind === "nan") throw new RangeError("Invalid number value");
    // CLDR's pluralRanges has English say "other" of every range.
    return "other";
  },
  resolvedOptions() {
    const state = stateOf(this, "resolvedOptions");
    const shown = { locale: state.locale, type: state.type };
    for (const key of DIGIT_OPTIONS) if (state[key] !== undefined) shown[key] = state[key];
    shown.pluralCategories = state.type === "ordinal" ? ["few", "one", "two", "other"] : ["one", "other"];
    for (const key of ["roundingIncrement", "roundingMode", "roundingPriority", "trailingZeroDisplay"]) shown[key] = state[key];
    return shown;
  },
});
