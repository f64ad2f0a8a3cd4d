// The table of `make coverage`: lines that the tests run, by crate and for the web modules. Fails below a floor.
//
// Argument: the folder with web.lcov and, if Rust was measured, rust.json (`llvm-cov export -summary-only`).
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** Percent of lines: of all Rust, of all web modules, and of each crate of pure-crates.txt. */
const FLOORS = { rust: 80, web: 80, pure: 95 };

const root = fileURLToPath(new URL("../..", import.meta.url));
const folder = process.argv[2];
const pure = readFileSync(join(root, "toolchain/setup/pure-crates.txt"), "utf8")
  .split("\n")
  .filter((line) => line !== "" && !line.startsWith("#"));
const rows = [];

/** Adds a row; `floor` is undefined for what has none of its own. */
const add = (name, { covered, count }, floor) => {
  const percent = count === 0 ? 0 : (100 * covered) / count;
  rows.push({ name, lines: count, percent, floor, isBelow: floor !== undefined && percent < floor });
};

/** Lines of the Rust sources by crate: the path before `/src/`. */
function rust(file) {
  const [{ files }] = JSON.parse(readFileSync(file, "utf8")).data;
  const crates = new Map();
  const all = { covered: 0, count: 0 };
  for (const { filename, summary } of files) {
    const [crate, source] = relative(root, filename).split("/src/");
    if (source === undefined || crate.startsWith("..")) continue;
    const sum = crates.get(crate) ?? { covered: 0, count: 0 };
    crates.set(crate, sum);
    for (const lines of [sum, all]) {
      lines.covered += summary.lines.covered;
      lines.count += summary.lines.count;
    }
  }
  for (const [crate, lines] of [...crates].sort()) add(crate, lines, pure.includes(crate) ? FLOORS.pure : undefined);
  for (const crate of pure) if (!crates.has(crate)) add(crate, { covered: 0, count: 0 }, FLOORS.pure);
  add("Rust", all, FLOORS.rust);
}

/** Lines of the web modules. A module has a record for each time it was evaluated, of which any may have run a line. */
function web(file) {
  const modules = join(root, "guest-js/web");
  const sources = readdirSync(join(modules, "src"), { recursive: true }).filter((name) => name.endsWith(".js"));
  const counts = new Map(sources.map((name) => [join("src", name), new Map()]));
  let lines;
  for (const line of readFileSync(file, "utf8").split("\n")) {
    if (line.startsWith("SF:")) lines = counts.get(relative(modules, resolve(modules, line.slice(3))));
    const [, number, times] = /^DA:(\d+),(\d+)/.exec(line) ?? [];
    if (number !== undefined) lines?.set(number, lines.get(number) || times !== "0");
  }
  const all = { covered: 0, count: 0 };
  for (const [name, lines] of counts) {
    // What no test imports has no record.
    const unseen = lines.size === 0 ? readFileSync(join(modules, name), "utf8").split("\n").length : 0;
    all.count += lines.size + unseen;
    all.covered += [...lines.values()].filter(Boolean).length;
  }
  add("guest-js/web", all, FLOORS.web);
}

if (existsSync(join(folder, "rust.json"))) rust(join(folder, "rust.json"));
web(join(folder, "web.lcov"));

const print = (name, lines, covered, floor, note = "") =>
  console.log(`${name.padEnd(24)}${lines.padStart(8)}${covered.padStart(10)}${floor.padStart(8)}${note}`.trimEnd());
print("", "lines", "covered", "floor");
for (const { name, lines, percent, floor, isBelow } of rows) {
  print(name, `${lines}`, `${percent.toFixed(1)} %`, floor === undefined ? "" : `${floor} %`, isBelow ? "  too low" : "");
}
if (rows.some(({ isBelow }) => isBelow)) process.exit(1);
