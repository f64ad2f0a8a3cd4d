// Compares text in the order of CLDR's root collation (UTS #10), which is that of English, and of what locales change of it.
//
// The blocks of collation.data.mjs have their exact order. Of other scripts, characters follow their code points, Han characters
// come last.
import data from "../../vendor/intl/collation.js";
import { hooks, lookUp } from "../support.js";

const { blocks, lastPunctuation, firstCurrency, firstDigit } = data;
const SIZE = blocks.reduce((size, [from, to]) => size + to - from + 1, 0);

/** Of each character in the blocks: its primary weight; 0 for those without. */
const primaries = new Uint16Array(SIZE);
/** Its secondary weight in the high byte, its tertiary in the low one; 0 for what is ignored. */
const lesser = new Uint16Array(SIZE);

const COMMON = 0x20;
const UPPER = 0x80;
/** Secondary weights of marks begin here. */
const MARK = 0x40;
const EXPANSION_TERTIARY = 0x10;
const EXPANSION_SECONDARY = 0xff;

function indexOf(code) {
  let before = 0;
  for (let at = 0; at < 3; at++) {
    const block = blocks[at];
    if (code < block[0]) return -1;
    if (code <= block[1]) return before + code - block[0];
    before += block[1] - block[0] + 1;
  }
  return -1;
}

let lastCyrillic = 0;
fill();

function fill() {
  let primary = 0;
  let secondary = COMMON;
  let tertiary = 0;
  let level = "";
  for (const char of data.order) {
    if (char < "\u0004") {
      level = char;
      continue;
    }
    if (level === "") {
      primary++;
      secondary = COMMON;
      tertiary = 0;
    } else if (level === "\u0001") {
      secondary++;
      tertiary = 0;
    } else if (level === "\u0002") {
      tertiary++;
    }
    level = "";
    const index = indexOf(char.codePointAt(0));
    primaries[index] = primary;
    lesser[index] = (secondary << 8) | (char.toLowerCase() === char ? tertiary : tertiary | UPPER);
    if (char < "\u0530" && primary > lastCyrillic) lastCyrillic = primary;
  }
  [...data.marks].forEach((mark, at) => {
    lesser[indexOf(mark.codePointAt(0))] = Math.min(MARK + at, EXPANSION_SECONDARY - 1) << 8;
  });
  // The image keeps what is made of them.
  Object.assign(data, { order: "", marks: "" });
}

// Where characters outside of the blocks come: symbols before currencies, scripts between Cyrillic and kana, Han after kana.
const SCRIPTS = 100_000;
const KANA = 2_000_000;
const HAN = 3_000_000;
const HAN_EXTENSIONS = 4_000_000;
const OTHERS = 6_000_000;
/** Scripts whose code points are not where the collation has them: first, last, and what is added. */
const MOVED = [[0x10a0, 0x10ff, -0xc00], [0x2c00, 0x2c5f, -0x2700], [0x2c80, 0x2cff, -0x27ff], [0x1c90, 0x1cbf, -0x1790], [0x2d00, 0x2d2f, -0x282f], [0x1200, 0x139f, -0x8f0], [0x2d30, 0x2d7f, -0x2434], [0x1700, 0x18af, 0x9000]];

// Made when they are first needed: as literals they would be in every image.
const classes = new Map();
function isOf(char, name) {
  let pattern = classes.get(name);
  if (pattern === undefined) classes.set(name, (pattern = new RegExp(name, "u")));
  return pattern.test(char);
}

const isMark = (char) => isOf(char, "[\\p{Mn}\\p{Me}]") && isOf(char, "[\\p{Script=Inherited}\\p{Script=Hebrew}\\p{Script=Arabic}\\p{Script=Syriac}]");

const contractions = new RegExp([...data.contractions].map((char) => char.normalize("NFD")).join("|"), "g");
const composed = (text) => text.normalize("NFC");

/** Puts together the letters with marks that are letters of their own, and Thai and Lao vowels after the consonants that they are read after. */
function prepare(text) {
  if (/[\u0400-\u04ff]/.test(text)) text = text.replace(contractions, composed);
  if (/[\u0e40-\u0ec4]/.test(text)) text = text.replace(/([\u0e40-\u0e44\u0ec0-\u0ec4])([\u0e01-\u0e2e\u0e81-\u0eae])/g, "$2$1");
  return text;
}

/** The weights of a text, a list for each level. */
class Weights {
  primary = [];
  secondary = [];
  tertiary = [];

  constructor(text, options) {
    this.options = options;
    this.addTailored(prepare(text.normalize("NFD")));
    if (options.numeric) this.endNumber();
  }

