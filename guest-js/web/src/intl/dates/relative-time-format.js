// Intl.RelativeTimeFormat (ECMA-402 §18).
import english from "../../vendor/intl/relative.js";
import { fromNumber } from "../numbers/decimal.js";
import { newState, partition as partitionNumber, pluralOf } from "../numbers/number-format.js";
import { isNumberingSystem } from "../numbers/numbering.js";
import { canonicalizeLocaleList, coerceOptions, dataOf, defineService, getOption, getTypeOption, instanceOf, readMatcher, resolveLocale, stateReader } from "../support.js";

const states = new WeakMap();
const stateOf = stateReader("RelativeTimeFormat", states);

export function RelativeTimeFormat(locales = undefined, options = undefined) {
  if (new.target === undefined) throw new TypeError("Constructor Intl.RelativeTimeFormat requires 'new'");
  const format = instanceOf(RelativeTimeFormat, new.target);
  const requested = canonicalizeLocaleList(locales);
  options = coerceOptions(options);
  readMatcher(options);
  const numberingSystem = getTypeOption(options, "numberingSystem");
  const resolved = resolveLocale(requested, { nu: { option: numberingSystem, isValue: isNumberingSystem } });
  const style = getOption(options, "style", "string", ["long", "short", "narrow"], "long");
  const numeric = getOption(options, "numeric", "string", ["always", "auto"], "always");
  const numbers = newState(resolved.dataLocale, resolved.nu === undefined ? undefined : { numberingSystem: resolved.nu });
  const units = dataOf(resolved.dataLocale)?.relative ?? english;
  states.set(format, { locale: resolved.locale, style, numeric, numberingSystem: numbers.numberingSystem, numbers, units });
  return format;
}

function partition(state, value, unit) {
  const number = Number(value);
  unit = `${unit}`;
  const singular = unit.endsWith("s") ? unit.slice(0, -1) : unit;
  if (!Object.hasOwn(state.units, singular)) throw new RangeError(`Invalid unit argument for format() '${unit.slice(0, 100)}'`);
  if (!Number.isFinite(number)) throw new RangeError("The value has to be finite");
  const [future, past, named] = state.units[singular][state.style];
  if (state.numeric === "auto") {
    const words = named[String(number)];
    if (words !== undefined) return [{ type: "literal", value: words }];
  }
  const forms = number < 0 || Object.is(number, -0) ? past : future;
  const decimal = fromNumber(Math.abs(number));
  const written = partitionNumber(state.numbers, decimal);
  const [before, after] = forms[state.numbers.data.categories.indexOf(pluralOf(state.numbers, decimal))].split("{0}");
  const parts = written.map(([type, text]) => ({ type, value: text, unit: singular }));
  // Some say "the day before" and need no number.
  if (after === undefined) return [{ type: "literal", value: before }];
  if (before !== "") parts.unshift({ type: "literal", value: before });
  if (after !== "") parts.push({ type: "literal", value: after });
  return parts;
}

defineService("RelativeTimeFormat", RelativeTimeFormat, {
  format(value, unit) {
    const state = stateOf(this, "format");
    return partition(state, value, unit).map(({ value: text }) => text).join("");
  },
  formatToParts(value, unit) {
    return partition(stateOf(this, "formatToParts"), value, unit);
  },
  resolvedOptions() {
    const { locale, style, numeric, numberingSystem } = stateOf(this, "resolvedOptions");
    return { locale, style, numeric, numberingSystem };
  },
});
