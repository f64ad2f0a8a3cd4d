import "./inner.cjs";
globalThis.corpusTurns.push("two");
export const again = globalThis.corpusTurns.length;
