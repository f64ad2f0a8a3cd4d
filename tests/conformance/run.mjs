// `make conformance`: runs web-platform-tests in ELIAS and in the runtimes beside it, and test262, and writes
// docs/reference/conformance.md.
//
//     node tests/conformance/run.mjs --wpt DIR [--test262 DIR] [--area NAME]... [--runtime NAME]... [--filter TEXT]
//         [--jobs N] [--fresh] [--verbose] [--report FILE]
//
// The binaries are those of the folder ELIAS_BIN, target/release if it is not set. Results are kept in
// target/conformance, by runtime, version and the test's text: a run that was broken off goes on where it was, and
// after a new build only ELIAS runs again. `--fresh` runs all of it anew.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { AREAS, LEFT_OUT, OF_PAGES } from "./areas.mjs";
import { printArea, writeReport } from "./report.mjs";
import { runtimesOf } from "./runtimes.mjs";
import { runTest262 } from "./test262.mjs";
import { fillIn, harnessOf, metaOf, moduleOf, runsInWorkers, scriptsOf, serveSuite } from "./wpt.mjs";

const { values: options } = parseArgs({
  options: {
    wpt: { type: "string" },
    test262: { type: "string" },
    area: { type: "string", multiple: true, default: [] },
    runtime: { type: "string", multiple: true, default: [] },
    filter: { type: "string", default: "" },
    jobs: { type: "string", default: "2" },
    fresh: { type: "boolean", default: false },
    verbose: { type: "boolean", default: false },
    report: { type: "string" },
  },
});

const root = resolve(import.meta.dirname, "../..");
const binaries = resolve(process.env.ELIAS_BIN ?? join(root, "target/release"));
const results = join(root, "target/conformance/results");
if (!existsSync(join(binaries, "elias-build")))
  throw new Error(`there is no elias-build in ${binaries}: run \`make build\`, or set ELIAS_BIN`);
if (!options.wpt && !options.test262)
  throw new Error("name a clone of web-platform-tests with --wpt, or one of test262 with --test262");

/** Seconds that a test may take, as in browsers; those that call themselves long have more. */
const SECONDS = { normal: 10, long: 60 };

/** What stands beside the module of a test. */
const BESIDE = ["harness.js", "script.mjs", "worker.mjs"];

const besideText = BESIDE.map((name) => readFileSync(join(import.meta.dirname, name), "utf8")).join("\n");

/** The commit of a clone: the data that tests fetch is no part of their text. */
function revisionOf(folder) {
  try {
    return existsSync(join(folder, ".git"))
      ? execFileSync("git", ["-C", folder, "rev-parse", "HEAD"], { encoding: "utf8" }).trim()
      : "";
  } catch {
    return "";
  }
}

function filesOf(folder) {
  if (!existsSync(join(options.wpt, folder))) return [];
  const names = readdirSync(join(options.wpt, folder), { recursive: true });
  return names
    .filter((name) => /\.(?:any|window)\.js$/.test(name))
    .map((name) => `${folder}/${name}`)
    .sort();
}

/** Whether a test is for pages alone: by its scopes, or, in the form for pages, by what it names of a page. */
const forPages = (file, text, meta) => (file.endsWith(".window.js") ? OF_PAGES.test(text) : !runsInWorkers(meta));

/** What is run of an area: `{ file, variant, scripts, seconds }`; and what is left out, with the reason. */
function runsOf(area) {
  const [runs, leftOut] = [[], []];
  const files = area.folders
    .flatMap(filesOf)
    .filter((file) => !(area.without ?? []).some((folder) => file.startsWith(`${folder}/`)));
  for (const file of files.filter((file) => file.includes(options.filter))) {
    const text = readFileSync(join(options.wpt, file), "utf8");
    const meta = metaOf(text);
    const reason = forPages(file, text, meta)
      ? "is for pages alone"
      : LEFT_OUT.find(({ file: name, pattern }) => name?.test(file) ?? pattern.test(text))?.why;
    if (reason !== undefined) {
      leftOut.push({ file, reason });
      continue;
    }
    const scripts = scriptsOf(options.wpt, file, meta);
    const seconds = meta.long ? SECONDS.long : SECONDS.normal;
    for (const variant of meta.variants.length ? meta.variants : [""])
      runs.push({ name: file + variant, file, variant, scripts, seconds });
  }
  return { runs, leftOut };
}

