// Timers and microtasks. https://html.spec.whatwg.org/#timers (8.7), #microtask-queuing (8.8)
import native from "elias:native";
import { defineGlobals } from "../webidl/interfaces.js";

const indirectEval = globalThis.eval;

/**
 * The function that the text of a handler stands for. Where eval is switched off, the error is thrown here and not when the timer
 * is due.
 */
function compile(name, handler) {
  try {
    // The standard would run null as the text "null", which no caller wants.
    if (handler === undefined || handler === null) throw undefined;
    indirectEval("");
  } catch (error) {
    if (typeof handler === "string") throw error;
    throw new TypeError(`${name} needs a function, not a value of type ${typeof handler}`);
  }
  const source = `${handler}`;
  return () => indirectEval(source);
}

function set(name, callback, delay, args, repeat) {
  if (typeof callback !== "function") callback = compile(name, callback);
  const run = args.length === 0 ? callback : () => callback(...args);
  // Web IDL's "long": what is not a number, or too large for 32 bits, wraps; below zero is zero.
  return native.setTimer(run, Math.max(0, delay | 0), repeat);
}

export function setTimeout(callback, delay = 0, ...args) {
  return set("setTimeout", callback, delay, args, false);
}

export function setInterval(callback, delay = 0, ...args) {
  return set("setInterval", callback, delay, args, true);
}

export function clearTimeout(id = 0) {
  unreferenced.delete(id | 0);
  native.clearTimer(id | 0);
}

// The two share one list of ids, and the standard lets either clear what the other one set.
export function clearInterval(id = 0) {
  clearTimeout(id);
}

defineGlobals({ setTimeout, setInterval, clearTimeout, clearInterval });

// A timer is a number, as in browsers, and packages written for Node.js call `unref` on it. With these members of
// Number.prototype, which are not enumerable, both work. Nothing waits for a timer here, so they change only what
// `hasRef` says. Timers that are objects, as in Node.js, would break programs that look at `typeof` or send the id on;
// to tell packages from the author's own files would give one program two kinds of timers.
const unreferenced = new Set();
/** The oldest are forgotten beyond so many, which is as many timers as a worker can have. */
const UNREFERENCED_MAX = 10_000;

const members = {
  ref() {
    unreferenced.delete(+this);
    return this;
  },
  unref() {
    unreferenced.add(+this);
    if (unreferenced.size > UNREFERENCED_MAX) unreferenced.delete(unreferenced.values().next().value);
    return this;
  },
  hasRef() {
    return !unreferenced.has(+this);
  },
};
for (const [name, member] of Object.entries(members)) {
  Object.defineProperty(Number.prototype, name, { value: member, writable: true, configurable: true });
}
