// Fails if the first page needs more bytes than it may: the document, the scripts and styles that it begins with,
// those of the first page, and the texts of one language, each compressed by gzip. The editor is not among them: it is
// fetched when it is first needed.
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const LIMIT = 90_000;
const dist = new URL("../dist/", import.meta.url);
const manifest = JSON.parse(readFileSync(new URL(".vite/manifest.json", dist), "utf8"));

const files = new Set(["index.html"]);
function add(name) {
  const entry = manifest[name];
  if (entry === undefined) throw new Error(`${name} is not in the manifest of the build`);
  if (files.has(entry.file)) return;
  files.add(entry.file);
  for (const file of [...(entry.css ?? []), ...(entry.assets ?? [])]) files.add(file);
  for (const imported of entry.imports ?? []) add(imported);
}
add("index.html");
add("src/pages/components.ts");
// Of the languages one is fetched: the one with the most bytes counts.
const locales = Object.keys(manifest).filter((name) => /^messages\/\w+\.json$/.test(name));
const sized = locales.map((name) => [size(manifest[name].file), name]).sort(([left], [right]) => right - left);
if (sized.length !== 3) throw new Error(`three languages are expected, not ${locales.join(", ")}`);
add(sized[0][1]);

function size(file) {
  return gzipSync(readFileSync(new URL(file, dist)), { level: 9 }).length;
}

let total = 0;
for (const file of files) {
  const bytes = size(file);
  total += bytes;
  console.log(`${String(bytes).padStart(8)}  ${file}`);
  if (/editor|monaco/i.test(file)) throw new Error(`${file}: the editor is part of the first page`);
}
console.log(`${String(total).padStart(8)}  bytes in total, of ${LIMIT}`);
if (total > LIMIT) {
  console.error("error: the first page of the console is over its limit");
  process.exit(1);
}
