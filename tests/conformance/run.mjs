// `make conformance`: runs web-platform-tests and test262, each file as a component of its own through the shipped binaries,
// and writes docs/conformance.md.
//
//     node tests/conformance/run.mjs --wpt DIR [--test262 DIR] [--area NAME]... [--filter TEXT] [--jobs N] [--verbose] [--report FILE]
//
// The binaries are those of the folder ELIAS_BIN, target/release if it is not set.
import { createReadStream, existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { join, normalize, resolve } from "node:path";
import { parseArgs } from "node:util";
import { AREAS, LEFT_OUT } from "./areas.mjs";
import { ask } from "./component.mjs";
import { printArea, writeReport } from "./report.mjs";
import { runTest262 } from "./test262.mjs";
import { componentOf, metaOf, runsInWorkers, scriptsOf } from "./wpt.mjs";

const { values: options } = parseArgs({
  options: {
    wpt: { type: "string" },
    test262: { type: "string" },
    area: { type: "string", multiple: true },
    filter: { type: "string" },
    jobs: { type: "string", default: "2" },
    verbose: { type: "boolean", default: false },
    report: { type: "string" },
  },
});

const root = resolve(import.meta.dirname, "../..");
const binaries = resolve(process.env.ELIAS_BIN ?? join(root, "target/release"));
if (!existsSync(join(binaries, "elias-build"))) throw new Error(`there is no elias-build in ${binaries}: run \`make build\`, or set ELIAS_BIN`);
if (!options.wpt && !options.test262) throw new Error("name a clone of web-platform-tests with --wpt, or one of test262 with --test262");

/** Seconds that a test may take; those that call themselves long, six times as many. */
const SECONDS = 10;

const TYPES = { json: "application/json", js: "text/javascript", html: "text/html", txt: "text/plain", idl: "text/plain" };

/** Serves the suite's files, for tests that fetch them. */
function serveFiles(folder) {
  const server = createServer((request, response) => {
    const file = join(folder, normalize(decodeURIComponent(new URL(request.url, "http://localhost").pathname)));
    // The one handler of the suite that tests of bodies cannot do without: it sends back what it gets.
    if (file.endsWith("echo-content.py")) return request.pipe(response.writeHead(200, { "content-type": "text/plain" }));
    if (!file.startsWith(folder) || !existsSync(file) || !statSync(file).isFile()) return response.writeHead(404).end();
    response.writeHead(200, { "content-type": TYPES[file.split(".").pop()] ?? "application/octet-stream" });
    createReadStream(file).pipe(response);
  });
  return new Promise((done) => server.listen(0, "127.0.0.1", () => done(server)));
}

function filesOf(folder) {
  if (!existsSync(join(options.wpt, folder))) return [];
  const names = readdirSync(join(options.wpt, folder), { recursive: true });
  return names.filter((name) => name.endsWith(".any.js")).map((name) => `${folder}/${name}`).sort();
}

/** What is run of an area: `{ file, variant, source, seconds }`; and what is left out, with the reason. */
function runsOf(area, port) {
  const [runs, leftOut] = [[], []];
  for (const file of area.folders.flatMap(filesOf).filter((file) => file.includes(options.filter ?? ""))) {
    const text = readFileSync(join(options.wpt, file), "utf8");
    const meta = metaOf(text);
    const scripts = scriptsOf(options.wpt, file, meta);
    const reason = runsInWorkers(meta) ? LEFT_OUT.find(({ pattern }) => pattern.test(text))?.why : "is for pages alone";
    if (reason !== undefined) {
      leftOut.push({ file, reason });
      continue;
    }
    const seconds = meta.long ? 6 * SECONDS : SECONDS;
    for (const variant of meta.variants.length ? meta.variants : [""]) {
      const source = () => componentOf(options.wpt, file, variant, scripts, `http://127.0.0.1:${port}`, seconds);
      runs.push({ file, variant, source, seconds });
    }
  }
  return { runs, leftOut };
}

async function runOne({ file, variant, source, seconds }, port) {
  const name = file + variant;
  const answer = await ask(binaries, source(), port, seconds);
  if (answer.status !== 200) return { name, tests: [{ name: "the file itself", status: 1, message: answer.failure ?? answer.body }] };
  const { status, message, tests } = JSON.parse(answer.body);
  // A harness that did not come to its end is a failure beside those of its tests.
  if (status !== 0) tests.push({ name: "the harness", status: 1, message });
  return { name, tests };
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

const report = { areas: [], test262: undefined };
if (options.wpt) {
  options.wpt = resolve(options.wpt);
  const server = await serveFiles(options.wpt);
  const { port } = server.address();
  const wanted = AREAS.filter(({ name }) => options.area === undefined || options.area.includes(name));
  for (const area of wanted) {
    const { runs, leftOut } = runsOf(area, port);
    const files = await inParallel(runs, (run) => runOne(run, port));
    const result = { name: area.name, files, leftOut };
    printArea(result, options.verbose);
    report.areas.push(result);
  }
  server.close();
}
if (options.test262) report.test262 = await runTest262({ folder: resolve(options.test262), root, binaries, inParallel, ...options });
if (options.report) writeReport(options.report, report);
