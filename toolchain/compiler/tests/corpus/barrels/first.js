(globalThis.corpusBarrels ??= []).push("first");
