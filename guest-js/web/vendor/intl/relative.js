// How relative times are written in English, from the Unicode CLDR.
import units from "./relative.data.mjs";

export default units;
