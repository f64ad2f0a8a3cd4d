// The boundaries of UAX #29 in text: grapheme clusters, words, sentences. The properties that the rules speak of are put together
// from those that regular expressions know, and from the few characters that UAX #29 lists one by one.
//
// Chinese, Japanese and Thai words need a dictionary; here, each Han character and each Hiragana is a word, and so is what stands
// between spaces in Thai. As in ICU, Hangul does not join other letters.

const lazy = (source) => {
  let pattern;
  return (char) => (pattern ??= new RegExp(source, "u")).test(char);
};

/** A function from a code point to its class, which remembers; classes are tried in order. */
function classifier(tests) {
  const known = new Map();
  return (code) => {
    let found = known.get(code);
    if (found === undefined) {
      const char = String.fromCodePoint(code);
      found = tests.find(([, test]) => test(char, code))?.[0] ?? "Other";
      // As many as most texts have; a text of all there are shall not fill the memory.
      if (known.size < 2000) known.set(code, found);
    }
    return found;
  };
}

const oneOf = (text) => {
  const set = new Set(text);
  return (char) => set.has(char);
};

const PREPEND = /[\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\u0d4e\u{110bd}\u{110cd}\u{111c2}\u{111c3}\u{113d1}\u{1193f}\u{11941}\u{11a84}-\u{11a89}\u{11d46}\u{11f02}]/u;
// Spacing vowel signs that stand by themselves.
const NOT_SPACING = /[\u102b\u102c\u1038\u1062-\u1064\u1067-\u106d\u1083\u1087-\u108c\u108f\u109a-\u109c\u1a61\u1a63\u1a64\uaa7b\uaa7d\u{11720}\u{11721}]/u;

const isExtend = lazy("[\\p{Grapheme_Extend}\\p{Emoji_Modifier}]");
const isZwj = (_, code) => code === 0x200d;

const graphemeClass = classifier([
  ["Other", (_, code) => code >= 0x20 && code < 0x7f],
  ["CR", (_, code) => code === 13],
  ["LF", (_, code) => code === 10],
  ["ZWJ", isZwj],
  ["Prepend", (char) => PREPEND.test(char)],
  ["Extend", isExtend],
  ["Control", lazy("[\\p{Cc}\\p{Cf}\\p{Zl}\\p{Zp}\\p{Cs}]")],
  ["RI", lazy("\\p{Regional_Indicator}")],
  ["L", (_, code) => (code >= 0x1100 && code <= 0x115f) || (code >= 0xa960 && code <= 0xa97c)],
  ["V", (_, code) => (code >= 0x1160 && code <= 0x11a7) || (code >= 0xd7b0 && code <= 0xd7c6)],
  ["T", (_, code) => (code >= 0x11a8 && code <= 0x11ff) || (code >= 0xd7cb && code <= 0xd7fb)],
  ["LV", (_, code) => code >= 0xac00 && code <= 0xd7a3 && (code - 0xac00) % 28 === 0],
  ["LVT", (_, code) => code >= 0xac00 && code <= 0xd7a3],
  ["SpacingMark", (char, code) => code === 0xe33 || code === 0xeb3 || (isSpacing(char) && !NOT_SPACING.test(char))],
  ["Pictographic", lazy("\\p{Extended_Pictographic}")],
]);
const isSpacing = lazy("\\p{Mc}");

// Conjuncts of six Indic scripts: a consonant, a virama, and another consonant are one cluster (GB9c).
const VIRAMAS = oneOf("\u094d\u09cd\u0acd\u0b4d\u0c4d\u0d4d");
const CONSONANT = /[\u0915-\u0939\u0958-\u095f\u0978-\u097f\u0995-\u09a8\u09aa-\u09b0\u09b2\u09b6-\u09b9\u09dc\u09dd\u09df\u09f0\u09f1\u0a95-\u0aa8\u0aaa-\u0ab0\u0ab2\u0ab3\u0ab5-\u0ab9\u0af9\u0b15-\u0b28\u0b2a-\u0b30\u0b32\u0b33\u0b35-\u0b39\u0b5c\u0b5d\u0b5f\u0b71\u0c15-\u0c28\u0c2a-\u0c39\u0c58-\u0c5a\u0d15-\u0d3a]/;

