// `npm install NAME...` for pages: puts packages of tests/packages, and what they depend on, into node_modules of the
// current folder and into package.json, without a network.
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const packages = join(dirname(fileURLToPath(import.meta.url)), "../packages");
const lock = JSON.parse(readFileSync(join(packages, "package-lock.json"), "utf8")).packages;

/** Where `name` is found from the package at `from`, as Node.js looks for it. */
function find(name, from) {
  for (let at = from; ; at = at.slice(0, Math.max(0, at.lastIndexOf("node_modules/")))) {
    const place = `${at === "" || at.endsWith("/") ? at : `${at}/`}node_modules/${name}`;
    if (lock[place]) return place;
    if (at === "") return undefined;
  }
}

function collect(place, found) {
  if (found.has(place)) return;
  found.add(place);
  const { dependencies = {}, optionalDependencies = {}, peerDependencies = {} } = lock[place];
  for (const name of Object.keys({ ...peerDependencies, ...optionalDependencies, ...dependencies })) {
    const at = find(name, place);
    if (at && existsSync(join(packages, at))) collect(at, found);
  }
}

const [command, ...names] = process.argv.slice(2);
if (command !== "install" || names.length === 0 || names.some((name) => name.startsWith("-"))) {
  throw new Error("pages may say `npm install NAME...` only");
}
const found = new Set();
for (const name of names) {
  const place = find(name, "");
  if (!place) throw new Error(`tests/packages does not have ${name}`);
  collect(place, found);
}
for (const place of found) {
  mkdirSync(dirname(place), { recursive: true });
  const own = (source) => !source.slice(join(packages, place).length).includes("/node_modules");
  cpSync(join(packages, place), place, { recursive: true, filter: own });
}
const file = existsSync("package.json") ? JSON.parse(readFileSync("package.json", "utf8")) : {};
file.dependencies ??= {};
for (const name of names) file.dependencies[name] = `^${lock[`node_modules/${name}`].version}`;
writeFileSync("package.json", `${JSON.stringify(file, null, 2)}\n`);
