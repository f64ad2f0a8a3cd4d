// Reports how the results of a component differ from Node's.
import { DIFFERENCES } from "./differences.mjs";

const SHOWN_MAX = 40;

/** The differences of two lists of results, without those that there are reasons for. */
export function report(expected, got) {
  const lines = [];
  let wrong = Math.abs(expected.length - got.length);
  let excused = 0;
  expected.forEach(([label, text], at) => {
    const [otherLabel, other] = got[at] ?? [label, "nothing"];
    if (label === otherLabel && text === other) return;
    if (DIFFERENCES.some((difference) => difference.label.test(label))) return void excused++;
    wrong++;
    if (lines.length < SHOWN_MAX) lines.push(`${label}\n  Node: ${text}\n  here: ${other}`);
  });
  lines.push(`${expected.length} cases, ${wrong} wrong, ${excused} different for a reason`);
  return { wrong, text: lines.join("\n") };
}
