// The messages of node:assert for comparisons that nobody wrote one for: how two values differ, line by line.
// https://nodejs.org/api/assert.html#class-assertassertionerror
import { inspect } from "../../console/inspect.js";

const TITLES = {
  deepStrictEqual: "Expected values to be strictly deep-equal:",
  strictEqual: "Expected values to be strictly equal:",
  strictEqualObject: 'Expected "actual" to be reference-equal to "expected":',
  deepEqual: "Expected values to be loosely deep-equal:",
  notDeepStrictEqual: 'Expected "actual" not to be strictly deep-equal to:',
  notStrictEqual: 'Expected "actual" to be strictly unequal to:',
  notStrictEqualObject: 'Expected "actual" not to be reference-equal to "expected":',
  notDeepEqual: 'Expected "actual" not to be loosely deep-equal to:',
  notIdentical: "Values have same structure but are not reference-equal:",
  notDeepEqualUnequal: "Expected values not to be loosely deep-equal:",
};
/** Two values of so many characters together are shown in one line. */
const SHORT_LENGTH_MAX = 12;
const LINE_LENGTH = 80;
const LINES_MAX = 50;
const SHOWN_LENGTH_MAX = 512;
/** How many of the equal lines at the end are shown. */
const END_LINES = 3;

const isObject = (value) => typeof value === "object" && value !== null;

const OPTIONS = {
  compact: false, customInspect: false, depth: 1000, maxArrayLength: Infinity, sorted: true, getters: true,
};
const shownLines = (value) => inspect(value, OPTIONS).split("\n");

const cutLines = (lines) => (lines.length > LINES_MAX ? [...lines.slice(0, 46), "..."] : lines);
const cutText = (text, most) => (text.length > most ? `${text.slice(0, most - 3)}...` : text);

/** An error without its stack, which would differ anyway. */
function withoutStack(error) {
  const copy = Object.assign({ __proto__: Object.getPrototypeOf(error) }, error);
  return Object.defineProperty(copy, "message", { value: error.message });
}

/** Removes the lines with which both end, and gives them as text. */
function takeEnd(actual, expected) {
  let end = "";
  let first = "";
  let count = 0;
  while (actual.length > 0 && expected.length > 0 && actual.at(-1) === expected.at(-1)) {
    const line = actual.pop();
    expected.pop();
    if (count++ < END_LINES) end = `\n  ${line}${end}`;
    else first = line;
  }
  if (count >= END_LINES + 2) end = `\n...${end}`;
  if (first !== "") end = `\n  ${first}${end}`;
  return { end, skips: count >= END_LINES + 2 };
}

/** The lines that differ, between those that are alike, of which long runs are left out. */
function compareLines(actual, expected) {
  const count = Math.max(actual.length, expected.length);
  const longer = actual.length < count ? expected : actual;
  let text = "";
  let removed = "";
  let alike = 0;
  let printed = 0;
  let skips = false;
  /** Shows the last of the lines that were alike before line `at`. */
  const endAlike = (lines, at) => {
    if (alike > 4 && alike !== 5) {
      text += "\n...";
      skips = true;
    }
    const shown = Math.min(Math.max(alike - 2, 0), alike === 5 ? 3 : 2);
    for (const line of lines.slice(at - shown, at)) text += `\n  ${line}`;
    printed += shown;
    alike = 0;
  };
  for (let at = 0; at < count; at++) {
    let [mine, theirs] = [actual[at], expected[at]];
    if (mine === undefined || theirs === undefined) {
      endAlike(longer, at);
      if (theirs === undefined) text += `\n+ ${mine}`;
      else removed += `\n- ${theirs}`;
      printed++;
    } else {
      // A comma more is no difference.
      if (theirs === `${mine},`) mine = theirs;
      if (mine !== theirs && mine !== `${theirs},`) {
        endAlike(actual, at);
        text += `\n+ ${mine}`;
        removed += `\n- ${theirs}`;
        printed += 2;
      } else {
        text += removed;
        removed = "";
        if (++alike <= 2) {
          text += `\n  ${mine}`;
          printed++;
        }
      }
    }
    if (printed > LINES_MAX && at < count - 2) return { text, removed, skips, isCut: true };
  }
  return { text, removed, skips, isCut: false };
}

