// The marks and measures of `performance`. https://w3c.github.io/user-timing/ (2, 3),
// https://w3c.github.io/performance-timeline/#the-performanceentry-interface (4)
import native from "elias:native";
import { cloneWithTransfer } from "../messaging/structured-clone.js";
import { dictionary } from "../webidl/conversions.js";
import { DOMException } from "../webidl/dom-exception.js";
import { defineInterface } from "../webidl/interfaces.js";
import { Performance, performance } from "./performance.js";

// The argument for which the constructors of ours do not throw. It is not exported, so no script has it.
const INTERNAL = Symbol("internal");

/** The last id that an entry was given (Performance Timeline 4, "generate an ID for a PerformanceEntry"). */
let lastId = 0;

/** The timeline: all marks and measures that were not cleared, in the order in which they were made. */
let entries = [];

let notify = () => {};

/** Sets the function that is called with every mark and measure that is recorded from now on. */
export const onEntry = (callback) => (notify = callback);

/** The entries of a type that were not cleared. */
export const entriesOfType = (type) => entries.filter((entry) => entry.entryType === type);

function record(entry) {
  entries.push(entry);
  notify(entry);
  return entry;
}

export class PerformanceEntry {
  // Given out late: most entries are never asked for it.
  #id = undefined;
  #name;
  #entryType;
  #startTime;
  #duration;

  constructor(token = undefined, name = "", entryType = "", startTime = 0, duration = 0) {
    if (token !== INTERNAL) throw new TypeError("Illegal constructor");
    this.#name = name;
    this.#entryType = entryType;
    this.#startTime = startTime;
    this.#duration = duration;
  }

  get id() {
    return (this.#id ??= ++lastId);
  }

  get name() {
    return this.#name;
  }

  get entryType() {
    return this.#entryType;
  }

  get startTime() {
    return this.#startTime;
  }

  get duration() {
    return this.#duration;
  }

  /** Which navigation the entry belongs to: there is no document here, and so none. */
  get navigationId() {
    void this.#name;
    return 0;
  }

  toJSON() {
    void this.#name;
    const { id, name, entryType, startTime, duration, navigationId } = this;
    return { id, name, entryType, startTime, duration, navigationId };
  }
}

const toDetail = (detail) => (detail === undefined || detail === null ? null : cloneWithTransfer(detail, []).value);

function toTime(value, what) {
  const time = Number(value);
  if (!Number.isFinite(time)) throw new TypeError(`${what} must be a finite number of milliseconds, not ${value}`);
  if (time < 0) throw new TypeError(`${what} must not be negative`);
  return time;
}

export class PerformanceMark extends PerformanceEntry {
  #detail;

  constructor(name, options = undefined) {
    if (arguments.length === 0) throw new TypeError("a mark needs a name");
    name = `${name}`;
    const { detail, startTime } = dictionary(options, "the options of a mark");
    const start = startTime === undefined ? native.now() : toTime(startTime, "the startTime of a mark");
    super(INTERNAL, name, "mark", start, 0);
    this.#detail = toDetail(detail);
  }

  get detail() {
    return this.#detail;
  }

  toJSON() {
    return { ...super.toJSON(), detail: this.#detail };
  }
}

export class PerformanceMeasure extends PerformanceEntry {
  #detail;

  constructor(token = undefined, name = "", startTime = 0, duration = 0, detail = null) {
    super(token, name, "measure", startTime, duration);
    this.#detail = detail;
  }

  get detail() {
    return this.#detail;
  }

  toJSON() {
    return { ...super.toJSON(), detail: this.#detail };
  }
}

/** "Convert a mark to a timestamp": a mark's name, or a time. */
function timeOf(mark) {
  if (typeof mark === "number") return toTime(mark, "the start or end of a measure");
  const found = entries.findLast((entry) => entry.entryType === "mark" && entry.name === `${mark}`);
  if (found === undefined) throw new DOMException(`the mark "${mark}" does not exist`, "SyntaxError");
  return found.startTime;
}

export const sortByStartTime = (list) => list.sort((a, b) => a.startTime - b.startTime);

function clear(type, name) {
  entries = entries.filter((entry) => entry.entryType !== type || (name !== undefined && entry.name !== `${name}`));
}

const members = {
  mark(name, options = undefined) {
    brand(this);
    if (arguments.length === 0) throw new TypeError("a mark needs a name");
    return record(new PerformanceMark(name, options));
  },
  measure(name, startOrOptions = undefined, endMark = undefined) {
    brand(this);
    if (arguments.length === 0) throw new TypeError("a measure needs a name");
    // Web IDL's union of a text and a dictionary: null is an empty dictionary.
    const isDictionary = typeof startOrOptions === "object" || typeof startOrOptions === "function";
    const { detail, duration, end, start } = isDictionary ? (startOrOptions ?? {}) : {};
    const hasOptions = [detail, duration, end, start].some((option) => option !== undefined);
    if (hasOptions) {
      if (endMark !== undefined) throw new TypeError("a measure takes either options or an end mark");
      if (start === undefined && end === undefined) throw new TypeError("the options of a measure need a start or an end");
      if (start !== undefined && end !== undefined && duration !== undefined) {
        throw new TypeError("the options of a measure take two of start, end and duration");
      }
    }
    const length = duration === undefined ? undefined : toTime(duration, "the duration of a measure");
    let endTime;
    if (endMark !== undefined) endTime = timeOf(endMark);
    else if (end !== undefined) endTime = timeOf(end);
    else if (start !== undefined && length !== undefined) endTime = timeOf(start) + length;
    else endTime = native.now();
    let startTime = 0;
    if (start !== undefined) startTime = timeOf(start);
    else if (end !== undefined && length !== undefined) startTime = endTime - length;
    else if (!isDictionary && startOrOptions !== undefined) startTime = timeOf(startOrOptions);
    return record(new PerformanceMeasure(INTERNAL, `${name}`, startTime, endTime - startTime, toDetail(detail)));
  },
  clearMarks(name = undefined) {
    brand(this);
    clear("mark", name);
  },
  clearMeasures(name = undefined) {
    brand(this);
    clear("measure", name);
  },
  getEntries() {
    brand(this);
    return sortByStartTime([...entries]);
  },
  getEntriesByType(type) {
    brand(this);
    if (arguments.length === 0) throw new TypeError("getEntriesByType needs a type");
    return sortByStartTime(entries.filter((entry) => entry.entryType === `${type}`));
  },
  getEntriesByName(name, type = undefined) {
    brand(this);
    if (arguments.length === 0) throw new TypeError("getEntriesByName needs a name");
    return sortByStartTime(entries.filter((entry) => entry.name === `${name}` && (type === undefined || entry.entryType === `${type}`)));
  },
};

function brand(target) {
  if (target !== performance) throw new TypeError("the object is not a Performance");
}

Object.defineProperties(Performance.prototype, Object.getOwnPropertyDescriptors(members));
for (const cls of [PerformanceEntry, PerformanceMark, PerformanceMeasure]) defineInterface(cls);
