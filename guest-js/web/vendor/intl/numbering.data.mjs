// Numbering systems.
import { supplemental, table } from "./cldr.mjs";

export const madeFrom = ["cldr-core"];

/** Lines: name, and the digit zero, or all ten where they do not follow one another. */
export default table(
  Object.entries(supplemental("numberingSystems").numberingSystems)
    .filter(([, { _type }]) => _type === "numeric")
    .map(([name, { _digits }]) => {
      const digits = [..._digits];
      const zero = digits[0].codePointAt(0);
      return [name, digits.every((digit, at) => digit.codePointAt(0) === zero + at) ? digits[0] : _digits];
    }),
);
