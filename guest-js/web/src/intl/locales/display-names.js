// Intl.DisplayNames (ECMA-402 §12).
import english from "../../vendor/intl/names.js";
import { canonicalizeLocaleList, dataOf, defineService, getOption, instanceOf, lookUp, throwOutOfRange, readMatcher, resolveLocale, stateReader } from "../support.js";
import { canonicalTag, parseTag } from "./locale-id.js";

const states = new WeakMap();
const stateOf = stateReader("DisplayNames", states);
const TYPES = ["language", "region", "script", "currency", "calendar", "dateTimeField"];

export function DisplayNames(locales, options) {
  if (new.target === undefined) throw new TypeError("Constructor Intl.DisplayNames requires 'new'");
  const names = instanceOf(DisplayNames, new.target);
  const requested = canonicalizeLocaleList(locales);
  if (typeof options !== "object" && typeof options !== "function") throw new TypeError("Intl.DisplayNames needs an object of options that says its type");
  if (options === null) throw new TypeError("Cannot convert undefined or null to object");
  readMatcher(options);
  const style = getOption(options, "style", "string", ["narrow", "short", "long"], "long");
  const type = getOption(options, "type", "string", TYPES, undefined);
  if (type === undefined) throw new TypeError("Required option \"type\" must not be undefined");
  const fallback = getOption(options, "fallback", "string", ["code", "none"], "code");
  const languageDisplay = getOption(options, "languageDisplay", "string", ["dialect", "standard"], "dialect");
  const { locale, dataLocale } = resolveLocale(requested);
  states.set(names, { locale, data: dataOf(dataLocale)?.names ?? english, style, type, fallback, languageDisplay: type === "language" ? languageDisplay : undefined });
  return names;
}

const name = (table, code, style) => {
  const cells = lookUp(table, code);
  return cells === undefined ? undefined : (style === "long" ? cells[0] : (cells[1] ?? cells[0]));
};
const brackets = { "(": "[", ")": "]", "\uff08": "\uff3b", "\uff09": "\uff3d" };

/** A name and what makes it more exact. */
function compose([pattern, separator], found, rest) {
  const list = rest.map((part) => part.replace(/[()\uff08\uff09]/g, (bracket) => brackets[bracket])).reduce((all, part) => separator.replace("{0}", () => all).replace("{1}", () => part));
  return pattern.replace("{0}", () => found).replace("{1}", () => list);
}

const title = (text) => text[0].toUpperCase() + text.slice(1).toLowerCase();

/** For each type, the canonical form of a code (a RangeError if it is none) and its name. */
const READERS = {
  language(code, { data, style, languageDisplay }) {
    if (parseTag(code).extensions.length > 0 || parseTag(code).privateUse !== null) throwOutOfRange(code, "code");
    const tag = canonicalTag(code);
    const { language, script, region, variants } = parseTag(tag);
    // A dialect has its name where the tag says no more than that.
    const wholes = languageDisplay === "dialect" ? [[language, script, region], [language, "", ""]] : [[language, "", ""]];
    for (const [l, s, r] of wholes) {
      const key = [l, s && title(s), r.toUpperCase()].filter((part) => part !== "").join("-");
      const found = name(data.language, key, style);
      if (found === undefined || key === "und") continue;
      const rest = [];
      if (script !== "" && s === "") rest.push(name(data.script, title(script), style) ?? title(script));
      if (region !== "" && r === "") rest.push(name(data.region, region.toUpperCase(), style) ?? region.toUpperCase());
      for (const variant of variants) rest.push(name(data.variant, variant, "long") ?? variant.toUpperCase());
      return [tag, rest.length === 0 ? found : compose(data.patterns, found, rest)];
    }
    return [tag, undefined];
  },
  region(code, { data, style }) {
    if (!/^(?:[a-z]{2}|[0-9]{3})$/i.test(code)) throwOutOfRange(code, "code");
    const region = code.toUpperCase();
    return [region, name(data.region, region, style)];
  },
  script(code, { data, style }) {
    if (!/^[a-z]{4}$/i.test(code)) throwOutOfRange(code, "code");
    const script = title(code);
    return [script, name(data.script, script, style)];
  },
  currency(code, { data }) {
    if (!/^[a-z]{3}$/i.test(code)) throwOutOfRange(code, "code");
    const currency = code.toUpperCase();
    return [currency, name(data.currency, currency, "long")]; // as in Node, in every style
  },
  calendar(code, { data }) {
    if (!/^[a-z0-9]{3,8}(?:-[a-z0-9]{3,8})*$/i.test(code)) throwOutOfRange(code, "code");
    return [code.toLowerCase(), name(data.calendar, code.toLowerCase(), "long")];
  },
  dateTimeField(code, { data, style }) {
    const cells = /[\t\n]/.test(code) ? undefined : lookUp(data.dateTimeField, code);
    if (cells === undefined) throwOutOfRange(code, "code");
    return [code, cells[["long", "short", "narrow"].indexOf(style)]];
  },
};

defineService("DisplayNames", DisplayNames, {
  of(code) {
    const state = stateOf(this, "of");
    const [canonical, found] = READERS[state.type](`${code}`, state);
    return found ?? (state.fallback === "code" ? canonical : undefined);
  },
  resolvedOptions() {
    const { locale, style, type, fallback, languageDisplay } = stateOf(this, "resolvedOptions");
    return languageDisplay === undefined ? { locale, style, type, fallback } : { locale, style, type, fallback, languageDisplay };
  },
});
