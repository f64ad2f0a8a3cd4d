// Patterns: their parts, and the regular expression and the text that these make. https://urlpattern.spec.whatwg.org/#pattern-strings (2)
import { isNamePart, tokenize } from "./tokens.js";

const FULL_WILDCARD = ".*";
const MODIFIERS = { "?": "optional", "*": "zero-or-more", "+": "one-or-more" };
const SIGNS = { none: "", optional: "?", "zero-or-more": "*", "one-or-more": "+" };

const escapeRegExp = (text) => text.replace(/[.+*?^${}()[\]|/\\]/g, "\\$&");
export const escapePattern = (text) => text.replace(/[+*?:{}()\\]/g, "\\$&");

const segmentWildcard = ({ delimiter }) => `[^${escapeRegExp(delimiter)}]+?`;

/** How much of a pattern an error shows. */
const SHOWN_MAX = 200;

/** Parses a pattern string (2.2); `encode` brings literal text into its canonical form, or throws a TypeError. */
function parsePattern(input, options, encode) {
  const tokens = tokenize(input, false);
  const parts = [];
  let at = 0;
  let pending = "";
  let nextNumber = 0;
  const take = (...types) => (types.includes(tokens[at].type) ? tokens[at++] : undefined);
  const shown = JSON.stringify(input.slice(0, SHOWN_MAX));
  const need = (type) => {
    if (take(type) === undefined) throw new TypeError(`the pattern ${shown} is wrong at index ${tokens[at].index}`);
  };
  const text = () => {
    let value = "";
    for (let token = take("char", "escaped-char"); token !== undefined; token = take("char", "escaped-char")) value += token.value;
    return value;
  };
  const matcher = (name) => take("regexp") ?? (name === undefined ? take("asterisk") : undefined);
  const fixed = (value, modifier) => {
    parts.push({ type: "fixed-text", value: encode(value), modifier, name: "", prefix: "", suffix: "" });
  };
  const flush = () => {
    if (pending === "") return;
    const value = pending;
    pending = "";
    fixed(value, "none");
  };
  const add = (prefix, name, regexp, suffix, sign) => {
    const modifier = sign === undefined ? "none" : MODIFIERS[sign.value];
    if (name === undefined && regexp === undefined && modifier === "none") return void (pending += prefix);
    flush();
    if (name === undefined && regexp === undefined) {
      if (prefix !== "") fixed(prefix, modifier);
      return;
    }
    let value = regexp === undefined ? segmentWildcard(options) : regexp.type === "asterisk" ? FULL_WILDCARD : regexp.value;
    let type = "regexp";
    if (value === segmentWildcard(options)) [type, value] = ["segment-wildcard", ""];
    else if (value === FULL_WILDCARD) [type, value] = ["full-wildcard", ""];
    const title = name === undefined ? String(nextNumber++) : name.value;
    if (parts.some((part) => part.name === title)) throw new TypeError(`the pattern ${shown} has two groups ${title}`);
    parts.push({ type, value, modifier, name: title, prefix: encode(prefix), suffix: encode(suffix) });
  };
  while (at < tokens.length) {
    const char = take("char");
    const name = take("name");
    const regexp = matcher(name);
    if (name !== undefined || regexp !== undefined) {
      let prefix = char?.value ?? "";
      if (prefix !== "" && prefix !== options.prefix) {
        pending += prefix;
        prefix = "";
      }
      flush();
      add(prefix, name, regexp, "", take("other-modifier", "asterisk"));
      continue;
    }
    const plain = char ?? take("escaped-char");
    if (plain !== undefined) {
      pending += plain.value;
      continue;
    }
    if (take("open") !== undefined) {
      const prefix = text();
      const inner = take("name");
      const innerRegExp = matcher(inner);
      const suffix = text();
      need("close");
      add(prefix, inner, innerRegExp, suffix, take("other-modifier", "asterisk"));
      continue;
    }
    flush();
    need("end");
  }
  return parts;
}

/** The source of the regular expression of parts, and the names of its groups (2.3). */
function toRegExp(parts, options) {
  const names = [];
  let source = "^";
  for (const { type, value, modifier, name, prefix, suffix } of parts) {
    const sign = SIGNS[modifier];
    if (type === "fixed-text") {
      source += modifier === "none" ? escapeRegExp(value) : `(?:${escapeRegExp(value)})${sign}`;
      continue;
    }
    names.push(name);
    // An empty class that is negated matches nothing in some engines' sets.
    const segment = options.delimiter === "" ? "[\\s\\S]+?" : segmentWildcard(options);
    const inner = type === "segment-wildcard" ? segment : type === "full-wildcard" ? FULL_WILDCARD : value;
    const [before, after] = [escapeRegExp(prefix), escapeRegExp(suffix)];
    const isOnce = modifier === "none" || modifier === "optional";
    if (prefix === "" && suffix === "") source += isOnce ? `(${inner})${sign}` : `((?:${inner})${sign})`;
    else if (isOnce) source += `(?:${before}(${inner})${after})${sign}`;
    else source += `(?:${before}((?:${inner})(?:${after}${before}(?:${inner}))*)${after})${modifier === "zero-or-more" ? "?" : ""}`;
  }
  return { source: `${source}$`, names };
}

