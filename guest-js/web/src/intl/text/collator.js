// Intl.Collator (ECMA-402 §10).
import { canonicalizeLocaleList, coerceOptions, dataOf, defineService, getOption, getTypeOption, instanceOf, readMatcher, resolveLocale, stateReader, withoutName } from "../support.js";
import { compareText } from "./collation.js";

const states = new WeakMap();
const stateOf = stateReader("Collator", states);

export function Collator(locales = undefined, options = undefined) {
  const collator = instanceOf(Collator, new.target);
  states.set(collator, newState(locales, options));
  return collator;
}

const CASES = ["upper", "lower", "false"];

export function newState(locales, options) {
  const requested = canonicalizeLocaleList(locales);
  options = coerceOptions(options);
  const usage = getOption(options, "usage", "string", ["sort", "search"], "sort");
  readMatcher(options);
  getTypeOption(options, "collation");
  const numeric = getOption(options, "numeric", "boolean", undefined, undefined);
  const caseFirst = getOption(options, "caseFirst", "string", CASES, undefined);
  const resolved = resolveLocale(requested, {
    kn: { option: numeric === undefined ? undefined : String(numeric), isValue: (value) => value === "true" || value === "false" },
    kf: { option: caseFirst, isValue: (value) => CASES.includes(value) },
  });
  const tailoring = dataOf(resolved.dataLocale)?.collation;
  return {
    locale: resolved.locale,
    tailoring,
    usage,
    sensitivity: getOption(options, "sensitivity", "string", ["base", "accent", "case", "variant"], "variant"),
    ignorePunctuation: getOption(options, "ignorePunctuation", "boolean", undefined, false),
    numeric: resolved.kn === "true",
    caseFirst: resolved.kf ?? tailoring?.caseFirst ?? "false",
  };
}

defineService("Collator", Collator, {
  get compare() {
    const state = stateOf(this, "compare");
    return (state.bound ??= withoutName((x, y) => compareText(`${x}`, `${y}`, state)));
  },
  resolvedOptions() {
    const { locale, usage, sensitivity, ignorePunctuation, numeric, caseFirst } = stateOf(this, "resolvedOptions");
    return { locale, usage, sensitivity, ignorePunctuation, collation: "default", numeric, caseFirst };
  },
});
