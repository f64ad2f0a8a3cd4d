// The digits of each numbering system, from the Unicode CLDR.
import systems from "./numbering.data.mjs";

export default systems;
