// PerformanceObserver. https://w3c.github.io/performance-timeline/#the-performanceobserver-interface (6)
import native from "elias:native";
import { apply } from "../internal/primordials.js";
import { dictionary } from "../webidl/conversions.js";
import { DOMException } from "../webidl/dom-exception.js";
import { defineInterface } from "../webidl/interfaces.js";
import { entriesOfType, onEntry, sortByStartTime } from "./user-timing.js";

// The argument for which the constructors of ours do not throw. It is not exported, so no script has it.
const INTERNAL = Symbol("internal");

const SUPPORTED = Object.freeze(["mark", "measure"]);

/** The observers that observe something, in the order in which they began to. */
const registered = new Set();

let queued = false;
let deliver;

export class PerformanceObserverEntryList {
  #entries;

  constructor(token = undefined, entries = []) {
    if (token !== INTERNAL) throw new TypeError("Illegal constructor");
    this.#entries = sortByStartTime(entries);
  }

  getEntries() {
    return [...this.#entries];
  }

  getEntriesByType(type) {
    if (arguments.length === 0) throw new TypeError("getEntriesByType needs a type");
    return this.#entries.filter((entry) => entry.entryType === `${type}`);
  }

  getEntriesByName(name, type = undefined) {
    if (arguments.length === 0) throw new TypeError("getEntriesByName needs a name");
    return this.#entries.filter((entry) => entry.name === `${name}` && (type === undefined || entry.entryType === `${type}`));
  }
}

export class PerformanceObserver {
  #callback;
  // The member by which it was told what to observe: one call with entryTypes, or several with type.
  #by = undefined;
  #types = new Set();
  #buffer = [];
  // Whether the callback has yet to be told how many entries were dropped. None ever is.
  #tellsDropped = false;

  static {
    onEntry((entry) => {
      for (const observer of registered) {
        if (!observer.#types.has(entry.entryType)) continue;
        observer.#buffer.push(entry);
        queueDelivery();
      }
    });
    deliver = () => {
      queued = false;
      for (const observer of [...registered]) observer.#deliver();
    };
  }

  constructor(callback) {
    if (typeof callback !== "function") throw new TypeError("a PerformanceObserver needs a function that it calls");
    this.#callback = callback;
  }

  static get supportedEntryTypes() {
    return SUPPORTED;
  }

  observe(options = undefined) {
    const { buffered, entryTypes, type } = dictionary(options, "the options of observe");
    if (entryTypes === undefined && type === undefined) throw new TypeError("observe needs entryTypes or type");
    // The standard refuses `buffered` here too, which browsers ignore, and so do we: libraries set it on either form.
    if (entryTypes !== undefined && type !== undefined) throw new TypeError("observe takes either entryTypes or type");
    const by = entryTypes === undefined ? "type" : "entryTypes";
    // A sequence: a text is iterable and is none.
    if (by === "entryTypes" && typeof entryTypes !== "object") throw new TypeError("entryTypes must be an array");
    const types = (by === "type" ? [type] : [...entryTypes]).map((each) => `${each}`);
    if ((this.#by ??= by) !== by) {
      throw new DOMException(`an observer that was given ${this.#by} cannot be given ${by}`, "InvalidModificationError");
    }
    this.#tellsDropped = true;
    const known = types.filter((each) => SUPPORTED.includes(each));
    if (known.length === 0) return;
    if (by === "entryTypes") this.#types.clear();
    for (const each of known) this.#types.add(each);
    registered.add(this);
    if (by === "type" && buffered) {
      this.#buffer.push(...entriesOfType(known[0]));
      queueDelivery();
    }
  }

  disconnect() {
    registered.delete(this);
    this.#types.clear();
    this.#buffer = [];
  }

  takeRecords() {
    return this.#buffer.splice(0);
  }

  #deliver() {
    const entries = this.#buffer.splice(0);
    if (entries.length === 0) return;
    const options = this.#tellsDropped ? { droppedEntriesCount: 0 } : {};
    this.#tellsDropped = false;
    try {
      apply(this.#callback, this, [new PerformanceObserverEntryList(INTERNAL, entries), this, options]);
    } catch (error) {
      native.reportException(error);
    }
  }
}

/** Calls the observers that have something, in a later turn of the event loop, which keeps no instance alive. */
function queueDelivery() {
  if (queued) return;
  queued = true;
  native.queueTask(deliver);
}

defineInterface(PerformanceObserver);
defineInterface(PerformanceObserverEntryList);
