// Intl.Locale (ECMA-402 §14).
import data from "../../vendor/intl/locales.js";
import { defineMethods, getOption, hooks, instanceOf, Intl, lookUp, stateReader, throwOutOfRange } from "../support.js";
import { likelySubtags } from "./aliases.js";
import { canonicalize, canonicalValue, formatLanguageId, formatTag, parseTag, throwInvalidTag } from "./locale-id.js";

const states = new WeakMap();
const stateOf = stateReader("Locale", states);
// Set here, because support.js needs the tag of a Locale but is evaluated before this module, which imports it.
hooks.localeTag = (value) => (typeof value === "object" && value !== null ? states.get(value)?.tag : undefined);

const TYPE = /^[a-z0-9]{3,8}(?:-[a-z0-9]{3,8})*$/;

export function Locale(tag, options = undefined) {
  if (new.target === undefined) throw new TypeError("Constructor Intl.Locale requires 'new'");
  if (typeof tag !== "string" && (typeof tag !== "object" || tag === null) && typeof tag !== "function") {
    throw new TypeError("First argument to Intl.Locale constructor can't be empty or missing");
  }
  const locale = instanceOf(Locale, new.target);
  const text = hooks.localeTag(tag) ?? `${tag}`;
  if (options === undefined) options = Object.create(null);
  else if (options === null) throw new TypeError("Cannot convert undefined or null to object");
  else options = Object(options);
  const id = applyOptions(canonicalize(parseTag(text)), options, text);
  states.set(locale, { id, tag: formatTag(id) });
  return locale;
}
Object.defineProperty(Locale, "length", { value: 1, configurable: true });

/** The subtags and keywords that the options name, in place of those of the tag. */
function applyOptions(id, options, tag) {
  const subtag = (name, pattern) => {
    const value = getOption(options, name, "string", undefined, undefined)?.toLowerCase();
    if (value !== undefined && !pattern.test(value)) throwInvalidTag(value);
    return value;
  };
  const language = subtag("language", /^(?:[a-z]{2,3}|[a-z]{5,8})$/);
  const script = subtag("script", /^[a-z]{4}$/);
  const region = subtag("region", /^(?:[a-z]{2}|[0-9]{3})$/);
  const variants = getOption(options, "variants", "string", undefined, undefined)?.toLowerCase().split("-");
  if (variants !== undefined) {
    const isVariant = (variant) => /^(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3})$/.test(variant);
    if (!variants.every(isVariant) || new Set(variants).size < variants.length) throwInvalidTag(variants.join("-"));
  }
  if (language !== undefined) id.language = language;
  if (script !== undefined) id.script = script;
  if (region !== undefined) id.region = region;
  if (variants !== undefined) id.variants = variants;
  id = canonicalize(id);
  const keywords = [];
  const addKeyword = (key, name) => {
    const value = getOption(options, name, "string", undefined, undefined);
    if (value === undefined) return;
    if (!TYPE.test(value.toLowerCase())) throwOutOfRange(value, name);
    keywords.push([key, canonicalValue(key, value.toLowerCase())]);
  };
  addKeyword("ca", "calendar");
  addKeyword("co", "collation");
  const firstDay = getOption(options, "firstDayOfWeek", "string", undefined, undefined);
  if (firstDay !== undefined) {
    const day = ["sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun"][firstDay] ?? firstDay.toLowerCase();
    if (!TYPE.test(day)) throwOutOfRange(firstDay, "firstDayOfWeek");
    keywords.push(["fw", day]);
  }
  const cycle = getOption(options, "hourCycle", "string", ["h11", "h12", "h23", "h24"], undefined);
  if (cycle !== undefined) keywords.push(["hc", cycle]);
  const caseFirst = getOption(options, "caseFirst", "string", ["upper", "lower", "false"], undefined);
  if (caseFirst !== undefined) keywords.push(["kf", caseFirst]);
  const numeric = getOption(options, "numeric", "boolean", undefined, undefined);
  if (numeric !== undefined) keywords.push(["kn", numeric ? "" : "false"]);
  addKeyword("nu", "numberingSystem");
  if (keywords.length > 0) {
    let unicode = id.extensions.find(({ singleton }) => singleton === "u");
    if (unicode === undefined) id.extensions.push((unicode = { singleton: "u", attributes: [], keywords: [] }));
    unicode.keywords = [...unicode.keywords.filter(([key]) => !keywords.some(([other]) => other === key)), ...keywords];
    id = canonicalize(id);
  }
  return id;
}

