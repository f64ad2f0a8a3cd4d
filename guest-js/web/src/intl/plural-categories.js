// The plural categories of English (CLDR plurals.json and ordinals.json), of a number as it is written.

/** "one" or "other", of the written digits. */
export const cardinal = (integer, fraction) => (integer === "1" && fraction === "" ? "one" : "other");

/** "one", "two", "few" or "other": 1st, 2nd, 3rd, 4th. */
export function ordinal(integer, fraction) {
  if (/[1-9]/.test(fraction)) return "other";
  const tens = integer.length > 1 && integer.at(-2) === "1";
  switch (tens ? "" : integer.at(-1)) {
    case "1":
      return "one";
    case "2":
      return "two";
    case "3":
      return "few";
    default:
      return "other";
  }
}
