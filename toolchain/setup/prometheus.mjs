// Holds the dashboards and the Prometheus rules of docs/operations against the rest of the repository, and writes the expressions of dashboards
// as rules, which promtool can read.
//
//     node toolchain/setup/prometheus.mjs FILE    # FILE gets the rules
//
// Each alert names a section of a page that is there and has a test in which it fires and one in which it does not; each metric is in the table of
// docs/reference/metrics.md, each recorded series in elias-recording.yml.

import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const read = (path) => readFileSync(join(root, path), "utf8");
const faults = [];

/** The anchors of a page: its headings as links name them, and those that are written. */
function anchors(page) {
  const headings = [...page.matchAll(/^#+ (.*)$/gm)].map(([, text]) =>
    text.toLowerCase().replace(/[^\p{L}\p{N} _-]/gu, "").replaceAll(" ", "-"));
  return new Set([...headings, ...[...page.matchAll(/<a id="([^"]*)">/g)].map(([, id]) => id)]);
}

const recording = read("docs/operations/prometheus/elias-recording.yml");
const alerts = read("docs/operations/prometheus/elias-alerts.yml");
const tests = read("docs/operations/prometheus/elias-tests.yml");

for (const block of alerts.split(/^ +- alert: /m).slice(1)) {
  const name = block.slice(0, block.indexOf("\n")).trim();
  const [, page, anchor] = /^ +runbook: (\S+)#(\S+)$/m.exec(block) ?? [];
  if (page === undefined) {
    faults.push(`${name} names no section of a page`);
  } else {
    let text = "";
    try {
      text = read(page);
    } catch {
      faults.push(`${name}: the page ${page} does not exist`);
    }
    if (text !== "" && !anchors(text).has(anchor)) faults.push(`${name}: ${page} has no section ${anchor}`);
  }
  const tested = tests.split(new RegExp(`alertname: ${name}$`, "m")).slice(1).map((test) => /exp_alerts:(.*)/.exec(test)?.[1].trim());
  if (!tested.includes("")) faults.push(`${name} has no test in which it fires`);
  if (!tested.includes("[]")) faults.push(`${name} has no test in which it does not fire`);
}

const expressions = [];
for (const file of readdirSync(join(root, "docs/operations/grafana"))) {
  const board = JSON.parse(read(`docs/operations/grafana/${file}`));
  const ids = new Set();
  for (const panel of board.panels) {
    if (ids.has(panel.id)) faults.push(`${file}: two panels have the id ${panel.id}`);
    ids.add(panel.id);
    for (const target of panel.targets) expressions.push([`${file}: ${panel.title}`, target.expr]);
  }
}

const known = new Set(read("docs/reference/metrics.md").match(/elias_[a-z_]+/g));
const recorded = new Set([...recording.matchAll(/record: (\S+)/g)].map(([, name]) => name));
const sources = [...expressions, ["elias-recording.yml", recording], ["elias-alerts.yml", alerts]];
for (const [source, text] of sources) {
  for (const [metric] of text.matchAll(/\belias_[a-z_]+/g)) {
    const family = metric.replace(/_(bucket|sum|count)$/, "");
    if (!known.has(metric) && !known.has(family)) faults.push(`${source}: ${metric} is not in docs/reference/metrics.md`);
  }
  for (const [series] of text.matchAll(/\belias:[a-z_]+:[a-z0-9_]+/g)) {
    if (!recorded.has(series)) faults.push(`${source}: ${series} is not recorded`);
  }
}

if (faults.length > 0) {
  console.error(faults.join("\n"));
  process.exit(1);
}
const rules = expressions.map(([, text], at) => ({ record: `dashboard:${at}`,
  expr: text.replaceAll("$__rate_interval", "5m") }));
// JSON is YAML too.
writeFileSync(process.argv[2], JSON.stringify({ groups: [{ name: "dashboards", rules }] }));
