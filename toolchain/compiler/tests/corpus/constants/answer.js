(globalThis.corpusMarks ??= []).push("answer");
export const answer = 41;