  /** Adds a text whose letters may have other places in a locale. */
  addTailored(text) {
    const elements = this.options.tailoring?.elements;
    if (elements === undefined) return this.add(text, 0);
    let last = 0;
    for (const { 0: found, index } of text.matchAll(elements.pattern)) {
      this.add(text.slice(last, index), 0);
      this.isFirst = false; // which its weight has in it
      this.push(...elements.weights.get(found));
      last = index + found.length;
    }
    this.add(text.slice(last), 0);
  }

  add(text, tertiaryAdded) {
    const first = this.options.tailoring?.first;
    for (const char of text) {
      this.isFirst = first !== undefined && char > "\u007f" && first.test(char);
      const code = char.codePointAt(0);
      const index = indexOf(code);
      if (index !== -1 && lesser[index] !== 0) {
        const weight = primaries[index];
        this.push(weight > lastCyrillic ? weight + KANA : weight, lesser[index] >> 8, (lesser[index] & 0xff) | tertiaryAdded);
      } else if (index !== -1) {
        const [expansion, level] = code < 0x80 ? [] : (lookUp(data.expansions, char) ?? []);
        if (expansion === undefined) continue; // what is ignored
        this.add(expansion, level === "2" ? EXPANSION_TERTIARY : tertiaryAdded);
        if (level === "1") this.push(0, EXPANSION_SECONDARY, 0);
      } else {
        this.addOther(char, code, tertiaryAdded);
      }
    }
  }

  addOther(char, code, tertiaryAdded) {
    if (isOf(char, "\\p{Default_Ignorable_Code_Point}")) return;
    const compatible = char.normalize("NFKD");
    if (compatible !== char) return void this.add(compatible, EXPANSION_TERTIARY);
    if (isMark(char)) return void this.push(0, EXPANSION_SECONDARY - 1, 0);
    if (isOf(char, "\\p{Nd}")) return void this.push(firstDigit + digitOf(code), COMMON, this.options.numeric ? 0 : EXPANSION_TERTIARY);
    const isUpper = isOf(char, "\\p{Lu}");
    this.push(weightOf(char, isUpper ? char.toLowerCase().codePointAt(0) : code, this.options.tailoring?.han), COMMON, isUpper ? UPPER | tertiaryAdded : tertiaryAdded);
  }

  push(primary, secondary, tertiary) {
    const { ignorePunctuation, numeric } = this.options;
    if (this.isFirst && primary !== 0) primary = beforeLetters(primary);
    if (ignorePunctuation) {
      // A mark on what is ignored is ignored too.
      if (primary !== 0) this.afterIgnored = primary <= lastPunctuation;
      if (this.afterIgnored) return;
    }
    // Of the digits only the decimal ones make numbers, not those in circles.
    if (numeric && tertiary === 0 && primary >= firstDigit && primary < firstDigit + 10 && Number.isInteger(primary)) return void (this.number = (this.number ?? "") + (primary - firstDigit));
    if (numeric && primary !== 0) this.endNumber();
    if (primary !== 0) this.primary.push(primary);
    this.secondary.push(secondary);
    if (primary !== 0) this.tertiary.push(tertiary);
  }

  /** A number weighs its length, without leading zeros, and then its digits. */
  endNumber() {
    if (this.number === undefined) return;
    const digits = this.number.replace(/^0+(?=.)/, "");
    this.number = undefined;
    this.primary.push(firstDigit, digits.length);
    for (const digit of digits) this.primary.push(firstDigit + Number(digit));
    this.secondary.push(COMMON);
    this.tertiary.push(0);
  }
}

/** The value of a digit of any script: they come in tens. */
function digitOf(code) {
  let value = 0;
  while (value < 9 && isOf(String.fromCodePoint(code - value - 1), "\\p{Nd}")) value++;
  return value;
}

function weightOf(char, code, han) {
  if (han !== undefined && code >= HAN_FIRST && code < HAN_FIRST + han.length) return HAN + han[code - HAN_FIRST];
  if (isOf(char, "\\p{Unified_Ideograph}")) return (code >= 0x4e00 && code <= 0x9fff) || (code >= 0xfa0e && code <= 0xfa29) ? HAN + code : HAN_EXTENSIONS + code;
  if (isOf(char, "[\\p{L}\\p{M}\\p{N}]")) return SCRIPTS + code + (MOVED.find(([from, to]) => code >= from && code <= to)?.[2] ?? 0);
  // Symbols: all before the currencies, so between two weights of the table.
  if (isOf(char, "[\\p{S}\\p{P}\\p{Z}\\p{C}]") && !isOf(char, "[\\p{Cn}\\p{Co}]")) return firstCurrency - 1 + (code + 1) / 0x120000;
  return OTHERS + code;
}

/** A weight between the last digit and the first letter, in the order of the weights. */
const beforeLetters = (primary) => firstDigit + 9.5 + primary / 1e8;

