// Unicode locale identifiers (UTS #35): their grammar and their canonical form.

const LANGUAGE = /^(?:[a-z]{2,3}|[a-z]{5,8})$/;
const SCRIPT = /^[a-z]{4}$/;
const REGION = /^(?:[a-z]{2}|[0-9]{3})$/;
const VARIANT = /^(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3})$/;
const ALPHANUMERIC = /^[a-z0-9]+$/;
const KEY = /^[a-z0-9][a-z]$/;
const TRANSFORM_KEY = /^[a-z][0-9]$/;

/** Longest tag that is looked at. The grammar has no limit; memory has one. */
const TAG_LENGTH_MAX = 10_000;

/** The functions that replace deprecated subtags; the module with the tables sets them. */
export const aliases = { apply: undefined, extensionValue: undefined };

/** The canonical form of a tag, or a RangeError. */
export function canonicalTag(tag) {
  return formatTag(canonicalize(parseTag(tag)));
}

/** Throws the RangeError for a text that is not a locale identifier. */
export function throwInvalidTag(tag) {
  throw new RangeError(`Incorrect locale information provided: ${tag.slice(0, 100)}`);
}

/** Takes a tag apart, in lower case; a RangeError if it is none. */
export function parseTag(tag) {
  if (tag.length > TAG_LENGTH_MAX) throwInvalidTag(tag);
  const lower = tag.toLowerCase();
  if (lower.length !== tag.length) throwInvalidTag(tag); // the Kelvin sign and its like
  const subtags = lower.split("-");
  for (const subtag of subtags) if (subtag.length > 8 || !ALPHANUMERIC.test(subtag)) throwInvalidTag(tag);
  let at = 0;
  const id = parseLanguageId(subtags, at, tag);
  if (id === null) throwInvalidTag(tag);
  at = id.next;
  const extensions = [];
  let privateUse = null;
  const singletons = new Set();
  while (at < subtags.length) {
    const singleton = subtags[at++];
    if (singleton.length !== 1) throwInvalidTag(tag);
    const start = at;
    if (singleton === "x") {
      privateUse = subtags.slice(at);
      if (privateUse.length === 0) throwInvalidTag(tag);
      break;
    }
    if (singletons.has(singleton)) throwInvalidTag(tag);
    singletons.add(singleton);
    while (at < subtags.length && subtags[at].length > 1) at++;
    if (at === start) throwInvalidTag(tag);
    extensions.push(parseExtension(singleton, subtags.slice(start, at), tag));
  }
  return { ...id, extensions, privateUse };
}

/** The grammar's unicode_language_id from `subtags[at]` on, and where it ends; null where there is none. */
function parseLanguageId(subtags, at, tag) {
  if (!LANGUAGE.test(subtags[at] ?? "")) return null;
  const language = subtags[at++];
  let script = "";
  let region = "";
  const variants = [];
  if (SCRIPT.test(subtags[at] ?? "")) script = subtags[at++];
  if (REGION.test(subtags[at] ?? "")) region = subtags[at++];
  while (VARIANT.test(subtags[at] ?? "")) {
    if (variants.includes(subtags[at])) throwInvalidTag(tag);
    variants.push(subtags[at++]);
  }
  return { language, script, region, variants, next: at };
}

function parseExtension(singleton, subtags, tag) {
  if (singleton === "u") return parseUnicodeExtension(subtags);
  if (singleton === "t") return parseTransform(subtags, tag);
  return { singleton, subtags };
}

function parseUnicodeExtension(subtags) {
  const attributes = [];
  const keywords = [];
  let at = 0;
  while (at < subtags.length && subtags[at].length > 2) attributes.push(subtags[at++]);
  while (at < subtags.length) {
    const key = subtags[at++];
    const start = at;
    while (at < subtags.length && subtags[at].length > 2) at++;
    // Of a key that repeats, the first counts.
    if (!keywords.some(([name]) => name === key)) keywords.push([key, subtags.slice(start, at).join("-")]);
  }
  return { singleton: "u", attributes, keywords, valid: keywords.every(([key]) => /^[a-z0-9][a-z]$/.test(key)) };
}

function parseTransform(subtags, tag) {
  const id = TRANSFORM_KEY.test(subtags[0]) ? { next: 0 } : parseLanguageId(subtags, 0, tag);
  if (id === null) throwInvalidTag(tag);
  const fields = [];
  let at = id.next;
  while (at < subtags.length) {
    const key = subtags[at++];
    const start = at;
    while (at < subtags.length && subtags[at].length > 2) at++;
    if (!TRANSFORM_KEY.test(key) || at === start) throwInvalidTag(tag);
    fields.push([key, subtags.slice(start, at).join("-")]);
  }
  return { singleton: "t", id: id.language === undefined ? null : id, fields };
}

const order = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

/** CanonicalizeUnicodeLocaleId, §6.2.3. */
export function canonicalize(id) {
  for (const extension of id.extensions) {
    if (extension.singleton === "u") {
      if (!extension.keywords.every(([key]) => KEY.test(key))) throwInvalidTag(formatTag(id));
      extension.attributes = [...new Set(extension.attributes)].sort(order);
      extension.keywords = extension.keywords
        .map(([key, value]) => [key, canonicalValue(key, value)])
        .sort(([a], [b]) => order(a, b));
    } else if (extension.singleton === "t") {
      if (extension.id !== null) {
        extension.id.variants.sort(order);
        aliases.apply?.(extension.id);
      }
      extension.fields = extension.fields
        .map(([key, value]) => [key, aliases.extensionValue?.(key, value) ?? value])
        .sort(([a], [b]) => order(a, b));
    }
  }
  id.variants.sort(order);
  aliases.apply?.(id);
  id.extensions.sort((a, b) => order(a.singleton, b.singleton));
  return id;
}

/** The canonical value of a Unicode extension's key: `true` is left out. */
export function canonicalValue(key, value) {
  value = aliases.extensionValue?.(key, value) ?? value;
  return value === "true" || (value === "yes" && ["kb", "kc", "kh", "kk", "kn"].includes(key)) ? "" : value;
}

/** The language, script, region and variants, each in its case. */
export function formatLanguageId({ language, script, region, variants }) {
  const parts = [language];
  if (script !== "") parts.push(script[0].toUpperCase() + script.slice(1));
  if (region !== "") parts.push(region.toUpperCase());
  return [...parts, ...variants].join("-");
}

export function formatTag(id) {
  const parts = [formatLanguageId(id)];
  for (const extension of id.extensions) {
    parts.push(extension.singleton);
    if (extension.singleton === "u") {
      parts.push(...extension.attributes);
      for (const [key, value] of extension.keywords) parts.push(key, ...(value === "" ? [] : [value]));
    } else if (extension.singleton === "t") {
      if (extension.id !== null) parts.push(formatLanguageId(extension.id).toLowerCase());
      for (const [key, value] of extension.fields) parts.push(key, value);
    } else {
      parts.push(...extension.subtags);
    }
  }
  if (id.privateUse !== null) parts.push("x", ...id.privateUse);
  return parts.join("-");
}

/** Of a canonical tag, what stands before the extensions, and the keywords of its Unicode extension. */
export function splitExtension(tag) {
  if (!/-[a-z0-9]-/.test(tag)) return { base: tag, keywords: [] };
  const id = parseTag(tag);
  const unicode = id.extensions.find(({ singleton }) => singleton === "u");
  return { base: formatLanguageId(id), keywords: unicode?.keywords ?? [] };
}
