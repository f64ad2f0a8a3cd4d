// The snapshot matchers: they compare a value with the one of an earlier run. The runner reads and writes the files,
// in vitest's format.
import { format, plugins } from "../vendor/testing/expect.js";

const { AsymmetricMatcher, DOMCollection, DOMElement, Immutable, ReactElement, ReactTestComponent } = plugins;
const PLUGINS = [AsymmetricMatcher, DOMCollection, DOMElement, Immutable, ReactElement, ReactTestComponent].filter(Boolean);

/** The snapshots of the test's file by key, and whether to replace those that differ, or to refuse new ones. */
let state = { known: {}, update: false, locked: false };
/** The snapshots that this test compared: key and text. */
let taken = [];
let counts = new Map();
let testName = "";

export function beginSnapshots(name, known, update, locked) {
  state = { known, update, locked };
  taken = [];
  counts = new Map();
  testName = name;
}

export const takenSnapshots = () => taken;

const textOf = (value) =>
  format(value, { escapeString: false, plugins: PLUGINS, printBasicPrototype: false, printFunctionName: false });

function mismatch(message, actual, expected) {
  return Object.assign(new Error(message), { actual, expected, showDiff: true });
}

/** Checks `value` against its snapshot, the next of this test or of `hint`. */
function check(value, hint) {
  const base = hint === undefined ? testName : `${testName} > ${hint}`;
  const count = (counts.get(base) ?? 0) + 1;
  counts.set(base, count);
  const key = `${base} ${count}`;
  const text = textOf(value);
  const known = Object.hasOwn(state.known, key) ? state.known[key] : undefined;
  if (known === undefined && state.locked) {
    throw new Error(`the snapshot ${key} does not exist; write it with: elias test --update`);
  }
  if (known !== undefined && known !== text && !state.update) {
    throw mismatch(`it is not what the snapshot ${key} says; if it is right, say so with elias test --update`, text, known);
  }
  taken.push({ key, text });
}

/** A snapshot in the source is indented as the source is. */
function outdent(text) {
  const lines = text.split("\n");
  if (lines.length < 3 || lines[0].trim() !== "" || lines.at(-1).trim() !== "") return text;
  const inner = lines.slice(1, -1);
  const indents = inner.filter((line) => line.trim() !== "").map((line) => /^ */.exec(line)[0].length);
  const indent = Math.min(...indents);
  return inner.map((line) => line.slice(indent)).join("\n");
}

function thrownBy(subject) {
  if (typeof subject !== "function") return subject;
  try {
    subject();
  } catch (error) {
    return error;
  }
  throw new Error("the function was to throw, and did not");
}

/** A plugin of chai. */
export function snapshotMatchers({ Assertion }, { flag }) {
  const define = (name, run) => {
    Assertion.prototype[name] = function (...args) {
      if (flag(this, "negate")) throw new Error(`${name} has no opposite`);
      return run(flag(this, "object"), ...args);
    };
  };
  const properties = (value, expected) => {
    if (typeof expected !== "object" || expected === null) return value;
    new Assertion(value).toMatchObject(expected);
    return { ...value, ...expected };
  };
  define("toMatchSnapshot", (value, first, second) =>
    typeof first === "object" ? check(properties(value, first), second) : check(value, first));
  define("toThrowErrorMatchingSnapshot", (value, hint) => check(thrownBy(value), hint));
  const inline = (value, given) => {
    const text = textOf(value);
    if (given === undefined) throw new Error(`snapshots in the source are not written for you; this one would be:\n\`${text}\``);
    const known = outdent(given);
    if (known !== text) throw mismatch("it is not what the snapshot says", text, known);
  };
  define("toMatchInlineSnapshot", (value, first, second) =>
    typeof first === "object" ? inline(properties(value, first), second) : inline(value, first));
  define("toThrowErrorMatchingInlineSnapshot", (value, given) => inline(thrownBy(value), given));
}
