// The console. https://console.spec.whatwg.org/
//
// A call gives the host the text for people and, where they are more than texts and numbers, the arguments as JSON for a
// structured log.
import native from "elias:native";
import { defineHidden, replaceMembers } from "../webidl/interfaces.js";
import { formatMessage } from "./format.js";
import { inspect } from "./inspect.js";
import { logArguments } from "./log-arguments.js";

const [DEBUG, INFO, WARN, ERROR] = [1, 2, 3, 4];

let indent = "";
const counts = new Map();
const timers = new Map();

function indentBy(text) {
  indent = text;
  native.logIndented(text !== "");
}

function print(level, args) {
  write(level, formatMessage(args), args);
}

/** Whether the message shows a value in a shortened form, which a structured log has whole. */
const hasParts = (value) => (typeof value === "object" && value !== null) || typeof value === "function";

function haveParts(args) {
  for (let at = 0; at < args.length; at++) if (hasParts(args[at])) return true;
  return false;
}

function write(level, message, args) {
  if (indent !== "") message = indent + message.replaceAll("\n", `\n${indent}`);
  // Texts and numbers stand in the message as they are; said twice they would fill the log's budget twice.
  native.log(level, message, haveParts(args) ? logArguments(args) : "");
}

/** Where the caller of the console method is; the frames of the console itself go. */
function callerStack() {
  const { stack = "" } = new Error();
  return stack
    .split("\n")
    .filter((line) => /^\s+at /.test(line))
    .slice(2)
    .map((line) => `    ${line.trim()}`)
    .join("\n");
}

const toLabel = (label) => (label === undefined ? "default" : `${label}`);

function elapsed(label, args) {
  const start = timers.get(label);
  if (start === undefined) {
    print(WARN, [`There is no timer "${label}"`]);
    return;
  }
  const milliseconds = native.now() - start;
  const text = milliseconds >= 1000 ? `${(milliseconds / 1000).toFixed(3)}s` : `${milliseconds.toFixed(3)}ms`;
  print(INFO, [`${label}: ${text}`, ...args]);
}

/** console.table of what is iterated over: its entries by their number. */
function iterationTable(names, rows) {
  const body = rows.map((row, index) => [`${index}`, ...row.map((it) => inspect(it, { depth: 0 }))]);
  return drawTable([["(iteration index)", ...names], ...body]);
}

/** The rows of console.table: the index and the properties of each item, as texts. */
function tableOf(data, columns) {
  if (data instanceof Map) return iterationTable(["Key", "Values"], [...data]);
  if (data instanceof Set) return iterationTable(["Values"], [...data].map((item) => [item]));
  const names = new Set(columns);
  const rows = [];
  let hasValues = false;
  for (const index of Object.keys(data)) {
    const item = data[index];
    const cells = { index };
    if (typeof item === "object" && item !== null) {
      cells.fields = item;
      if (columns === undefined) for (const name of Object.keys(item)) names.add(name);
    } else {
      cells.value = inspect(item);
      hasValues = true;
    }
    rows.push(cells);
  }
  const head = ["(index)", ...names, ...(hasValues ? ["Values"] : [])];
  const body = rows.map(({ index, fields, value = "" }) => [
    index,
    ...[...names].map((name) => (fields && Object.hasOwn(fields, name) ? inspect(fields[name], { depth: 0 }) : "")),
    ...(hasValues ? [value] : []),
  ]);
  return drawTable([head, ...body]);
}

function drawTable(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)) + 2);
  const rule = (left, middle, right) => left + widths.map((width) => "─".repeat(width)).join(middle) + right;
  const line = (row) => `│${row.map((cell, column) => ` ${cell}`.padEnd(widths[column])).join("│")}│`;
  const [head, ...body] = rows.map(line);
  return [rule("┌", "┬", "┐"), head, rule("├", "┼", "┤"), ...body, rule("└", "┴", "┘")].join("\n");
}

/** The methods use no `this`, so that each can be passed around by itself. */
const log = {
  trace(...args) {
    const title = args.length === 0 ? "Trace" : `Trace: ${formatMessage(args)}`;
    // Not at the level trace, which is off by default: a caller of console.trace wants to see the stack.
    write(INFO, `${title}\n${callerStack()}`, args);
  },
  debug: (...args) => print(DEBUG, args),
  log: (...args) => print(INFO, args),
  info: (...args) => print(INFO, args),
  warn: (...args) => print(WARN, args),
  error: (...args) => print(ERROR, args),
  assert(condition = false, ...args) {
    if (condition) return;
    if (typeof args[0] === "string") print(ERROR, [`Assertion failed: ${args[0]}`, ...args.slice(1)]);
    else print(ERROR, ["Assertion failed", ...args]);
  },
  clear() {},
  count(label = undefined) {
    label = toLabel(label);
    counts.set(label, (counts.get(label) ?? 0) + 1);
    print(INFO, [`${label}: ${counts.get(label)}`]);
  },
  countReset(label = undefined) {
    if (!counts.delete(toLabel(label))) print(WARN, [`There is no count "${toLabel(label)}"`]);
  },
  dir: (item = undefined, options = undefined) => write(INFO, inspect(item, { customInspect: false, ...options }), [item]),
  dirxml: (...args) => print(INFO, args),
  group(...args) {
    if (args.length > 0) print(INFO, args);
    indentBy(`${indent}  `);
  },
  groupCollapsed: (...args) => log.group(...args),
  groupEnd() {
    indentBy(indent.slice(2));
  },
  table(data = undefined, columns = undefined) {
    if (typeof data === "object" && data !== null) write(INFO, tableOf(data, columns), [data]);
    else print(INFO, [data]);
  },
  time(label = undefined) {
    label = toLabel(label);
    if (timers.has(label)) print(WARN, [`The timer "${label}" runs already`]);
    else timers.set(label, native.now());
  },
  timeEnd(label = undefined) {
    elapsed(toLabel(label), []);
    timers.delete(toLabel(label));
  },
  timeLog: (label = undefined, ...args) => elapsed(toLabel(label), args),
};

// Natives that write primitives themselves, and call these functions for anything else.
replaceMembers(log, ["debug", "log", "info", "warn", "error"], native.nativeConsoleMethod);

// A namespace's prototype is an empty object of its own, for historical reasons.
Object.setPrototypeOf(log, {});
defineHidden(log, Symbol.toStringTag, "console", false);
defineHidden(globalThis, "console", log);
