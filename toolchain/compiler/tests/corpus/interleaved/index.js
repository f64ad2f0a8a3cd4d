// CommonJS and ES modules by turns, in the order of their imports.
import "./one.cjs";
import "./two.js";
import three from "./three.cjs";
import "./four.js";
import { again } from "./two.js";
export default { order: () => globalThis.corpusTurns, three: () => three.value, again: () => again };
