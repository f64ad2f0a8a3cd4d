// The shared parts of Intl: the object itself, option reading and locale negotiation (ECMA-402 §9).
import { canonicalTag, splitExtension } from "./locales/locale-id.js";

/** The locale if none is named. */
const DEFAULT_LOCALE = "en-US";

/** The locales that there is data for, and their data; null is English, whose data lie in the modules that use them. */
const available = new Map([["en", null], ["en-US", null]]);

/** CLDR's parents of locales, where they are not what remains without the last subtag. */
const parents = new Map();

/** The caches of {@link cachedByLocale}. */
const caches = [];

/**
 * Adds the data of a locale under its tag and others that mean the same. Called while a component is built, by the module that
 * elias-build makes of `[build] locales`; the data are those of vendor/intl/archive.mjs.
 */
export function addLocale(tag, others, data) {
  for (const cache of caches) cache.clear(); // what was made for the locale before is English
  data.collation = hooks.prepareCollation(data.collation);
  for (const name of [tag, ...others]) if (name === tag || !available.has(name)) available.set(name, data);
  hooks.prepareDates(data.dates);
}

export function addParents(table) {
  for (const [tag, parent] of Object.entries(table)) parents.set(tag, parent);
}

/** The data of a locale that {@link resolveLocale} returned; undefined for English. */
export const dataOf = (dataLocale) => available.get(dataLocale) ?? undefined;

export const Intl = globalThis.Intl ?? {};
if (globalThis.Intl === undefined) {
  Object.defineProperty(Intl, Symbol.toStringTag, { value: "Intl", configurable: true });
  Object.defineProperty(globalThis, "Intl", { value: Intl, writable: true, configurable: true });
}

/** Puts functions on `target` as ECMAScript's built-ins have them: not enumerable, no constructors. */
export function defineMethods(target, methods) {
  for (const key of Reflect.ownKeys(methods)) {
    Object.defineProperty(target, key, { ...Object.getOwnPropertyDescriptor(methods, key), enumerable: false });
  }
}

/**
 * Makes `constructor` a service of Intl. `states` holds what its instances know; `methods` go to the prototype.
 */
export function defineService(name, constructor, methods) {
  Object.defineProperty(constructor, "prototype", { writable: false });
  defineMethods(constructor.prototype, methods);
  Object.defineProperty(constructor.prototype, Symbol.toStringTag, { value: `Intl.${name}`, configurable: true });
  defineMethods(constructor, {
    supportedLocalesOf(locales, options = undefined) {
      const requested = canonicalizeLocaleList(locales);
      options = coerceOptions(options);
      getOption(options, "localeMatcher", "string", ["lookup", "best fit"], "best fit");
      return requested.filter((tag) => bestAvailable(splitExtension(tag).base) !== undefined);
    },
  });
  Object.defineProperty(constructor.supportedLocalesOf, "length", { value: 1, configurable: true });
  Object.defineProperty(Intl, name, { value: constructor, writable: true, configurable: true });
}

/** The instance that `new constructor` or a subclass of it makes. */
export const instanceOf = (constructor, newTarget) => Reflect.construct(Object, [], newTarget ?? constructor);

/** A function that gives the state of an instance and refuses what is none. */
export function stateReader(name, states) {
  return (instance, method) => {
    const state = states.get(instance);
    if (state === undefined) {
      throw new TypeError(`Method Intl.${name}.prototype.${method} called on incompatible receiver ${describe(instance)}`);
    }
    return state;
  };
}

function describe(value) {
  return typeof value === "object" && value !== null ? Object.prototype.toString.call(value) : String(value);
}

/** GetOptionsObject, §9.2.12. */
export function getOptionsObject(options) {
  if (options === undefined) return Object.create(null);
  if (typeof options === "object" && options !== null) return options;
  if (typeof options === "function") return options;
  throw new TypeError("options must be an object");
}

