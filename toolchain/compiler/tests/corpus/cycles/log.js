export const log = (globalThis.corpusOrder = []);
