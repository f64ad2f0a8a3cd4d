// The codes of the currencies that are in use, from the Unicode CLDR.
import currencies from "./currencies.data.mjs";

export default currencies;
