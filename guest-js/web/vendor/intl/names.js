// English names of languages, regions, scripts, currencies and date fields, from the Unicode CLDR.
import names from "./names.data.mjs";

export default names;
