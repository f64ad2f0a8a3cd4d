// Replacements of deprecated subtags of locale identifiers, and likely subtags, from the Unicode CLDR.
import locales from "./locales.data.mjs";

export default locales;
