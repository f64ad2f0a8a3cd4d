// English date formats.
import { dates } from "./dates.mjs";

export const madeFrom = ["cldr-core", "cldr-dates-full"];

export default dates("en");
