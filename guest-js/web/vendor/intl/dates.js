// How dates are written in English, from the Unicode CLDR.
import dates from "./dates.data.mjs";

export default dates;
