// Turns of a service worker. The instance has one worker, and everything here outlives a turn: it is a part of the heap
// that the host keeps. `wit/triggers/triggers.wit` has the messages.
import native from "elias:native";
import { registry } from "../internal/registry.js";
import { decode, encode, errorNamed } from "../messaging/clone-encoding.js";
import { checkName, classNamed, findClasses, methodOf } from "./classes.js";

/** The most messages, and the most events, of a turn; and the most characters of their values. */
const MESSAGES_MAX = 1_000;
const VALUES_MAX = 8 << 20;

/** Alarms that may be set at a time. */
const ALARMS_MAX = 1_000;

/** The longest time to an alarm, in milliseconds: 100,000 days. */
const DELAY_MAX = 8_640_000_000_000;

/** Calls of other workers that may be unanswered at a time. */
const CALLS_MAX = 10_000;

/** The worker of this instance, undefined before it starts: `className`, `name`, `startedAt`, `object`, `context`. */
let current;

/** The handler that is under way: the `id` and `kind` of its turn, its `promise`, and the `value` that this gave. */
let handler;

/**
 * What the turn that runs tells the host, and the names of alarms that the host does not know of yet; undefined between
 * turns, and where there is no worker.
 */
let output;

/**
 * Calls of other workers that have no answer yet, by number: the functions that settle their promises, and the id of
 * the handler that made them.
 */
const calls = new Map();
let lastCall = 0;

/** When each alarm is due, by name. */
const alarms = new Map();

/** Whether a turn of a worker runs. */
export const isTurn = () => output !== undefined;

/** The name of the worker; undefined where there is none. */
export const currentName = () => current?.name;

function requireTurn(what) {
  if (output !== undefined) return;
  throw new Error(
    `${what} is for service workers, in a turn of theirs: in this version neither the top level nor the handlers of ` +
      "the default export (fetch, call, job and others) can use it",
  );
}

function countValue(list, text) {
  output.size += text.length;
  if (list.length >= MESSAGES_MAX) {
    throw new RangeError(`a turn sends at most ${MESSAGES_MAX} messages, and as many events`);
  }
  if (output.size > VALUES_MAX) throw new RangeError(`a turn sends at most ${VALUES_MAX} characters`);
  return text;
}

/** Calls a method of another worker, or sends a message where that is null. A promise of the answer. */
export async function callWorker(className, name, method, value) {
  const what = method === null ? "the message" : `the arguments of ${method}`;
  if (calls.size >= CALLS_MAX) {
    throw new RangeError(`${CALLS_MAX} calls of other workers have no answer yet, which is the most`);
  }
  const text = countValue(output.sends, encode(value, what));
  const call = (lastCall += 1);
  output.sends.push({ call, class: className, name, method, value: text });
  return new Promise((resolve, reject) => calls.set(call, { resolve, reject, caller: handler?.id }));
}

/** Milliseconds since 1970, by the turn's own time. */
const now = () => current.startedAt + native.now();

/** Has `onAlarm` called in so many milliseconds, however long the host was down meanwhile. */
export function setAlarm(milliseconds, name) {
  requireTurn("worker.after");
  checkName(name, "the name of an alarm");
  if (typeof milliseconds !== "number" || !(milliseconds >= 0 && milliseconds <= DELAY_MAX)) {
    throw new RangeError(`worker.after takes a number of milliseconds, not ${String(milliseconds)}`);
  }
  if (!alarms.has(name) && alarms.size >= ALARMS_MAX) {
    throw new RangeError(`${ALARMS_MAX} alarms are set, which is the most`);
  }
  if (!alarms.has(name) && !output.alarms.has(name)) output.newAlarms.add(name);
  const at = Math.ceil(now() + milliseconds);
  alarms.set(name, at);
  output.alarms.set(name, at);
}

/** Forgets an alarm; whether it was set. */
export function clearAlarm(name) {
  requireTurn("worker.cancel");
  if (!alarms.delete(name)) return false;
  // The host need not hear of one that came and went in this turn: else a turn could clear any number of them.
  if (output.newAlarms.delete(name)) output.alarms.delete(name);
  else output.alarms.set(name, null);
  return true;
}

/** Tells whoever listens to the worker of an event. */
export function emitEvent(event, value) {
  requireTurn("worker.emit");
  checkName(event, "the name of an event");
  output.emitted.push({ event, value: countValue(output.emitted, encode(value, `the value of the event ${event}`)) });
}

