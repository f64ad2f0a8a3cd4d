// What came of it: on the terminal, and as docs/conformance.md.
import { writeFileSync } from "node:fs";
import { OTHERS, REASONS } from "./areas.mjs";

const passed = (tests) => tests.filter(({ status }) => status === 0).length;
const percent = (part, whole) => (whole === 0 ? 100 : (100 * part) / whole);

function count(area) {
  const tests = area.files.flatMap((file) => file.tests);
  return { passed: passed(tests), total: tests.length };
}

export function printArea(area, verbose) {
  const { passed: good, total } = count(area);
  console.log(`${area.name}: ${good} / ${total} (${percent(good, total).toFixed(1)} %), ${area.files.length} files, ${area.leftOut.length} left out`);
  for (const { name, tests } of area.files) {
    const failed = tests.filter(({ status }) => status !== 0);
    if (failed.length === 0) continue;
    console.log(`  ${name}: ${failed.length} of ${tests.length} failed`);
    for (const { name, message } of verbose ? failed : failed.slice(0, 1)) console.log(`    ${name}: ${`${message}`.split("\n").slice(0, verbose ? 4 : 1).join("\n      ")}`);
  }
}

/** The failures, by file, and by the reason where one is known. */
function remains(areas) {
  const lines = [];
  for (const { files } of areas) {
    for (const { name, tests } of files) {
      const failed = tests.length - passed(tests);
      if (failed === 0) continue;
      const why = REASONS.find(({ file }) => name.startsWith(file))?.why ?? "";
      lines.push(`| ${name} | ${failed} of ${tests.length} | ${why} |`);
    }
  }
  return lines;
}

export function writeReport(file, { areas, test262 }) {
  const rows = areas.map((area) => {
    const { passed: good, total } = count(area);
    return { good, total, share: percent(good, total), line: `| ${area.name} | ${good} | ${total} | ${percent(good, total).toFixed(1)} % |` };
  });
  const mean = rows.reduce((sum, { share }) => sum + share, 0) / Math.max(rows.length, 1);
  const others = Object.entries(OTHERS).map(([name, share]) => `${name} ${share} %`).join(", ");
  const leftOut = {};
  for (const { reason } of areas.flatMap((area) => area.leftOut)) leftOut[reason] = (leftOut[reason] ?? 0) + 1;
  const text = `# Conformance

Written by \`make conformance WPT_DIR=... TEST262_DIR=...\`. Each test file is a component of its own, built and served by the
shipped binaries; a file that does not come to its end counts as one failure more.

## web-platform-tests

The mean over the areas is **${mean.toFixed(1)} %**. Others reach, on these areas: ${others}.

| area | passed | subtests | |
|---|---|---|---|
${rows.map(({ line }) => line).join("\n")}

Not run: ${Object.entries(leftOut).map(([reason, files]) => `${files} files of which each ${reason}`).join(", ") || "nothing"}.

### What fails

| file | subtests | why |
|---|---|---|
${remains(areas).join("\n")}
${test262 === undefined ? "" : test262.text}`;
  writeFileSync(file, text);
  console.log(`mean over the areas: ${mean.toFixed(1)} %`);
}
