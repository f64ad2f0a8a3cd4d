globalThis.corpusTries = (globalThis.corpusTries ?? 0) + 1; throw new Error("broken " + globalThis.corpusTries);
