// The plural categories (CLDR plurals.json, ordinals.json, pluralRanges.json) of a number as it is written.
import { dataOf } from "../support.js";

/** "one" or "other" in English, of the written digits. */
const englishCardinal = (integer, fraction) => (integer === "1" && fraction === "" ? "one" : "other");

/** "one", "two", "few" or "other" in English: 1st, 2nd, 3rd, 4th. */
function englishOrdinal(integer, fraction) {
  if (/[1-9]/.test(fraction)) return "other";
  const tens = integer.length > 1 && integer.at(-2) === "1";
  switch (tens ? "" : integer.at(-1)) {
    case "1":
      return "one";
    case "2":
      return "two";
    case "3":
      return "few";
    default:
      return "other";
  }
}

/** Digits of an integer that are looked at: more than any rule's modulus has, and exact as a number. */
const DIGITS_MAX = 15;

function integerValue(digits) {
  if (digits.length <= DIGITS_MAX) return Number(digits);
  return Number(digits.slice(-DIGITS_MAX)) + 10 ** DIGITS_MAX;
}

/** The operands of plural rules (UTS #35 part 3, "Operands"). `n` is null for what is not an integer. */
function operandsOf(integer, fraction, exponent) {
  if (exponent > 0) {
    const moved = fraction.padEnd(exponent, "0");
    integer = `${integer}${moved.slice(0, exponent)}`;
    fraction = fraction.slice(exponent);
  }
  const digits = fraction.replace(/0+$/, "");
  const i = integerValue(integer.replace(/^0+(?=.)/, ""));
  return { n: digits === "" ? i : null, i, v: fraction.length, w: digits.length, f: integerValue(fraction || "0"), t: integerValue(digits || "0"), c: exponent, e: exponent };
}

function holds([operand, modulus, within, ranges], operands) {
  let value = operands[operand];
  let found = false;
  if (value !== null) {
    if (modulus !== 0) value %= modulus;
    for (let at = 0; at < ranges.length && !found; at += 2) found = value >= ranges[at] && value <= ranges[at + 1];
  }
  return found === within;
}

function categoryBy(rules, integer, fraction, exponent) {
  if (rules.length === 0) return "other";
  const operands = operandsOf(integer, fraction, exponent);
  const rule = rules.find(([, any]) => any.some((all) => all.every((relation) => holds(relation, operands))));
  return rule === undefined ? "other" : rule[0];
}

const namesOf = (rules) => [...rules.map(([category]) => category), "other"];

const ENGLISH = {
  cardinal: (integer, fraction, exponent) => (exponent > 0 ? "other" : englishCardinal(integer, fraction)),
  ordinal: englishOrdinal,
  cardinalNames: ["one", "other"],
  ordinalNames: ["one", "two", "few", "other"],
  // CLDR's pluralRanges has English say "other" of every range.
  range: () => "other",
};

/**
 * The plural rules of a locale: `cardinal` and `ordinal` give the category of the written digits of integer and fraction, which
 * stand before a power of ten where `exponent` is given; `range` that of a range whose ends have these categories.
 */
export function pluralsOf(dataLocale) {
  const data = dataOf(dataLocale);
  if (data === undefined) return ENGLISH;
  const { cardinal, ordinal, ranges } = data.plurals;
  return {
    cardinal: (integer, fraction, exponent = 0) => categoryBy(cardinal, integer, fraction, exponent),
    ordinal: (integer, fraction) => categoryBy(ordinal, integer, fraction, 0),
    cardinalNames: namesOf(cardinal),
    ordinalNames: namesOf(ordinal),
    range: (start, end) => ranges[`${start} ${end}`] ?? "other",
  };
}