const widthOf = (code) => (code > 0xffff ? 2 : 1);

/** Where the grapheme cluster that begins at `start` ends. */
export function graphemeBoundary(text, start) {
  let code = text.codePointAt(start);
  let at = start + widthOf(code);
  let before = graphemeClass(code);
  let indicators = before === "RI" ? 1 : 0;
  let pictographic = before === "Pictographic";
  // 1: a consonant and marks; 2: with a virama among them.
  let conjunct = CONSONANT.test(String.fromCodePoint(code)) ? 1 : 0;
  for (; at < text.length; at += widthOf(code)) {
    code = text.codePointAt(at);
    const next = graphemeClass(code);
    if (before === "Other" && next === "Other" && conjunct !== 2) return at;
    const char = String.fromCodePoint(code);
    const isConsonant = next === "Other" && CONSONANT.test(char);
    const joined =
      (before === "CR" && next === "LF") ||
      (!/^(?:CR|LF|Control)$/.test(before) && !/^(?:CR|LF|Control)$/.test(next) &&
        ((before === "L" && /^(?:L|V|LV|LVT)$/.test(next)) ||
          (/^(?:LV|V)$/.test(before) && /^[VT]$/.test(next)) ||
          (/^(?:LVT|T)$/.test(before) && next === "T") ||
          next === "Extend" || next === "ZWJ" || next === "SpacingMark" ||
          before === "Prepend" ||
          (isConsonant && conjunct === 2) ||
          (before === "ZWJ" && next === "Pictographic" && pictographic) ||
          (before === "RI" && next === "RI" && indicators % 2 === 1)));
    if (!joined) return at;
    if (next === "RI") indicators++;
    if (next === "Pictographic") pictographic = true;
    else if (next !== "Extend" && next !== "ZWJ") pictographic = false;
    if (isConsonant) conjunct = 1;
    else if (conjunct > 0 && VIRAMAS(char)) conjunct = 2;
    else if (next !== "Extend" && next !== "ZWJ") conjunct = 0;
    before = next;
  }
  return text.length;
}

const isKatakana = lazy("[\\p{Script=Katakana}\u3031-\u3035\u309b\u309c\u30a0\u30fc\uff70]");
const isIdeographic = lazy("[\\p{Ideographic}\\p{Script=Hiragana}]");
const isAlphabetic = lazy("\\p{Alphabetic}");

/** Signs that stand before a number and belong to it. */
const NUMBER_SIGNS = /[\u0600-\u0605\u06dd\u0890\u0891\u08e2]/;

const wordClass = classifier([
  ["ALetter", (_, code) => (code >= 97 && code <= 122) || (code >= 65 && code <= 90)],
  ["WSegSpace", (_, code) => code === 0x20 || code === 0x1680 || (code >= 0x2000 && code <= 0x200a && code !== 0x2007) || code === 0x205f || code === 0x3000],
  ["Numeric", (char, code) => (code >= 48 && code <= 57) || code === 0x66c || NUMBER_SIGNS.test(char) || isDecimal(char)],
  ["CR", (_, code) => code === 13],
  ["LF", (_, code) => code === 10],
  ["Newline", (_, code) => code === 11 || code === 12 || code === 0x85 || code === 0x2028 || code === 0x2029],
  ["SingleQuote", (_, code) => code === 0x27],
  ["DoubleQuote", (_, code) => code === 0x22],
  ["MidNumLet", oneOf(".\u2018\u2019\u2024\ufe52\uff07\uff0e")],
  ["MidLetter", oneOf(":\u00b7\u0387\u055f\u05f4\u2027\ufe13\ufe55\uff1a")],
  ["MidNum", oneOf(",;\u037e\u0589\u060c\u060d\u07f8\u2044\ufe10\ufe14\ufe50\ufe54\uff0c\uff1b")],
  ["ZWJ", isZwj],
  ["RI", lazy("\\p{Regional_Indicator}")],
  ["Extend", lazy("[\\p{Grapheme_Extend}\\p{Mc}\\p{Emoji_Modifier}]")],
  ["Format", (char, code) => code !== 0x200b && isFormat(char)],
  ["Katakana", isKatakana],
  ["ExtendNumLet", (char, code) => code === 0x202f || isConnector(char)],
  ["HebrewLetter", lazy("(?=\\p{Lo})\\p{Script=Hebrew}")],
  ["Ideographic", isIdeographic],
  ["Hangul", (_, code) => code >= 0xac00 && code <= 0xd7a3],
  ["ALetter", (char, code) => isAlphabetic(char) || ALETTERS.test(char) || (code >= 0x2c2 && code <= 0x2c5)],
  ["Pictographic", lazy("\\p{Extended_Pictographic}")],
]);
const isDecimal = lazy("(?=\\p{Nd})[^\uff10-\uff19]|[\uff10-\uff19]");
const isFormat = lazy("\\p{Cf}");
const isConnector = lazy("\\p{Pc}");
const ALETTERS = /[\u02d2-\u02d7\u02de\u02df\u02e5-\u02eb\u02ed\u02ef-\u02ff\u055a-\u055c\u055e\u058a\u05f3\u070f\ua708-\ua716\ua720\ua721\ua789\ua78a\uab5b]/;