/** The function that a getter such as `format` gives: its name is the empty string. */
export const withoutName = (bound) => Object.defineProperty(bound, "name", { value: "", configurable: true });

/** CoerceOptionsToObject, §9.2.11. */
export function coerceOptions(options) {
  if (options === undefined) return Object.create(null);
  if (options === null) throw new TypeError("Cannot convert undefined or null to object");
  return Object(options);
}

/** GetOption, §9.2.13. */
export function getOption(options, name, type, values, fallback) {
  let value = options[name];
  if (value === undefined) return fallback;
  if (type === "boolean") value = Boolean(value);
  else value = toText(value);
  if (values !== undefined && !values.includes(value)) throwOutOfRange(value, name);
  return value;
}

function toText(value) {
  if (typeof value === "symbol") throw new TypeError("Cannot convert a Symbol value to a string");
  return `${value}`;
}

/** Throws the RangeError for a value that an option does not take. */
export function throwOutOfRange(value, name) {
  throw new RangeError(`Value ${String(value).slice(0, 100)} out of range for Intl options property ${name}`);
}

/** GetBooleanOrStringNumberFormatOption, §9.2.14. */
export function getBooleanOrString(options, name, values, fallback) {
  const value = options[name];
  if (value === undefined) return fallback;
  if (value === true) return true;
  if (!value) return false;
  const text = toText(value);
  if (!values.includes(text)) throwOutOfRange(text, name);
  return text;
}

/** DefaultNumberOption, §9.2.15. */
export function defaultNumber(value, minimum, maximum, fallback, name) {
  if (value === undefined) return fallback;
  const number = Number(value);
  if (!(number >= minimum && number <= maximum)) throw new RangeError(`${name} value is out of range.`);
  return Math.floor(number);
}

export const getNumberOption = (options, name, minimum, maximum, fallback) =>
  defaultNumber(options[name], minimum, maximum, fallback, name);

/** The `type` of a Unicode extension: 3 to 8 letters or digits, once or more. */
const EXTENSION_TYPE = /^[a-z0-9]{3,8}(?:-[a-z0-9]{3,8})*$/i;

/** An option whose value is the type of a Unicode extension, in lower case. */
export function getTypeOption(options, name) {
  const value = getOption(options, name, "string", undefined, undefined);
  if (value === undefined) return undefined;
  if (!EXTENSION_TYPE.test(value)) throw new RangeError(`Invalid ${name} : ${value.slice(0, 100)}`);
  return value.toLowerCase();
}

/**
 * Set by modules that come later: the tag of an instance of Intl.Locale, the script that a tag's language is likely written in, and
 * what is made once of a locale's dates and order.
 */
export const hooks = { localeTag: () => undefined, likelyScript: () => undefined, prepareDates: () => {}, prepareCollation: () => null };

/** CanonicalizeLocaleList, §9.2.1. */
export function canonicalizeLocaleList(locales) {
  if (locales === undefined) return [];
  if (typeof locales === "string") return [canonicalTag(locales)];
  const tag = hooks.localeTag(locales);
  if (tag !== undefined) return [tag];
  if (locales === null) throw new TypeError("Cannot convert undefined or null to object");
  const list = Object(locales);
  const length = Math.min(Math.max(Math.trunc(Number(list.length)) || 0, 0), Number.MAX_SAFE_INTEGER);
  const seen = [];
  for (let at = 0; at < length; at++) {
    if (!(at in list)) continue;
    const value = list[at];
    if (typeof value !== "string" && (typeof value !== "object" || value === null) && typeof value !== "function") {
      throw new TypeError("Language ID should be string or object.");
    }
    const canonical = hooks.localeTag(value) ?? canonicalTag(toText(value));
    if (!seen.includes(canonical)) seen.push(canonical);
  }
  return seen;
}

/** How far up parents are looked for. */
const PARENTS_MAX = 8;

/**
 * The nearest locale that there is data for, or undefined: a tag, its parents in CLDR, and what remains of it without its last
 * subtags, as long as it is in the same script.
 */
