(globalThis.corpusTurns ??= []).push("one");
