// What languages, regions and so on are called in English.
import { names } from "./names.mjs";

export const madeFrom = ["cldr-dates-full", "cldr-localenames-full", "cldr-numbers-full"];

export default names("en");
