// Holds the answers of a component against Node's: node compare.mjs URL. The component is component.mjs, served at the URL.
import { answers } from "./cases.mjs";
import { report } from "./report.mjs";

process.env.TZ = "UTC";
const expected = [...answers()];
const url = process.argv[2];
/** Cases in one request: what fits into its fuel. */
const BATCH = 250;

const got = [];
for (let from = 0; from < expected.length; from += BATCH) {
  const response = await fetch(`${url}/?from=${from}&to=${from + BATCH}`);
  if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
  got.push(...(await response.json()));
}
const { wrong, text } = report(expected, got);
console.log(text);
process.exitCode = wrong === 0 ? 0 : 1;
