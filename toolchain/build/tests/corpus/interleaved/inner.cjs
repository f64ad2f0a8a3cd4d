globalThis.corpusTurns.push("inner");
