// The tokenizer of patterns. https://urlpattern.spec.whatwg.org/#tokenizing (2.1)

const NAME_START = /^[$_\p{ID_Start}]/u;
const NAME_PART = /^[$_\u200c\u200d\p{ID_Continue}]/u;
const ASCII_MAX = 0x7f;

/** Whether a character can be in a group's name. */
export const isNamePart = (char, first) => (first ? NAME_START : NAME_PART).test(char);

const PLAIN = { "*": "asterisk", "+": "other-modifier", "?": "other-modifier", "{": "open", "}": "close" };

/**
 * The tokens of a text, `{ type, index, value }`, the last one of the type "end". What is wrong is a TypeError, or a token of the type
 * "invalid-char" where `lenient`.
 */
export function tokenize(input, lenient) {
  const chars = [...input];
  // Indices are those of UTF-16, by which parts are cut out.
  const offsets = [0];
  for (const char of chars) offsets.push(offsets.at(-1) + char.length);
  const text = (from, to) => input.slice(offsets[from], offsets[to]);
  const tokens = [];
  let at = 0;
  const add = (type, next, from = at, to = next) => {
    tokens.push({ type, index: offsets[at], value: text(from, to) });
    at = next;
  };
  const wrong = (next, from) => {
    if (!lenient) throw new TypeError(`the pattern ${JSON.stringify(input.slice(0, 200))} is wrong at index ${offsets[from]}`);
    add("invalid-char", next, from, next);
  };
  while (at < chars.length) {
    const char = chars[at];
    if (PLAIN[char] !== undefined) {
      add(PLAIN[char], at + 1);
    } else if (char === "\\") {
      if (at === chars.length - 1) wrong(at + 1, at);
      else add("escaped-char", at + 2, at + 1);
    } else if (char === ":") {
      let end = at + 1;
      while (end < chars.length && isNamePart(chars[end], end === at + 1)) end++;
      if (end === at + 1) wrong(end, at);
      else add("name", end, at + 1, end);
    } else if (char === "(") {
      const end = endOfRegExp(chars, at + 1);
      if (end === undefined) wrong(at + 1, at);
      else add("regexp", end, at + 1, end - 1);
    } else {
      add("char", at + 1);
    }
  }
  tokens.push({ type: "end", index: input.length, value: "" });
  return tokens;
}

/** Where a regular expression ends that begins at `start`, behind its parenthesis; undefined where it is none. */
function endOfRegExp(chars, start) {
  let depth = 1;
  for (let at = start; at < chars.length; at++) {
    const char = chars[at];
    if (char.codePointAt(0) > ASCII_MAX || (at === start && char === "?")) return undefined;
    if (char === "\\") {
      at++;
      if (at === chars.length || chars[at].codePointAt(0) > ASCII_MAX) return undefined;
    } else if (char === ")") {
      depth--;
      if (depth === 0) return at === start ? undefined : at + 1;
    } else if (char === "(") {
      depth++;
      // Groups that capture are the pattern's own.
      if (chars[at + 1] !== "?") return undefined;
    }
  }
  return undefined;
}