function bestAvailable(base) {
  if (available.has(base)) return base;
  // Nobody who asks for zh-TW is helped by zh.
  const script = available.size > 2 ? hooks.likelyScript(base) : undefined;
  const candidates = [base];
  for (let at = 0; at < candidates.length && candidates.length < PARENTS_MAX; at++) {
    const tag = candidates[at];
    const parent = parents.get(tag) ?? withoutLast(tag);
    if (parent !== undefined) candidates.push(parent);
    // Norwegian without more is Bokmål.
    if (/^no(?:-|$)/.test(tag)) candidates.push(`nb${tag.slice(2)}`);
    const [language, second, ...rest] = tag.split("-");
    if (script !== undefined && second?.length !== 4) candidates.push([language, script, ...(second === undefined ? [] : [second]), ...rest].join("-"));
  }
  const language = (tag) => (/^(?:nb|no)(?:-|$)/.test(tag) ? "no" : tag.split("-")[0]);
  return candidates.find((tag) => available.has(tag) && language(tag) === language(base) && (script === undefined || hooks.likelyScript(tag) === script));
}

function withoutLast(tag) {
  let at = tag.lastIndexOf("-");
  if (at === -1) return undefined;
  if (at >= 2 && tag[at - 2] === "-") at -= 2;
  return tag.slice(0, at);
}

/**
 * ResolveLocale, §9.2.7. `keys` are the Unicode extension keys that the service knows: for each the value that the options
 * ask for (or undefined), and which values there are.
 *
 * Gives `locale`, `dataLocale`, which is the former without its extension, and for each key its value or undefined.
 */
export function resolveLocale(locales, keys = {}) {
  const requested = canonicalizeLocaleList(locales);
  let locale = DEFAULT_LOCALE;
  let keywords = [];
  for (const tag of requested) {
    const { base, keywords: found } = splitExtension(tag);
    const available = bestAvailable(base);
    if (available === undefined) continue;
    locale = available;
    keywords = found;
    break;
  }
  const resolved = { locale, dataLocale: locale };
  let extension = "";
  for (const [key, { option, isValue }] of Object.entries(keys)) {
    let value;
    const keyword = keywords.find(([name]) => name === key);
    if (keyword !== undefined) {
      const asked = keyword[1] === "" ? "true" : keyword[1];
      if (isValue(asked)) {
        value = asked;
        if (option === undefined || option === asked) extension += keyword[1] === "" || asked === "true" ? `-${key}` : `-${key}-${asked}`;
      }
    }
    if (option !== undefined && option !== null && isValue(option)) value = option;
    resolved[key] = value;
  }
  if (extension !== "") resolved.locale = `${locale}-u${extension}`;
  return resolved;
}

/** Reads `localeMatcher`, which changes nothing: there is one way to match. */
export function readMatcher(options) {
  getOption(options, "localeMatcher", "string", ["lookup", "best fit"], "best fit");
}

/** How many states a cache holds. */
const CACHED_MAX = 20;

/**
 * `make` with a cache of its results for a locale that is a string, without options: making one takes most of the time
 * of a `toLocaleString("de")` or a comparison while sorting.
 */
export function cachedByLocale(make) {
  const known = new Map();
  caches.push(known);
  return (locales, options, ...more) => {
    if (typeof locales !== "string" || options !== undefined) return make(locales, options, ...more);
    let state = known.get(locales);
    if (state === undefined) {
      state = make(locales, options, ...more);
      if (known.size < CACHED_MAX) known.set(locales, state);
    }
    return state;
  };
}

/** Looks up `key` in a table of lines `\nkey\tvalue\tvalue`: its values, or undefined. */
export function lookUp(table, key) {
  const at = table.indexOf(`\n${key}\t`);
  if (at === -1) return undefined;
  const start = at + key.length + 2;
  const end = table.indexOf("\n", start);
  return table.slice(start, end === -1 ? undefined : end).split("\t");
}
