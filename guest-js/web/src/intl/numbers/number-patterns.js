// The text around a number: CLDR's number patterns (UTS #35 part 3, "Number Format Patterns"), and the parts they make.

// How far out an affix stands, which decides what a range says once: the exponent, then sign, currency and compact suffix, then units.
export const INNER = 1;
export const MIDDLE = 2;
export const OUTER = 3;

const TOKENS = { "-": "minusSign", "+": "plusSign", "%": "percentSign", "\u00a4": "currency" };

/** Tokens `[kind, text]` of an affix: kinds are those of parts. */
function tokens(text) {
  const found = [];
  const literal = (more) => {
    if (found.at(-1)?.[0] === "literal") found.at(-1)[1] += more;
    else found.push(["literal", more]);
  };
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (char === "'") {
      const end = text.indexOf("'", at + 1);
      literal(end === at + 1 ? "'" : text.slice(at + 1, end === -1 ? undefined : end));
      at = end === -1 ? text.length : end;
    } else if (TOKENS[char] !== undefined) {
      if (found.at(-1)?.[0] !== "currency" || char !== "\u00a4") found.push([TOKENS[char], char]);
    } else {
      literal(char);
    }
  }
  return found;
}

/** A subpattern's affixes and what is between them. */
function splitPattern(text) {
  let start = -1;
  let end = -1;
  let quoted = false;
  for (let at = 0; at < text.length; at++) {
    if (text[at] === "'") quoted = !quoted;
    else if (!quoted && /[#0-9@]/.test(text[at])) {
      if (start === -1) start = at;
      end = at + 1;
    }
  }
  // The compact pattern of exactly one may have no digit.
  if (start === -1) return { before: tokens(text), body: "", after: [] };
  return { before: tokens(text.slice(0, start)), body: text.slice(start, end), after: tokens(text.slice(end)) };
}

const parsed = new Map();
const PARSED_MAX = 200;

/** A pattern: affixes of positive and of negative numbers (null where they have none), and the sizes of groups. */
export function parsePattern(text) {
  let pattern = parsed.get(text);
  if (pattern !== undefined) return pattern;
  const at = text.search(/;(?=(?:[^']*'[^']*')*[^']*$)/);
  const positive = splitPattern(at === -1 ? text : text.slice(0, at));
  const negative = at === -1 ? null : splitPattern(text.slice(at + 1));
  const groups = positive.body.split(".")[0].split(",").slice(1).map((group) => group.length);
  const primary = groups.at(-1) ?? 0;
  const hasMinus = negative !== null && [...negative.before, ...negative.after].some(([kind]) => kind === "minusSign");
  pattern = { positive, negative, hasMinus, primary, secondary: groups.at(-2) ?? primary, digits: positive.body.length };
  if (parsed.size < PARSED_MAX) parsed.set(text, pattern);
  return pattern;
}

// The characters that ICU removes from the ends of a part: spaces, bidirectional marks and variation selectors.
const LEADING = /^[\p{Zs}\t\p{Bidi_Control}\p{Variation_Selector}]+/u;
const TRAILING = /[\p{Zs}\t\p{Bidi_Control}\p{Variation_Selector}]+$/u;

/** Adds a part; spaces and marks at its ends are literals. */
export function pushTrimmed(type, text, level, parts) {
  if (type === "literal") {
    if (text !== "") parts.push([type, text, level]);
    return;
  }
  const start = LEADING.exec(text)?.[0].length ?? 0;
  if (start > 0) parts.push(["literal", text.slice(0, start), level]);
  const end = start === text.length ? text.length : text.length - (TRAILING.exec(text)?.[0].length ?? 0);
  if (end > start) parts.push([type, text.slice(start, end), level]);
  if (end < text.length) parts.push(["literal", text.slice(end), level]);
}

const NOT_SPACED_BEFORE = /[\p{S}\p{Z}]$/u;
const NOT_SPACED_AFTER = /^[\p{S}\p{Z}]/u;

/** Adjacent literals as one. */
function merged(parts) {
  const list = [];
  for (const part of parts) {
    if (part[0] === "literal" && list.at(-1)?.[0] === "literal") list.at(-1)[1] += part[1];
    else list.push([...part]);
  }
  return list;
}

/**
 * The parts before and after a number in a pattern. `sign` is -1, 0 or 1; `literals` the type of the pattern's own text,
 * `percentType` that of a percent sign; where
 * `isAbout`, the sign that says so stands before the other. `spaces` says where a space is put between a currency and a digit (CLDR's
 * currencySpacing).
 */
export function affixes(pattern, sign, { symbols, currency, literals, percentType, isAbout }) {
  const { positive, negative, hasMinus } = pattern;
  const useNegative = negative !== null && (sign < 0 || (hasMinus && (sign > 0 || isAbout)));
  const { before, after } = useNegative ? negative : positive;
  const pushSign = (parts) => {
    if (isAbout) pushTrimmed("approximatelySign", symbols.approximately, MIDDLE, parts);
    if (sign < 0) pushTrimmed("minusSign", symbols.minus, MIDDLE, parts);
    if (sign > 0) pushTrimmed("plusSign", symbols.plus, MIDDLE, parts);
  };
  const list = !useNegative && (sign !== 0 || isAbout) ? [["minusSign", ""], ...before] : before;
  const made = [[], []];
  [list, after].forEach((side, at) => {
    const parts = made[at];
    for (const [kind, text] of side) {
      if (kind === "minusSign" || kind === "plusSign") pushSign(parts);
      else if (kind === "percentSign") pushTrimmed(percentType, symbols.percent, MIDDLE, parts);
      else if (kind === "currency") pushTrimmed(kind, currency, MIDDLE, parts);
      else pushTrimmed(literals, text, MIDDLE, parts);
    }
  });
  return {
    before: merged(made[0]),
    after: merged(made[1]),
    spaces: [before.at(-1)?.[0] === "currency" && !NOT_SPACED_BEFORE.test(currency), after[0]?.[0] === "currency" && !NOT_SPACED_AFTER.test(currency)],
  };
}
