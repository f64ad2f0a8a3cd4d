// The web modules as a whole: what index.json lists, and in which direction modules and folders import.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { posix } from "node:path";
import { test } from "node:test";
import { index } from "./world.mjs";

const source = new URL("../src/", import.meta.url);
const files = readdirSync(source, { recursive: true }).filter((file) => file.endsWith(".js"));
const places = new Map(index.map(({ file }, place) => [file, place]));

/** The web modules that a file imports, by their names in index.json. */
function importsOf(file) {
  const text = readFileSync(new URL(file, source), "utf8");
  const specifiers = [...text.matchAll(/^(?:import|export)\b[^;"]*"(\.[^"]+)";$/gm)].map(([, specifier]) => specifier);
  return specifiers.map((specifier) => posix.join(posix.dirname(file), specifier));
}

test("index.json lists every module, after those that it imports", () => {
  assert.deepEqual(files.filter((file) => !places.has(file)), []);
  for (const file of files) {
    const early = importsOf(file).filter((other) => !(places.get(other) < places.get(file)));
    assert.deepEqual(early, [], `${file} imports modules that are not listed before it`);
  }
});

test("index.json says what a module needs beside those that every component has", () => {
  const entries = new Map(index.map((entry) => [entry.file, entry]));
  const neededBy = (file) => (entries.get(file).needs ?? []).flatMap((other) => [other, ...neededBy(other)]);
  for (const file of files) {
    const needed = new Set(neededBy(file));
    const missing = importsOf(file).filter((other) => {
      const { core = false, base = false } = entries.get(other);
      return !core && !base && !needed.has(other);
    });
    assert.deepEqual(missing, [], `${file} imports modules that it does not list under needs`);
  }
});

test("no folder imports itself by way of others", () => {
  const folderOf = (file) => file.slice(0, file.indexOf("/"));
  const imports = new Map();
  for (const file of files) {
    const folders = imports.get(folderOf(file)) ?? new Set();
    for (const other of importsOf(file)) if (folderOf(other) !== folderOf(file)) folders.add(folderOf(other));
    imports.set(folderOf(file), folders);
  }
  // Folders that import nothing that is left are taken away, until only circles and what imports them remain.
  for (let before = -1; imports.size !== before;) {
    before = imports.size;
    for (const [folder, others] of imports) if (![...others].some((other) => imports.has(other))) imports.delete(folder);
  }
  assert.deepEqual([...imports.keys()], []);
});
