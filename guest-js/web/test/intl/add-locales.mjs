// Adds the data of locales to a world as the module does that elias-build makes of `[build] locales`.
import { readFileSync } from "node:fs";
import { brotliDecompressSync } from "node:zlib";

const file = readFileSync(new URL("../../../../target/web/locales.bin", import.meta.url));
const start = 4 + file.readUInt32LE(0);
const { locales, streams, parents } = JSON.parse(file.subarray(4, start).toString());

/** Adds the locales `tags` to a world whose module `support` is intl/support.js. */
export function addLocales({ addLocale, addParents }, tags) {
  addParents(parents);
  for (const tag of tags) {
    const [, stream, line, others] = locales.find(([name]) => name === tag);
    const [offset, length] = streams[stream];
    const lines = brotliDecompressSync(file.subarray(start + offset, start + offset + length)).toString().split("\n");
    const data = JSON.parse(lines[0]);
    for (const [pointer, value] of line === 0 ? [] : Object.entries(JSON.parse(lines[line]))) {
      const path = pointer.slice(1).split("/");
      path.slice(0, -1).reduce((part, key) => part[key], data)[path.at(-1)] = value;
    }
    addLocale(tag, others, data);
  }
}
