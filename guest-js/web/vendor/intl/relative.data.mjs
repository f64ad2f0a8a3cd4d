// English formats of relative times.
import { relative } from "./relative.mjs";

export const madeFrom = ["cldr-core", "cldr-dates-full"];

export default relative("en");
