(globalThis.corpusMarks ??= []).push("mark");