const keywordOf = ({ id }, key) => id.extensions.find(({ singleton }) => singleton === "u")?.keywords.find(([name]) => name === key)?.[1];

/** The identifier with its likely subtags (UTS #35, 4.3), or as it is where none are known. */
function addLikelySubtags({ id }) {
  const likely = likelySubtags(id.language, id.script, id.region);
  return likely === undefined ? id : { ...id, ...likely };
}

/** The shortest identifier that has the same likely subtags. */
function removeLikelySubtags(state) {
  const full = addLikelySubtags(state);
  if (likelySubtags(state.id.language, state.id.script, state.id.region) === undefined) return state.id;
  const hasSameLikelySubtags = ({ language, script, region }) => {
    const found = likelySubtags(language, script, region);
    return found !== undefined && found.language === full.language && found.script === full.script && found.region === full.region;
  };
  const { language, script, region } = full;
  for (const shorter of [{ language, script: "", region: "" }, { language, script: "", region }, { language, script, region: "" }]) {
    if (hasSameLikelySubtags(shorter)) return { ...state.id, ...shorter };
  }
  return full;
}

const make = (id) => new Locale(formatTag(id));

Object.defineProperty(Locale, "prototype", { writable: false });
defineMethods(Locale.prototype, {
  maximize() {
    return make(addLikelySubtags(stateOf(this, "maximize")));
  },
  minimize() {
    return make(removeLikelySubtags(stateOf(this, "minimize")));
  },
  /** The first day of the week, the days of the weekend (1 is Monday) and how many days the first week of a year has at least. */
  getWeekInfo() {
    const state = stateOf(this, "getWeekInfo");
    const { region } = addLikelySubtags(state);
    // A row of the table has the first day and the days of the weekend as digits, 1 for Monday. Regions without a row
    // begin on Monday, and their weekend is Saturday and Sunday. `fourDays` is a text of regions between spaces.
    const [first, weekend] = lookUp(data.weeks, region.toUpperCase()) ?? [];
    const named = ["", "mon", "tue", "wed", "thu", "fri", "sat", "sun"].indexOf(keywordOf(state, "fw") ?? "-");
    const minimalDays = data.fourDays.includes(` ${region.toUpperCase()} `) ? 4 : 1;
    return { firstDay: named > 0 ? named : Number(first || 1), weekend: (weekend || "67").split("").map(Number), minimalDays };
  },
  toString() {
    return stateOf(this, "toString").tag;
  },
  get baseName() {
    return formatLanguageId(stateOf(this, "baseName").id);
  },
  get language() {
    return stateOf(this, "language").id.language;
  },
  get script() {
    const { script } = stateOf(this, "script").id;
    return script === "" ? undefined : script[0].toUpperCase() + script.slice(1);
  },
  get region() {
    return stateOf(this, "region").id.region.toUpperCase() || undefined;
  },
  get variants() {
    return stateOf(this, "variants").id.variants.join("-") || undefined;
  },
  get calendar() {
    return keywordOf(stateOf(this, "calendar"), "ca");
  },
  get collation() {
    return keywordOf(stateOf(this, "collation"), "co");
  },
  get firstDayOfWeek() {
    return keywordOf(stateOf(this, "firstDayOfWeek"), "fw");
  },
  get hourCycle() {
    return keywordOf(stateOf(this, "hourCycle"), "hc");
  },
  get caseFirst() {
    return keywordOf(stateOf(this, "caseFirst"), "kf");
  },
  get numeric() {
    const value = keywordOf(stateOf(this, "numeric"), "kn");
    return value === "" || value === "true";
  },
  get numberingSystem() {
    return keywordOf(stateOf(this, "numberingSystem"), "nu");
  },
});
Object.defineProperty(Locale.prototype, Symbol.toStringTag, { value: "Intl.Locale", configurable: true });
Object.defineProperty(Intl, "Locale", { value: Locale, writable: true, configurable: true });
