// What locale identifiers mean, from the Unicode CLDR.
import locales from "./locales.data.mjs";

export default locales;
