// Statements of the top level whose result nobody uses: what they do shows in globalThis.
import "./top-level-effects.js";
import { ran } from "./top-level-ran.js";
export default {
  effects: () => globalThis.corpusEffects,
  ran: () => ran,
};