const HAN_FIRST = 0x4e00;
/** How far a letter is from the one that it follows. */
const STEP = 0.001;

/** Decodes the data of vendor/intl/tailoring.mjs, once while a component is built. */
hooks.prepareCollation = (data) => {
  const { first, letters, han, backwards, caseFirst } = data;
  const made = { backwards, caseFirst, first: first.length === 0 ? undefined : new RegExp(`[${first.map((name) => `\\p{Script=${name}}`).join("")}]`, "u"), elements: undefined, han: undefined, isAscii: true };
  if (letters.length > 0) {
    const weights = new Map();
    for (const [anchor, steps, list] of letters) {
      const [primary] = new Weights(anchor, { tailoring: { first: made.first } }).primary;
      for (const [text, secondary, tertiary] of list) {
        // The anchor may be before the other letters already, where the steps are small as all else is.
        const weight = primary + (Number.isInteger(primary) ? steps * STEP : (steps * STEP) / 1e8);
        weights.set(text, [weight, COMMON + secondary, text.toLowerCase() === text ? tertiary : tertiary | UPPER]);
        if (/^[\0-\x7f]+$/.test(text)) made.isAscii = false;
      }
    }
    const longest = [...weights.keys()].sort((a, b) => b.length - a.length || (a < b ? -1 : 1));
    made.elements = { weights, pattern: new RegExp(longest.join("|"), "g") };
  }
  if (han !== "") {
    made.han = new Uint16Array(han.length);
    for (let at = 0; at < han.length; at++) made.han[han.charCodeAt(at) - HAN_FIRST] = at;
  }
  return made;
};

function compareLists(a, b) {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at++) if (a[at] !== b[at]) return a[at] < b[at] ? -1 : 1;
  return Math.sign(a.length - b.length);
}

const SEPARATE_CASE = (weights, upperFirst) => weights.map((weight) => ((weight & UPPER) !== 0) !== upperFirst ? weight | 0x100 : weight & ~UPPER);

/**
 * -1, 0 or 1. `options` has `sensitivity`, `numeric`, `ignorePunctuation` and `caseFirst` as Intl.Collator has them.
 */
export function compareText(a, b, options) {
  if (a === b) return 0;
  if (!options.numeric && !options.ignorePunctuation && options.caseFirst !== "upper" && options.tailoring?.isAscii !== false) {
    const quick = compareAscii(a, b, options.sensitivity);
    if (quick !== undefined) return quick;
  }
  const [left, right] = [new Weights(a, options), new Weights(b, options)];
  let order = compareLists(left.primary, right.primary);
  const { sensitivity, caseFirst } = options;
  if (order === 0 && (sensitivity === "accent" || sensitivity === "variant")) order = (options.tailoring?.backwards ? compareLists(left.secondary.reverse(), right.secondary.reverse()) : compareLists(left.secondary, right.secondary));
  if (order !== 0 || sensitivity === "base" || sensitivity === "accent") return order;
  if (sensitivity === "case") {
    const cases = ({ tertiary }) => tertiary.map((weight) => (((weight & UPPER) !== 0) === (caseFirst === "upper") ? 0 : 1));
    return compareLists(cases(left), cases(right));
  }
  if (caseFirst === "upper") return compareLists(SEPARATE_CASE(left.tertiary, true), SEPARATE_CASE(right.tertiary, true));
  return compareLists(left.tertiary, right.tertiary);
}

/** The same for two texts of ASCII, which most are; undefined for others. There, characters differ in primary and tertiary weight only. */
function compareAscii(a, b, sensitivity) {
  let tertiary = 0;
  let x = 0;
  let y = 0;
  for (;;) {
    let left = 0;
    let right = 0;
    let leftCode = 0;
    let rightCode = 0;
    while (left === 0 && x < a.length) {
      leftCode = a.charCodeAt(x++);
      if (leftCode > 0x7f) return undefined;
      left = primaries[leftCode];
    }
    while (right === 0 && y < b.length) {
      rightCode = b.charCodeAt(y++);
      if (rightCode > 0x7f) return undefined;
      right = primaries[rightCode];
    }
    if (left !== right) return isAsciiFrom(a, x) && isAsciiFrom(b, y) ? (left < right ? -1 : 1) : undefined;
    if (left === 0) break;
    if (tertiary === 0 && leftCode !== rightCode) tertiary = lesser[leftCode] < lesser[rightCode] ? -1 : 1;
  }
  return sensitivity === "base" || sensitivity === "accent" ? 0 : tertiary;
}

/** Whether the next character could be a mark on the one before, or part of it. */
const isAsciiFrom = (text, at) => at >= text.length || text.charCodeAt(at) <= 0x7f;
