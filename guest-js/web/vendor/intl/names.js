// What languages, regions and so on are called in English, from the Unicode CLDR.
import names from "./names.data.mjs";

export default names;