const isLetter = (name) => name === "ALetter" || name === "HebrewLetter";

/** The class of the next character that is not a mark on the one before (WB4). */
function significant(text, at) {
  for (; at < text.length; ) {
    const code = text.codePointAt(at);
    const name = wordClass(code);
    if (name !== "Extend" && name !== "Format" && name !== "ZWJ") return name;
    at += widthOf(code);
  }
  return undefined;
}

/** Where the word, or what stands between words, that begins at `start` ends. */
export function wordBoundary(text, start) {
  let code = text.codePointAt(start);
  let at = start + widthOf(code);
  // The class before, with and without marks; and the significant one before that.
  let last = wordClass(code);
  let before = last;
  let earlier;
  let indicators = before === "RI" ? 1 : 0;
  for (; at < text.length; at += widthOf(code)) {
    code = text.codePointAt(at);
    const next = wordClass(code);
    if (last === "CR" && next === "LF") {
      last = before = next;
      continue;
    }
    if (/^(?:CR|LF|Newline)$/.test(last) || /^(?:CR|LF|Newline)$/.test(next)) return at;
    if (last === "ZWJ" && next === "Pictographic") {
      last = next;
      earlier = before;
      before = next;
      continue;
    }
    if (last === "WSegSpace" && next === "WSegSpace") continue;
    if (next === "Extend" || next === "Format" || next === "ZWJ") {
      last = next;
      continue;
    }
    if (!joinsWord(text, at + widthOf(code), earlier, before, next, indicators)) return at;
    if (next === "RI") indicators++;
    last = next;
    earlier = before;
    before = next;
  }
  return text.length;
}

/** WB5 to WB16. */
function joinsWord(text, after, earlier, before, next, indicators) {
  const quoteOrMid = (name) => name === "MidLetter" || name === "MidNumLet" || name === "SingleQuote";
  const midNumber = (name) => name === "MidNum" || name === "MidNumLet" || name === "SingleQuote";
  if (isLetter(before) && isLetter(next)) return true;
  if (isLetter(before) && quoteOrMid(next) && isLetter(significant(text, after))) return true;
  if (isLetter(earlier) && quoteOrMid(before) && isLetter(next)) return true;
  if (before === "HebrewLetter" && (next === "SingleQuote" || (next === "DoubleQuote" && significant(text, after) === "HebrewLetter"))) return true;
  if (earlier === "HebrewLetter" && before === "DoubleQuote" && next === "HebrewLetter") return true;
  if ((before === "Numeric" || isLetter(before)) && next === "Numeric") return true;
  if (before === "Numeric" && isLetter(next)) return true;
  if (earlier === "Numeric" && midNumber(before) && next === "Numeric") return true;
  if (before === "Numeric" && midNumber(next) && significant(text, after) === "Numeric") return true;
  if ((before === "Katakana" || before === "Hangul") && next === before) return true;
  const isPart = (name) => isLetter(name) || name === "Numeric" || name === "Katakana" || name === "ExtendNumLet";
  if (isPart(before) && next === "ExtendNumLet") return true;
  if (before === "ExtendNumLet" && isPart(next)) return true;
  return before === "RI" && next === "RI" && indicators % 2 === 1;
}

