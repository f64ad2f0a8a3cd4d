// How dates are written in English.
import { dates } from "./dates.mjs";

export const madeFrom = ["cldr-core", "cldr-dates-full"];

export default dates("en");
