// Intl.RelativeTimeFormat (ECMA-402 §18), in English.
import units from "../vendor/intl/relative.js";
import { fromNumber } from "./decimal.js";
import { newState, partition as partitionNumber } from "./number-format.js";
import { isNumberingSystem } from "./numbering.js";
import { canonicalizeLocaleList, coerceOptions, defineService, getOption, getTypeOption, instanceOf, readMatcher, resolveLocale, stateReader } from "./support.js";

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
  const nu = resolved.nu ?? "latn";
  states.set(format, { locale: resolved.locale, style, numeric, numberingSystem: nu, numbers: newState("en", { numberingSystem: nu }) });
  return format;
}

function partition(state, value, unit) {
  const number = Number(value);
  unit = `${unit}`;
  const singular = unit.endsWith("s") ? unit.slice(0, -1) : unit;
  if (!Object.hasOwn(units, singular)) throw new RangeError(`Invalid unit argument for format() '${unit.slice(0, 100)}'`);
  if (!Number.isFinite(number)) throw new RangeError("The value has to be finite");
  const patterns = units[singular][state.style];
  if (state.numeric === "auto") {
    const words = patterns[4][Object.is(number, -0) ? "0" : String(number)];
    if (words !== undefined) return [{ type: "literal", value: words }];
  }
  const past = number < 0 || Object.is(number, -0);
  const written = partitionNumber(state.numbers, fromNumber(Math.abs(number)));
  const one = written.length === 1 && Math.abs(number) === 1;
  const [before, after] = patterns[(past ? 2 : 0) + (one ? 0 : 1)].split("{0}");
  const parts = written.map(([type, text]) => ({ type, value: text, unit: singular }));
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
