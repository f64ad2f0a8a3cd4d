// How numbers are written in English, from the Unicode CLDR.
import numbers from "./numbers.data.mjs";

export default numbers;