const sentenceClass = classifier([
  ["Lower", (_, code) => code >= 97 && code <= 122],
  ["Upper", (_, code) => code >= 65 && code <= 90],
  ["Sp", (_, code) => code === 0x20],
  ["CR", (_, code) => code === 13],
  ["LF", (_, code) => code === 10],
  ["Sep", (_, code) => code === 0x85 || code === 0x2028 || code === 0x2029],
  ["Extend", lazy("[\\p{Grapheme_Extend}\\p{Mc}\u200d]")],
  ["Numeric", (char, code) => code === 0x66b || code === 0x66c || NUMBER_SIGNS.test(char) || isDecimal(char)],
  ["Format", (char) => isFormat(char)],
  ["Sp", lazy("\\p{White_Space}")],
  ["ATerm", oneOf(".\u2024\ufe52\uff0e")],
  ["STerm", lazy("\\p{Sentence_Terminal}")],
  ["SContinue", oneOf(",-:;\u037e\u055d\u060c\u060d\u07f8\u1802\u1808\u2013\u2014\u3001\ufe10\ufe11\ufe13\ufe14\ufe31\ufe32\ufe50\ufe51\ufe54\ufe55\ufe58\ufe63\uff0c\uff0d\uff1a\uff1b\uff64")],
  ["Upper", lazy("[\\p{Lt}\\p{Uppercase}]")],
  ["Lower", lazy("\\p{Lowercase}")],
  ["OLetter", (char, code) => isAlphabetic(char) || code === 0xa0 || code === 0x5f3],
  ["Close", lazy("[\\p{Ps}\\p{Pe}\\p{Pi}\\p{Pf}\\p{Quotation_Mark}]")],
]);

const endsParagraph = (name) => name === "Sep" || name === "CR" || name === "LF";

/** Where the sentence that begins at `start` ends. */
export function sentenceBoundary(text, start) {
  let before;
  // After a terminator: 1 while only closing marks follow, 2 when spaces have.
  let stage = 0;
  let terminator;
  let beforeTerminator;
  for (let at = start; at < text.length; ) {
    const code = text.codePointAt(at);
    const next = sentenceClass(code);
    const width = widthOf(code);
    if (before !== undefined && endsParagraph(before) && !(before === "CR" && next === "LF")) return at;
    if (at > start && (next === "Extend" || next === "Format") && !endsParagraph(before)) {
      at += width;
      continue;
    }
    if (stage > 0 && !endsParagraph(next)) {
      const isTerm = next === "STerm" || next === "ATerm";
      if (terminator === "ATerm" && next === "Numeric" && stage === 1 && before === "ATerm") stage = 0;
      else if (terminator === "ATerm" && next === "Upper" && before === "ATerm" && (beforeTerminator === "Upper" || beforeTerminator === "Lower")) stage = 0;
      else if (terminator === "ATerm" && lowerFollows(text, at)) stage = 0;
      else if (next === "SContinue" || isTerm) {
        if (next === "SContinue") stage = 0;
      } else if (next === "Close" && stage === 1) {
        // Closing marks belong to the sentence.
      } else if (next === "Sp") {
        stage = 2;
      } else {
        return at;
      }
    }
    if (next === "STerm" || next === "ATerm") {
      stage = 1;
      terminator = next;
      beforeTerminator = before;
    }
    before = next;
    at += width;
  }
  return text.length;
}

/** SB8: after what is not a letter, an end or a terminator, a lower-case letter, so that the sentence goes on. */
function lowerFollows(text, at) {
  for (; at < text.length; ) {
    const code = text.codePointAt(at);
    const name = sentenceClass(code);
    if (name === "Lower") return true;
    if (name === "OLetter" || name === "Upper" || name === "STerm" || name === "ATerm" || endsParagraph(name)) return false;
    at += widthOf(code);
  }
  return false;
}