/** Runs a test in a runtime, or takes what is known of it: `{ tests, ended, message }`. */
async function runOne(runtime, { name, file, variant, scripts, seconds }, suite) {
  const text = moduleOf(suite.harness, scripts);
  const hash = createHash("sha256")
    .update(JSON.stringify([file, variant, seconds, besideText]))
    .update(text)
    .update(suite.revision)
    .digest("hex")
    .slice(0, 32);
  const known = join(results, `${runtime.name}-${runtime.key}`, `${hash}.json`);
  if (!options.fresh && existsSync(known)) return JSON.parse(readFileSync(known, "utf8"));
  const folder = mkdtempSync(join(tmpdir(), "elias-conformance-"));
  try {
    for (const file of BESIDE) cpSync(join(import.meta.dirname, file), join(folder, file));
    writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
    writeFileSync(join(folder, "test.js"), moduleOf(suite.harness, await fillIn(scripts, suite.url)));
    const { outcome, failure } = await runtime.run({
      folder,
      base: `${suite.url}/${file}${variant}`,
      seconds,
      ports: suite.ports,
    });
    const result = resultOf(outcome, failure);
    mkdirSync(join(results, `${runtime.name}-${runtime.key}`), { recursive: true });
    writeFileSync(known, JSON.stringify({ name, ...result }));
    return result;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A harness that did not come to its end, or a file that did not run, is a failure beside those of its tests. */
function resultOf(outcome, failure) {
  if (outcome === undefined)
    return { tests: [{ name: "the file itself", status: 1, message: failure.slice(0, 2000) }] };
  const tests = outcome.tests.map(({ name, status, message }) =>
    status === 0 ? { name, status } : { name, status, message: `${message}`.slice(0, 600) },
  );
  if (outcome.status !== 0)
    tests.push({ name: "the harness", status: 1, message: `${outcome.message}`.slice(0, 2000) });
  return { tests };
}

/** Runs `task` on each of `items`, some at a time, and gives the results in order. */
export async function inParallel(items, task) {
  const results = new Array(items.length);
  let next = 0;
  const worker = async () => {
    while (next < items.length) {
      const at = next++;
      results[at] = await task(items[at]);
    }
  };
  await Promise.all(Array.from({ length: Number(options.jobs) }, worker));
  return results;
}

const report = { areas: [], runtimes: [], test262: undefined };
if (options.wpt) {
  options.wpt = resolve(options.wpt);
  report.runtimes = runtimesOf(binaries, options.runtime);
  const { ports, close } = await serveSuite(options.wpt);
  const suite = {
    ports,
    url: `http://127.0.0.1:${ports[0]}`,
    harness: harnessOf(options.wpt),
    revision: revisionOf(options.wpt),
  };
  for (const area of AREAS.filter(({ name }) => options.area.length === 0 || options.area.includes(name))) {
    const { runs, leftOut } = runsOf(area);
    const pairs = runs.flatMap((run) => report.runtimes.map((runtime) => ({ run, runtime })));
    const came = await inParallel(pairs, ({ run, runtime }) => runOne(runtime, run, suite));
    const files = runs.map(({ name }, at) => ({
      name,
      results: Object.fromEntries(
        report.runtimes.map((runtime, which) => [runtime.name, came[at * report.runtimes.length + which].tests]),
      ),
    }));
    const result = { ...area, files, leftOut };
    printArea(result, report.runtimes, options.verbose);
    report.areas.push(result);
  }
  await close();
}
if (options.test262)
  report.test262 = await runTest262({ folder: resolve(options.test262), root, binaries, inParallel, ...options });
if (options.report) writeReport(options.report, report);
