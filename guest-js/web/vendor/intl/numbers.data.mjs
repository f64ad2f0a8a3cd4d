// How numbers are written in English.
import { english, supplemental, table } from "./cldr.mjs";

export const madeFrom = ["cldr-core", "cldr-numbers-full", "cldr-units-full"];

const { currencies } = english("cldr-numbers-full", "currencies").numbers;
const { fractions } = supplemental("currencyData").currencyData;
const { units } = english("cldr-units-full", "units");

const codes = Object.keys(currencies).sort();
const symbols = codes
  .filter((code) => (currencies[code].symbol ?? code) !== code || currencies[code]["symbol-alt-narrow"] !== undefined)
  .map((code) => [code, currencies[code].symbol ?? code, currencies[code]["symbol-alt-narrow"] ?? currencies[code].symbol ?? code]);

// ECMA-402 §6.6.2: the units that are sanctioned.
export const UNITS = (
  "acre bit byte celsius centimeter day degree fahrenheit fluid-ounce foot gallon gigabit gigabyte gram hectare hour inch kilobit " +
  "kilobyte kilogram kilometer liter megabit megabyte meter microsecond mile mile-scandinavian milliliter millimeter millisecond minute month nanosecond " +
  "ounce percent petabyte pound second stone terabit terabyte week yard year"
).split(" ");

function unitRows() {
  const rows = [];
  for (const key of Object.keys(units.long)) {
    const unit = key.slice(key.indexOf("-") + 1);
    const [numerator, denominator] = unit.split("-per-");
    if (!UNITS.includes(numerator) || (denominator !== undefined && !UNITS.includes(denominator))) continue;
    const row = [unit];
    for (const width of ["long", "short", "narrow"]) {
      const { "unitPattern-count-one": one, "unitPattern-count-other": other, perUnitPattern: per = "" } = units[width][key];
      row.push(one === other ? "" : one, other, per);
    }
    rows.push(row);
  }
  return table(rows);
}

export default {
  /** code, singular, plural. */
  currencyNames: table(codes.map((code) => [code, currencies[code]["displayName-count-one"] ?? currencies[code].displayName, currencies[code]["displayName-count-other"] ?? currencies[code].displayName])),
  /** code, symbol, narrow symbol; for those that have one. */
  currencySymbols: table(symbols),
  /** code, digits of the minor unit; for those that have not two. */
  currencyDigits: table(Object.entries(fractions).filter(([code, { _digits }]) => code !== "DEFAULT" && _digits !== "2").map(([code, { _digits }]) => [code, _digits])),
  /** unit, and for long, short, narrow: singular (empty if the same), plural, pattern of a denominator. */
  units: unitRows(),
};
