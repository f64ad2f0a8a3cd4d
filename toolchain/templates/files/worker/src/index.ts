// An output for an input: by a call of the host, or by HTTP POST with JSON.
import { ELIAS } from "elias";

ELIAS.createComponent({
  name: "{{name}}",
  input(value: any): { text: string } {
    if (typeof value?.text !== "string") throw new TypeError("text is a string");
    return value;
  },
  process({ text }) {
    const words = text.toLowerCase().match(/\p{L}+/gu) ?? [];
    console.info("counting", { words: words.length });
    const counts = new Map<string, number>();
    for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
    return Object.fromEntries([...counts].sort(([, a], [, b]) => b - a));
  },
});
