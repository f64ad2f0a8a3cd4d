// The IANA time zones: their offsets through history, and their names in English, from the IANA database and the Unicode CLDR.
import zones from "./zones.data.mjs";

export default zones;