/** A mark below the first character in which two values of one line each differ, unless that is seen at once. */
function markOf(actual, expected) {
  if (actual.length + expected.length >= LINE_LENGTH) return "";
  let at = 0;
  while (actual[at] === expected[at]) at++;
  return at > 2 ? `\n  ${" ".repeat(at)}^` : "";
}

function difference(actual, expected, operator) {
  const [mine, theirs] = [shownLines(actual), shownLines(expected)];
  const areFunctions = typeof actual === "function" && typeof expected === "function";
  const areObjects = areFunctions || (isObject(actual) && isObject(expected));
  const title = TITLES[operator === "strictEqual" && areObjects ? "strictEqualObject" : operator];
  let mark = "";
  if (mine.length === 1 && theirs.length === 1 && mine[0] !== theirs[0]) {
    if (mine[0].length + theirs[0].length <= SHORT_LENGTH_MAX) {
      const areZeros = actual === 0 && expected === 0;
      if (!isObject(actual) && !isObject(expected) && !areZeros) return `${title}\n\n${mine[0]} !== ${theirs[0]}\n`;
    } else if (title !== TITLES.strictEqualObject) {
      mark = markOf(mine[0], theirs[0]);
    }
  }
  const whole = [...mine];
  const { end, skips } = takeEnd(mine, theirs);
  if (mine.length === 0 && theirs.length === 0) return `${TITLES.notIdentical}\n\n${cutLines(whole).join("\n")}\n`;
  const compared = compareLines(mine, theirs);
  const head = `${title}\n+ actual - expected`;
  if (compared.isCut) return `${head} ... Lines skipped\n${compared.text}\n...${compared.removed}\n...`;
  const skipped = skips || compared.skips ? " ... Lines skipped" : "";
  return `${head}${skipped}\n${compared.text}${compared.removed}${end}${mark}`;
}

/** The message for a comparison by this operator. */
export function comparisonText(actual, expected, operator) {
  if (actual instanceof Error && expected instanceof Error) {
    [actual, expected] = [withoutStack(actual), withoutStack(expected)];
  }
  if (operator === "deepStrictEqual" || operator === "strictEqual") return difference(actual, expected, operator);
  const lines = shownLines(actual);
  if (operator === "notDeepStrictEqual" || operator === "notStrictEqual") {
    const areSame = operator === "notStrictEqual" && (isObject(actual) || typeof actual === "function");
    const title = TITLES[areSame ? "notStrictEqualObject" : operator];
    if (lines.length > 1) return `${title}\n\n${cutLines(lines).join("\n")}\n`;
    return `${title}${lines[0].length > 5 ? "\n\n" : " "}${lines[0]}`;
  }
  const [mine, theirs] = [lines.join("\n"), shownLines(expected).join("\n")];
  if (operator === "notDeepEqual" && mine === theirs) {
    return cutText(`${TITLES.notDeepEqual}\n\n${mine}`, 2 * SHOWN_LENGTH_MAX);
  }
  const [left, right] = [cutText(mine, SHOWN_LENGTH_MAX), cutText(theirs, SHOWN_LENGTH_MAX)];
  if (operator === "deepEqual") return `${TITLES.deepEqual}\n\n${left}\n\nshould loosely deep-equal\n\n${right}`;
  if (operator === "notDeepEqual") {
    return `${TITLES.notDeepEqualUnequal}\n\n${left}\n\nshould not loosely deep-equal\n\n${right}`;
  }
  return `${left} ${operator} ${right}`;
}
