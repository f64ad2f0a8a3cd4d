// Statements of the top level whose result nobody uses: what they do shows in globalThis.
import "./effects.js";
import { ran } from "./ran.js";
export default {
  effects: () => globalThis.corpusEffects,
  ran: () => ran,
};
