// The order of characters in the root collation of the Unicode CLDR, for the blocks that most text is of, as the Intl of the Node
// that runs this has it: CLDR's own table is in no package.
import { table } from "./cldr.mjs";

const collators = Object.fromEntries(["base", "accent", "variant"].map((sensitivity) => [sensitivity, new Intl.Collator("en", { sensitivity })]));
const compare = (level, a, b) => collators[level].compare(a, b);
const punctuationOff = new Intl.Collator("en", { ignorePunctuation: true });

/** The blocks that the table covers: Latin, marks, Greek, Cyrillic; punctuation and symbols; kana. */
export const BLOCKS = [[0x0, 0x52f], [0x2000, 0x2bff], [0x3000, 0x30ff]];

const contractions = [];
function isOwn(char) {
  const own = compare("base", char, [...char.normalize("NFD")][0]) !== 0 && char.normalize("NFC") === char && /\p{L}/u.test(char);
  if (own) contractions.push(char);
  return own;
}

const characters = BLOCKS.flatMap(([from, to]) => Array.from({ length: to - from + 1 }, (_, at) => String.fromCodePoint(from + at)))
  // What decomposes is looked up decomposed, unless it is a letter of its own.
  .filter((char) => !/\p{Cn}/u.test(char) && (char.normalize("NFD") === char || isOwn(char)));

const marks = [];
const expansions = [];
let own = [];
for (const char of characters) {
  if (compare("variant", `a${char}b`, "ab") === 0) continue; // ignored
  if (compare("base", `a${char}b`, "ab") === 0) marks.push(char);
  else own.push(char);
}
const markOrder = (a, b) => compare("variant", `a${a}`, `a${b}`);
marks.sort((a, b) => markOrder(a, b) || (a < b ? -1 : 1));

// A character that counts as several: its compatibility decomposition, or letters, or a letter with a mark.
const letters = "abcdefghijklmnopqrstuvwxyz";
const pairs = [...letters].flatMap((a) => [...letters].map((b) => a + b));
const someMarks = marks.filter((mark) => mark >= "\u0300" && mark <= "\u036f");
function expansionOf(char) {
  const compatible = char.normalize("NFKD");
  if (compatible !== char.normalize("NFD") && [...compatible].length > 1 && compare("base", char, compatible) === 0) return compatible;
  if (/\p{No}/u.test(char)) {
    for (let number = 10; number <= 50; number++) if (compare("base", char, `${number}`) === 0) return `${number}`;
  }
  if (/\p{L}/u.test(char) && char < "\u0250") {
    const pair = pairs.find((text) => compare("base", char, text) === 0);
    if (pair !== undefined) return char.toLowerCase() === char ? pair : pair.toUpperCase();
  }
  if (/\p{L}/u.test(char)) {
    for (const base of [...letters, ...letters.toUpperCase()]) {
      if (compare("base", char, base) !== 0) continue;
      const mark = someMarks.find((other) => compare("variant", char, base + other) === 0);
      if (mark !== undefined) return base + mark;
    }
  }
  return undefined;
}
own = own.filter((char) => {
  const expansion = expansionOf(char);
  if (expansion !== undefined) {
    const level = compare("accent", char, expansion) !== 0 ? 1 : compare("variant", char, expansion) !== 0 ? 2 : 0;
    expansions.push([char, expansion, `${level}`]);
  }
  return expansion === undefined;
});
own.sort((a, b) => compare("variant", a, b) || (a < b ? -1 : 1));

/**
 * The characters in their order. A character stands after a separator that says how it differs from the one before: nothing for
 * another primary weight, `\u0001` for another secondary, `\u0002` for another tertiary, `\u0003` for none.
 */
let order = "";
let lastPunctuation = 0;
let firstCurrency = 0;
const digits = [];
let primary = 0;
own.forEach((char, at) => {
  const before = own[at - 1];
  const level = at === 0 || compare("base", before, char) !== 0 ? "" : compare("accent", before, char) !== 0 ? "\u0001" : compare("variant", before, char) !== 0 ? "\u0002" : "\u0003";
  if (level === "") primary++;
  if (punctuationOff.compare(`a${char}b`, "ab") === 0) lastPunctuation = primary;
  if (char === "¤") firstCurrency = primary;
  if (/[0-9]/.test(char)) digits.push(primary);
  order += level + char;
});

if (digits.some((digit, at) => digit !== digits[0] + at)) throw new Error("the digits do not follow one another");

/** The fields: `expansions` has character, text, and whether it differs from it not (0), in the secondary (1) or the tertiary weight (2). */
export default { blocks: BLOCKS, order, marks: marks.join(""), expansions: table(expansions), contractions: contractions.join(""), lastPunctuation, firstCurrency, firstDigit: digits[0] };
