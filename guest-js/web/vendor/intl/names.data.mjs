// English names of languages, regions, scripts, currencies and date fields.
import { names } from "./names.mjs";

export const madeFrom = ["cldr-dates-full", "cldr-localenames-full", "cldr-numbers-full"];

export default names("en");
