// English number formats, and the number of digits of each currency.
import { supplemental, table } from "./cldr.mjs";
import { numbers } from "./numbers.mjs";

export const madeFrom = ["cldr-core", "cldr-numbers-full", "cldr-units-full"];

const { fractions } = supplemental("currencyData").currencyData;

export default {
  ...numbers("en"),
  /** code, digits of the minor unit; for those that have not two. */
  currencyDigits: table(Object.entries(fractions).filter(([code, { _digits }]) => code !== "DEFAULT" && _digits !== "2").map(([code, { _digits }]) => [code, _digits])),
};
