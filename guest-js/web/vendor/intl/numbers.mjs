// The number formats of a locale.
import { inLocale, table } from "./cldr.mjs";
import { categoriesOf } from "./plurals.mjs";

// ECMA-402 §6.6.2: the units that are sanctioned.
export const UNITS = (
  "acre bit byte celsius centimeter day degree fahrenheit fluid-ounce foot gallon gigabit gigabyte gram hectare hour inch kilobit " +
  "kilobyte kilogram kilometer liter megabit megabyte meter microsecond mile mile-scandinavian milliliter millimeter millisecond minute month nanosecond " +
  "ounce percent petabyte pound second stone terabit terabyte week yard year"
).split(" ");

/** The cells of `entry` for each category: empty where it is that of "other". */
const forms = (categories, entry, key) => {
  const other = entry[`${key}other`] ?? "";
  return categories.map((category) => (category === "other" || (entry[key + category] ?? other) === other ? (category === "other" ? other : "") : entry[key + category]));
};

function unitRows(tag, categories) {
  const { units } = inLocale(tag, "cldr-units-full", "units");
  const rows = [];
  for (const key of Object.keys(units.long)) {
    const unit = key.slice(key.indexOf("-") + 1);
    const [numerator, denominator] = unit.split("-per-");
    if (!UNITS.includes(numerator) || (denominator !== undefined && !UNITS.includes(denominator))) continue;
    const row = [unit];
    for (const width of ["long", "short", "narrow"]) {
      const { perUnitPattern: per = "" } = units[width][key];
      row.push(...forms(categories, units[width][key], "unitPattern-count-"), per);
    }
    rows.push(row);
  }
  return { units: table(rows), per: ["long", "short", "narrow"].map((width) => units[width].per.compoundUnitPattern) };
}

const POWERS = Array.from({ length: 12 }, (_, at) => at + 3);

/** Of a table of compact patterns, for each power of ten the patterns by category, and that of exactly one where it differs. */
function compactRows(categories, name, patterns) {
  return POWERS.map((power) => [`${name} ${power}`, ...forms(categories, patterns, `1${"0".repeat(power)}-count-`), patterns[`1${"0".repeat(power)}-count-1`] ?? ""]);
}

export function numbers(tag) {
  const categories = categoriesOf(tag);
  const found = inLocale(tag, "cldr-numbers-full", "numbers").numbers;
  const { currencies } = inLocale(tag, "cldr-numbers-full", "currencies").numbers;
  const codes = Object.keys(currencies).sort();
  const system = found.defaultNumberingSystem;
  const systems = Object.keys(found).filter((key) => key.startsWith("symbols-numberSystem-")).map((key) => key.slice("symbols-numberSystem-".length));
  const formats = (kind, of) => found[`${kind}Formats-numberSystem-${of}`] ?? found[`${kind}Formats-numberSystem-latn`];
  // What a numbering system does not have is as with Latin digits.
  const compact = (kind, width) => formats(kind, system)[width] ?? formats(kind, "latn")[width] ?? {};
  const currency = { ...formats("currency", "latn"), ...formats("currency", system) };
  return {
    categories,
    system,
    /** Fewest digits before the first separator. */
    minimumGrouping: Number(found.minimumGroupingDigits),
    /** numbering system; signs; patterns of decimals, percents, currencies, accounts, ranges; signs that currencies have for themselves. */
    symbols: table(systems.map((of) => {
      const signs = found[`symbols-numberSystem-${of}`];
      return [
        of, signs.decimal, signs.group, signs.minusSign, signs.plusSign, signs.percentSign, signs.exponential, signs.approximatelySign, signs.infinity, signs.nan,
        formats("decimal", of).standard, formats("percent", of).standard, formats("currency", of).standard, formats("currency", of).accounting,
        (found[`miscPatterns-numberSystem-${of}`] ?? found["miscPatterns-numberSystem-latn"]).range,
        signs.currencyDecimal ?? "", signs.currencyGroup ?? "",
      ];
    })),
    compact: table([
      ...compactRows(categories, "short", compact("decimal", "short").decimalFormat ?? {}),
      ...compactRows(categories, "long", compact("decimal", "long").decimalFormat ?? {}),
      ...compactRows(categories, "currency", compact("currency", "short").standard ?? {}),
    ]),
    /** code, names by category. */
    currencyNames: table(codes.map((code) => {
      const { displayName } = currencies[code];
      const entry = { "displayName-count-other": displayName, ...currencies[code] };
      return [code, ...forms(categories, entry, "displayName-count-")];
    })),
    /** By category, how an amount and a currency's name are put together. */
    currencyUnits: categories.map((category) => currency[`unitPattern-count-${category}`] ?? currency["unitPattern-count-other"]),
    /** code, symbol, narrow symbol; for those that have one. */
    currencySymbols: table(codes
      .filter((code) => (currencies[code].symbol ?? code) !== code || currencies[code]["symbol-alt-narrow"] !== undefined)
      .map((code) => [code, currencies[code].symbol ?? code, currencies[code]["symbol-alt-narrow"] ?? currencies[code].symbol ?? code])),
    /** unit, and for long, short, narrow: patterns by category (empty if that of "other"), pattern of a denominator. */
    ...unitRows(tag, categories),
  };
}
