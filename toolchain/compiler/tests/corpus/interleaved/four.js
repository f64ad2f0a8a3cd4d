globalThis.corpusTurns.push("four");
