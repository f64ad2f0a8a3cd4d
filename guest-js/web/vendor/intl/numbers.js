// English number formats, from the Unicode CLDR.
import numbers from "./numbers.data.mjs";

export default numbers;