const startsWithDigit = (name) => /^[0-9]/.test(name);
const firstChar = (text) => [...text][0];

/** The text of parts (2.4), which makes the same parts again. */
function toText(parts, options) {
  let result = "";
  parts.forEach((part, at) => {
    const [previous, next] = [parts[at - 1], parts[at + 1]];
    const { type, value, modifier, name, prefix, suffix } = part;
    if (type === "fixed-text") {
      result += modifier === "none" ? escapePattern(value) : `{${escapePattern(value)}}${SIGNS[modifier]}`;
      return;
    }
    const isNamed = !startsWithDigit(name);
    let grouped = suffix !== "" || (prefix !== "" && prefix !== options.prefix);
    const isSimple = isNamed && type === "segment-wildcard" && modifier === "none";
    if (!grouped && isSimple && next !== undefined && next.prefix === "" && next.suffix === "") {
      grouped = next.type === "fixed-text" ? isNamePart(firstChar(next.value), false) : startsWithDigit(next.name);
    }
    const followsText = prefix === "" && previous?.type === "fixed-text";
    if (followsText && options.prefix !== "" && previous.value.endsWith(options.prefix)) grouped = true;
    if (grouped) result += "{";
    result += escapePattern(prefix);
    if (isNamed) result += `:${name}`;
    if (type === "regexp") {
      result += `(${value})`;
    } else if (type === "segment-wildcard" && !isNamed) {
      result += `(${segmentWildcard(options)})`;
    } else if (type === "full-wildcard") {
      const isApart = previous === undefined || previous.type === "fixed-text" || previous.modifier !== "none";
      const isPlain = !isNamed && (isApart || grouped || prefix !== "");
      result += isPlain ? "*" : `(${FULL_WILDCARD})`;
    }
    const isGlued = type === "segment-wildcard" && isNamed && suffix !== "" && isNamePart(firstChar(suffix), false);
    if (isGlued) result += "\\";
    result += escapePattern(suffix);
    if (grouped) result += "}";
    result += SIGNS[modifier];
  });
  return result;
}

const TYPE_ORDER = ["full-wildcard", "segment-wildcard", "regexp", "fixed-text"];
const MODIFIER_ORDER = ["zero-or-more", "optional", "one-or-more", "none"];
const NOTHING = { type: "fixed-text", value: "", modifier: "none", name: "", prefix: "", suffix: "" };

function comparePart(a, b) {
  const rank = ({ type, modifier, prefix, value, suffix }) =>
    [TYPE_ORDER.indexOf(type), MODIFIER_ORDER.indexOf(modifier), prefix, value, suffix];
  const [left, right] = [rank(a), rank(b)];
  const at = left.findIndex((value, index) => value !== right[index]);
  return at === -1 ? 0 : left[at] < right[at] ? -1 : 1;
}

/**
 * "Generate a component string" of the proposal for URLPattern.generate: the text of parts, in which each named group has its
 * value of `groups`. A TypeError for parts that leave open what to write: wildcards, regular expressions and modifiers.
 */
export function fillParts(parts, groups) {
  let result = "";
  for (const { type, value, modifier, name, prefix, suffix } of parts) {
    if (modifier !== "none") throw new TypeError("a pattern with optional or repeated parts cannot be filled in");
    if (type === "fixed-text") {
      result += value;
      continue;
    }
    if (type !== "segment-wildcard") throw new TypeError("a pattern with wildcards or regular expressions cannot be filled in");
    const given = groups[name];
    if (given === undefined) throw new TypeError(`the group ${JSON.stringify(name)} has no value`);
    result += prefix + given + suffix;
  }
  return result;
}

/** Which of two lists of parts says less: fewer texts and more wildcards come first. */
export function compareParts(a, b) {
  for (let at = 0; at < Math.min(a.length, b.length); at++) {
    const order = comparePart(a[at], b[at]);
    if (order !== 0) return order;
  }
  const at = Math.min(a.length, b.length);
  return a.length === b.length ? 0 : comparePart(a[at] ?? NOTHING, b[at] ?? NOTHING);
}

export const DEFAULT = { delimiter: "", prefix: "" };
export const HOSTNAME = { delimiter: ".", prefix: "" };
export const PATHNAME = { delimiter: "/", prefix: "/" };

/** Compiles a component of a pattern (1.5). */
export function compile(input, encode, options, ignoreCase = false) {
  const parts = parsePattern(input, options, encode);
  const { source, names } = toRegExp(parts, options);
  let regexp;
  try {
    regexp = new RegExp(source, ignoreCase ? "vi" : "v");
  } catch (error) {
    const shown = JSON.stringify(input.slice(0, SHOWN_MAX));
    throw new TypeError(`the pattern ${shown} has an invalid regular expression: ${error.message}`);
  }
  const hasRegExpGroups = parts.some(({ type }) => type === "regexp");
  return { pattern: toText(parts, options), regexp, names, parts, hasRegExpGroups, encode };
}
