// ELIAS.createComponent: an output for an input, by a call or by HTTP POST with JSON.
//
//     elias-build src/index.ts -o app.wasm && elias serve app.wasm
//     curl -H 'content-type: application/json' -d '{"text":"to be or not to be"}' http://127.0.0.1:8787/
import { ELIAS } from "elias";

ELIAS.createComponent({
  name: "word-count",
  input(value: any): { text: string } {
    if (typeof value?.text !== "string") throw new TypeError("text is a string");
    return value;
  },
  process({ text }) {
    const counts = new Map<string, number>();
    for (const word of text.toLowerCase().match(/\p{L}+/gu) ?? []) counts.set(word, (counts.get(word) ?? 0) + 1);
    return Object.fromEntries([...counts].sort(([a], [b]) => (a < b ? -1 : 1)));
  },
});