/** What the handler of a turn gives. */
const HANDLERS = {
  __proto__: null,
  start() {
    current.object = new (classNamed(current.className))();
    return current.object.onStart(current.context);
  },
  call({ method, args }) {
    const list = decode(args);
    if (!Array.isArray(list)) throw new TypeError("the arguments of a call must be a list");
    return Reflect.apply(methodOf(current.object, current.className, method), current.object, list);
  },
  message: ({ message }) => handlerOf("onMessage")(decode(message), current.context),
  alarm({ alarm: { name, at } }) {
    // One that was set anew meanwhile is still to come.
    if (alarms.get(name) === at) alarms.delete(name);
    return handlerOf("onAlarm")({ name, at });
  },
  stop: ({ reason }) => current.object.onStop(reason),
};

function handlerOf(name) {
  const { object, className } = current;
  if (typeof object[name] !== "function") throw new TypeError(`the worker class ${className} has no ${name}`);
  return (...args) => object[name](...args);
}

async function runHandler(turn) {
  const value = await HANDLERS[turn.kind](turn);
  handler.value = value;
}

function settleCall({ call, value, error }) {
  const waiting = calls.get(call);
  if (waiting === undefined) return; // answered already
  calls.delete(call);
  if (error === undefined || error === null) {
    try {
      waiting.resolve(decode(value));
    } catch (thrown) {
      waiting.reject(thrown);
    }
  } else {
    waiting.reject(errorNamed(`${error.name}`, `${error.message}`));
  }
}

/** Begins a turn. The promise of the handler that is under way in it, if there is one. */
function begin() {
  const turn = JSON.parse(native.callInput());
  const { kind, id, class: className, name } = turn;
  if (kind === "start") {
    if (current !== undefined) throw new Error(`the worker ${current.className} ${current.name} was started already`);
    checkName(name, "the name of a worker");
    current = { className, name, startedAt: turn.now, object: undefined, context: {} };
  } else if (current === undefined) {
    throw new Error(`the worker ${className} ${name} was not started`);
  } else if (className !== current.className || name !== current.name) {
    throw new Error(`this is the worker ${current.className} ${current.name}, not ${className} ${name}`);
  }
  // A rejection that nothing handles fails the turn, but for the answer to a call of a handler that is done.
  const isStrict = kind !== "reply" || (handler !== undefined && calls.get(turn.call)?.caller === handler.id);
  native.beginTurn(turn.now, Math.max(0, turn.now - current.startedAt), isStrict);
  output = { id, sends: [], alarms: new Map(), newAlarms: new Set(), emitted: [], size: 0 };
  if (kind === "reply") {
    settleCall(turn);
  } else if (kind === "timer") {
    native.fireTimer(turn.timer);
  } else if (HANDLERS[kind] === undefined) {
    throw new TypeError(`a turn of an unknown kind: ${kind}`);
  } else if (handler !== undefined) {
    throw new Error(`the worker ${className} ${name} waits in the turn ${handler.id}, and takes no ${kind}`);
  } else {
    handler = { id, kind, promise: undefined, value: undefined };
    handler.promise = runHandler(turn);
  }
  return handler?.promise;
}

/**
 * Ends a turn, after which nothing of the host is under way; `isSettled` says whether the handler is done, `timers` how
 * many timers are set, and `changes` is a JSON object of those that the turn set and cleared. The turn's result as
 * JSON, or undefined if the handler awaits what nothing can settle.
 */
function finish(isSettled, timers, changes) {
  if (!isSettled && calls.size === 0 && timers === 0) return undefined;
  let answer = null;
  const id = handler?.id ?? output.id;
  if (isSettled && handler !== undefined) {
    const { kind, value } = handler;
    if (kind === "call" || kind === "message") answer = encode(value, "the answer");
    handler = undefined;
  }
  const { sends, emitted } = output;
  const alarm = [...output.alarms].map(([name, at]) => ({ name, at }));
  output = undefined;
  registry.forgetEnv?.();
  const state = isSettled ? "done" : "waiting";
  return JSON.stringify({ state, id, answer, sends, timers: { ...JSON.parse(changes), alarm }, emitted });
}

native.workerTurns(findClasses, begin, finish);
