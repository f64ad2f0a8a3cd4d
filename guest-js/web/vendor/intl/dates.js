// English date formats, from the Unicode CLDR.
import dates from "./dates.data.mjs";

export default dates;
