// English formats of relative times, from the Unicode CLDR.
import units from "./relative.data.mjs";

export default units;
