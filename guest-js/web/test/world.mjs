// A world is a fresh evaluation of the modules, as an instance is a fresh copy of the snapshot.
import "./originals.mjs";
import { readFileSync } from "node:fs";
import { register } from "node:module";

register("./hooks.mjs", import.meta.url);

const source = new URL("../src/", import.meta.url);
export const index = JSON.parse(readFileSync(new URL("index.json", source), "utf8"));
let worlds = 0;

// Modules that Node.js has itself are not replaced under the tests: see node.test.mjs. Fakes for tests take the place of the real things.
const isWeb = ({ file }) => !/^(?:vendor\/)?(?:node|testing)\//.test(file);

/**
 * Evaluates the modules that `wanted` picks, by default all but those of Node.js, and returns their fake host, whose
 * `world` is what the URLs of these modules end with.
 */
export async function newWorld(wanted = isWeb) {
  const world = `?world=${++worlds}`;
  for (const entry of index) if (entry.file !== null && wanted(entry)) await import(new URL(entry.file, source) + world);
  return Object.assign((await import(`./native.mjs${world}`)).default, { world });
}

/** Lets everything run that is ready to: some rounds of tasks and their promise jobs, counted and not timed. */
export async function settle() {
  for (let round = 0; round < 10; round++) await new Promise((resolve) => globalThis.originals.setTimeout(resolve, 0));
}
