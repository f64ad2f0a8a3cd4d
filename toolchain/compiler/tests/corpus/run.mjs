// Compares each module with its bundle: node run.mjs BUNDLES. In BUNDLES stands for `a.js` an `a.mjs`, for `b/index.js` a `b.mjs`.
// Each exports functions; what they give must be the same. Prints what is not, and how many were compared.
import { readdirSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { inspect, isDeepStrictEqual } from "node:util";

const load = async (file) => {
  try {
    return (await import(pathToFileURL(file))).default ?? {};
  } catch (error) {
    return { load: () => `fails: ${error.name}: ${error.message}` };
  }
};
const call = async (f) => {
  try {
    return typeof f === "function" ? await f() : `is ${typeof f}`;
  } catch (error) {
    return `throws ${error.name}: ${error.message}`;
  }
};
const [folder] = process.argv.slice(2);
const here = new URL(".", import.meta.url).pathname;
let compared = 0;
const wrong = [];
for (const bundle of readdirSync(folder).filter((name) => name.endsWith(".mjs")).sort()) {
  const name = bundle.replace(/(\.min)?\.mjs$/, "");
  // The globals by which modules of a case tell what ran are each run's own.
  const forget = () => Object.keys(globalThis).filter((key) => key.startsWith("corpus")).forEach((key) => delete globalThis[key]);
  const results = [];
  const nested = readdirSync(here).includes(name);
  for (const file of [`${here}${name}${nested ? "/index" : ""}.js?${bundle}`, `${folder}/${bundle}`]) {
    forget();
    const [path, query] = file.split("?");
    const functions = query ? await original(path, query) : await load(path);
    const given = {};
    for (const key of Object.keys(functions)) given[key] = await call(functions[key]);
    results.push(given);
  }
  const [source, bundled] = results;
  for (const key of new Set([...Object.keys(source), ...Object.keys(bundled)])) {
    compared++;
    if (!isDeepStrictEqual(source[key], bundled[key])) {
      wrong.push(`${bundle} ${key}\n  source  ${inspect(source[key], { breakLength: Infinity })}\n  bundle  ${inspect(bundled[key], { breakLength: Infinity })}`);
    }
  }
}

// A module is evaluated once a process, and its own modules too: the second run of a source is that of the first.
async function original(path) {
  globalThis.originals ??= new Map();
  if (!globalThis.originals.has(path)) {
    const functions = await load(path);
    const results = {};
    for (const key of Object.keys(functions)) results[key] = await call(functions[key]);
    globalThis.originals.set(path, results);
  }
  const results = globalThis.originals.get(path);
  return Object.fromEntries(Object.entries(results).map(([key, value]) => [key, () => value]));
}

console.log(wrong.join("\n"));
console.log(`${compared} compared, ${wrong.length} wrong`);
process.exit(wrong.length === 0 && compared > 0 ? 0 : 1);
