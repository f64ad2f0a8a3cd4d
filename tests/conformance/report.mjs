// The report of a run: on the terminal, and as docs/reference/conformance.md.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { AREAS_LEFT_OUT, REASONS } from "./areas.mjs";

const passed = (tests) => tests.filter(({ status }) => status === 0).length;
const percent = (part, whole) => (whole === 0 ? 100 : (100 * part) / whole);
const mean = (shares) => shares.reduce((sum, share) => sum + share, 0) / Math.max(shares.length, 1);

/**
 * `{ passed, total }` of a runtime. The total of a file is the largest number of subtests that any runtime came to, so
 * that one in which a file breaks off early does not gain by it.
 */
function count(area, runtime) {
  const sum = { passed: 0, total: 0 };
  for (const { results } of area.files) {
    sum.passed += passed(results[runtime.name]);
    sum.total += Math.max(...Object.values(results).map((tests) => tests.length));
  }
  return sum;
}

const share = (area, runtime) => {
  const { passed, total } = count(area, runtime);
  return percent(passed, total);
};

export function printArea(area, runtimes, verbose) {
  const shares = runtimes.map((runtime) => `${runtime.name} ${share(area, runtime).toFixed(1)} %`).join(", ");
  console.log(`${area.name}: ${shares}; ${area.files.length} files, ${area.leftOut.length} left out`);
  const [ours] = runtimes;
  if (!verbose || ours === undefined) return;
  for (const { name, results } of area.files) {
    const failed = results[ours.name].filter(({ status }) => status !== 0);
    if (failed.length > 0) console.log(`  ${name}: ${failed.length} of ${results[ours.name].length} failed`);
    for (const { name, message } of failed)
      console.log(`    ${name}: ${`${message}`.split("\n").slice(0, 4).join("\n      ")}`);
  }
}

/** Our failures, by the reason where one is known: `| reason | subtests | files |`. */
function remains(areas) {
  const groups = new Map();
  for (const { files } of areas.filter(({ offered }) => offered)) {
    for (const { name: file, results } of files) {
      for (const { name, status, message } of results.ELIAS ?? []) {
        if (status === 0) continue;
        const matches = (reason) =>
          (reason.file === undefined || file.startsWith(reason.file)) &&
          (reason.says === undefined || reason.says.test(`${name}\n${message}`));
        const why = REASONS.find(matches)?.why ?? "not looked into, or a fault";
        const group = groups.get(why) ?? { subtests: 0, files: new Map() };
        group.subtests += 1;
        group.files.set(file, (group.files.get(file) ?? 0) + 1);
        groups.set(why, group);
      }
    }
  }
  return [...groups].sort(([, a], [, b]) => b.subtests - a.subtests);
}

const wrap = (text, indent = "") => {
  const lines = [""];
  for (const word of text.split(" ")) {
    const line = lines.at(-1);
    if (line !== "" && `${line} ${word}`.length > 118 - indent.length) lines.push(word);
    else lines[lines.length - 1] = line === "" ? word : `${line} ${word}`;
  }
  return lines.join(`\n${indent}`);
};

function table(areas, runtimes) {
  const rows = areas.map((area) => {
    const total = runtimes.length === 0 ? 0 : count(area, runtimes[0]).total;
    return `| ${[area.name, total, ...runtimes.map((runtime) => share(area, runtime).toFixed(1))].join(" | ")} |`;
  });
  const meanOf = (runtime) => `**${mean(areas.map((area) => share(area, runtime))).toFixed(1)}**`;
  const means = `| **mean** | | ${runtimes.map(meanOf).join(" | ")} |`;
  const head = ["area", "subtests", ...runtimes.map(({ name, version }) => `${name} ${version}`)];
  return [`| ${head.join(" | ")} |`, `|${"---|".repeat(head.length)}`, ...rows, means].join("\n");
}

function leftOut(areas) {
  const byReason = new Map();
  for (const { name, leftOut } of areas) {
    for (const { reason } of leftOut) {
      const group = byReason.get(reason) ?? { files: 0, areas: new Map() };
      group.files += 1;
      group.areas.set(name, (group.areas.get(name) ?? 0) + 1);
      byReason.set(reason, group);
    }
  }
  const lines = [...byReason].map(([reason, { files, areas }]) => {
    const where = [...areas].map(([name, files]) => `${name} ${files}`).join(", ");
    return `- ${wrap(`${files} files of which each ${reason}: ${where}.`, "  ")}`;
  });
  return [...lines, ...AREAS_LEFT_OUT.map(({ name, why }) => `- ${wrap(`${name}: ${why}.`, "  ")}`)].join("\n");
}

function failures(areas) {
  return remains(areas)
    .map(([why, { subtests, files }]) => {
      const names = [...files].sort(([, a], [, b]) => b - a);
      const shown = names.slice(0, 12).map(([name, subtests]) => `  - \`${name}\` ${subtests}`);
      const rest = names.length > 12 ? [`  - and ${names.length - 12} files more`] : [];
      return [`- ${wrap(`**${subtests}**: ${why}.`, "  ")}`, ...shown, ...rest].join("\n");
    })
    .join("\n");
}

/** What the report says already from a heading to its end: a run without test262 leaves that as it was. */
function keptSection(file, heading) {
  const text = existsSync(file) ? readFileSync(file, "utf8") : "";
  const at = text.indexOf(`${heading}\n`);
  return at === -1 ? "" : text.slice(at);
}

export function writeReport(file, { areas, runtimes, test262 }) {
  const offered = areas.filter(({ offered }) => offered);
  const others = areas.filter(({ offered }) => !offered);
  const of = (list) =>
    runtimes
      .map((runtime) => `${runtime.name} ${mean(list.map((area) => share(area, runtime))).toFixed(1)} %`)
      .join(", ");
  const text = `# Conformance

Written by \`make conformance WPT_DIR=... TEST262_DIR=...\`, which runs the same files in every runtime of the table,
one process each. A test's file, the suite's harness and the scripts that the test names become one module, the same
text for all. ELIAS builds it with \`elias-build\` and serves it with \`elias serve\`, \`workerd serve\` serves it too,
and both are asked over HTTP; Node, Deno and Bun run it. The files that tests fetch come from the suite's own server.
A test has the time that the suite gives it. Where the suite wants a SharedArrayBuffer and takes it from
WebAssembly's Memory, as pages have to, a runtime without WebAssembly makes it with the constructor.

The figures are shares of subtests passed, in percent. A file has as many subtests as the runtime that came furthest
in it: one that does not build, breaks off or does not end fails what it did not reach, and one subtest more.

## web-platform-tests

Mean over the ${offered.length} areas whose APIs ELIAS offers: ${of(offered)}.

${wrap(`Mean over all ${areas.length} areas: ${of(areas)}.`)}

${table(offered, runtimes)}

${
  others.length === 0
    ? ""
    : `### Areas that ELIAS does not offer, or in part

${table(others, runtimes)}

${others.map(({ name, why }) => `- ${name}: ${why}.`).join("\n")}
`
}
### Not run

In no runtime:

${leftOut(areas)}

### What fails in ELIAS

By reason, with the number of subtests; of the areas that ELIAS offers.

${failures(areas)}

${test262?.text ?? keptSection(file, "## test262")}`;
  writeFileSync(file, text);
  console.log(`mean over the areas that ELIAS offers: ${of(offered)}`);
  if (others.length > 0) console.log(`mean over all areas: ${of(areas)}`);
}
