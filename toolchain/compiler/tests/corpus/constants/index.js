// Constants of other modules, whose modules do more.
import { g } from "./setup.js";
import { answer } from "./answer.js";
import * as all from "./barrel.js";
export default { g: () => g, marks: () => globalThis.corpusMarks, answer: () => answer + 1, all: () => Object.keys(all), live: () => { all.bump(); return all.count; } };
