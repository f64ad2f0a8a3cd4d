import { isEven, parity } from "./even.js";
export function isOdd(n) { return n !== 0 && isEven(n - 1); }
export const early = (() => { try { return typeof parity; } catch (error) { return error.name; } })();
