// The order of characters, from the Unicode CLDR's root collation. The characters below U+0009 cannot occur in it as themselves:
// they say how a character differs from the one before.
import collation from "./collation.data.mjs";

export default collation;
