// node:events. https://nodejs.org/api/events.html
//
// The emitter itself is that of the package `events`; here is what Node.js has added since.
import { inspect } from "../console/inspect.js";
import { callbacksOf } from "../events/event-target.js";
import EventEmitter from "../vendor/node/events.js";
import { AsyncResource } from "./async_hooks.js";
import { abortError, checkFunction, checkNumber, invalidArgType, nodeError } from "./internal/errors.js";

export const errorMonitor = Symbol.for("events.errorMonitor");
export const captureRejectionSymbol = Symbol.for("nodejs.rejection");
export const captureRejections = false;
export const { defaultMaxListeners } = EventEmitter;

const isTarget = (value) => typeof value?.addEventListener === "function";
const isEmitter = (value) => typeof value?.on === "function";

function listen(emitter, type, listener, options) {
  if (isEmitter(emitter)) emitter[options?.once ? "once" : "on"](type, listener);
  else if (isTarget(emitter)) emitter.addEventListener(type, listener, options);
  else throw invalidArgType("emitter", "EventEmitter", emitter);
}

function forget(emitter, type, listener) {
  if (isEmitter(emitter)) emitter.removeListener(type, listener);
  else emitter.removeEventListener(type, listener);
}

/** Calls `stop` if the signal aborts before the function that is returned is called. */
function onAbort(signal, stop) {
  if (signal === undefined) return () => {};
  if (!isTarget(signal)) throw invalidArgType("options.signal", "AbortSignal", signal);
  if (signal.aborted) throw abortError(signal);
  const listener = () => stop(abortError(signal));
  signal.addEventListener("abort", listener, { once: true });
  return () => signal.removeEventListener("abort", listener);
}

/** A promise of the arguments of the next event. */
export async function once(emitter, type, { signal = undefined } = {}) {
  let release;
  return new Promise((resolve, reject) => {
    const end = () => {
      release();
      forget(emitter, type, done);
      if (type !== "error" && isEmitter(emitter)) forget(emitter, "error", fail);
    };
    const done = (...args) => {
      end();
      resolve(args);
    };
    const fail = (error) => {
      end();
      reject(error);
    };
    release = onAbort(signal, fail);
    listen(emitter, type, done, { once: true });
    if (type !== "error" && isEmitter(emitter)) listen(emitter, "error", fail, { once: true });
  });
}

/** The events as they come, until the caller leaves its loop. */
export function on(emitter, type, { signal = undefined, close = [] } = {}) {
  const events = [];
  const waiting = [];
  let failure;
  let finished = false;
  const push = (...args) =>
    waiting.length > 0 ? waiting.shift().resolve({ value: args, done: false }) : events.push(args);
  const fail = (error) => {
    if (waiting.length > 0) waiting.shift().reject(error);
    else failure = error;
    finish();
  };
  const finish = () => {
    if (finished) return Promise.resolve({ value: undefined, done: true });
    finished = true;
    release();
    forget(emitter, type, push);
    if (type !== "error" && isEmitter(emitter)) forget(emitter, "error", fail);
    for (const name of close) forget(emitter, name, finish);
    for (const { resolve } of waiting.splice(0)) resolve({ value: undefined, done: true });
    return Promise.resolve({ value: undefined, done: true });
  };
  const release = onAbort(signal, fail);
  listen(emitter, type, push);
  if (type !== "error" && isEmitter(emitter)) listen(emitter, "error", fail);
  for (const name of close) listen(emitter, name, finish);
  return {
    next() {
      if (events.length > 0) return Promise.resolve({ value: events.shift(), done: false });
      if (failure !== undefined) {
        const error = failure;
        failure = undefined;
        return Promise.reject(error);
      }
      if (finished) return Promise.resolve({ value: undefined, done: true });
      return new Promise((resolve, reject) => waiting.push({ resolve, reject }));
    },
    return: finish,
    throw(error) {
      fail(error);
      return Promise.resolve({ value: undefined, done: true });
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

export const listenerCount = (emitter, type) =>
  typeof emitter.listenerCount === "function" ? emitter.listenerCount(type) : EventEmitter.listenerCount(emitter, type);

function checkEmitter(emitter, name) {
  if (!isEmitter(emitter) && !isTarget(emitter)) throw invalidArgType(name, ["EventEmitter", "EventTarget"], emitter);
}

export function getEventListeners(emitter, type) {
  checkEmitter(emitter, "emitter");
  return typeof emitter.listeners === "function" ? emitter.listeners(type) : callbacksOf(emitter, type);
}

export function getMaxListeners(emitter) {
  checkEmitter(emitter, "emitter");
  return typeof emitter.getMaxListeners === "function" ? emitter.getMaxListeners() : 0;
}

export function setMaxListeners(count = defaultMaxListeners, ...emitters) {
  checkNumber(count, "n", 0);
  if (emitters.length === 0) EventEmitter.defaultMaxListeners = count;
  for (const emitter of emitters) {
    checkEmitter(emitter, "eventTargets");
    emitter.setMaxListeners?.(count);
  }
}

export function addAbortListener(signal, listener) {
  if (!isTarget(signal)) throw invalidArgType("signal", "AbortSignal", signal);
  checkFunction(listener, "listener");
  if (signal.aborted) queueMicrotask(() => listener());
  else signal.addEventListener("abort", listener, { once: true });
  return { [Symbol.dispose]: () => signal.removeEventListener("abort", listener) };
}

/** An emitter whose listeners run in the async context in which it was made. */
export class EventEmitterAsyncResource extends EventEmitter {
  #resource;

  constructor(options = undefined) {
    super(options);
    this.#resource = new AsyncResource(options?.name ?? new.target.name);
  }

  emit(type, ...args) {
    return this.#resource.runInAsyncScope(super.emit, this, type, ...args);
  }

  get asyncResource() {
    return this.#resource;
  }

  get asyncId() {
    return this.#resource.asyncId();
  }

  emitDestroy() {}
}

const { emit } = EventEmitter.prototype;
EventEmitter.prototype.emit = function (type, ...args) {
  if (type === "error") {
    // Monitors hear of errors without handling them.
    if (this._events?.[errorMonitor] !== undefined) emit.call(this, errorMonitor, ...args);
    if (this._events?.error === undefined && !(args[0] instanceof Error)) {
      const error = nodeError(Error, "ERR_UNHANDLED_ERROR", `Unhandled error. (${inspect(args[0])})`);
      throw Object.assign(error, { context: args[0] });
    }
  }
  return emit.call(this, type, ...args);
};

// The package's methods look at their arguments without Node.js's codes.
for (const [name, alias] of [
  ["on", "addListener"],
  ["once"],
  ["prependListener"],
  ["prependOnceListener"],
  ["removeListener", "off"],
]) {
  const run = EventEmitter.prototype[name];
  EventEmitter.prototype[name] = {
    [name](type, listener) {
      checkFunction(listener, "listener");
      return run.call(this, type, listener);
    },
  }[name];
  if (alias !== undefined) EventEmitter.prototype[alias] = EventEmitter.prototype[name];
}
const { setMaxListeners: setMost } = EventEmitter.prototype;
EventEmitter.prototype.setMaxListeners = {
  setMaxListeners(count) {
    checkNumber(count, "setMaxListeners", 0);
    return setMost.call(this, count);
  },
}.setMaxListeners;

Object.assign(EventEmitter, {
  EventEmitter,
  EventEmitterAsyncResource,
  once,
  on,
  getEventListeners,
  getMaxListeners,
  setMaxListeners,
  addAbortListener,
  errorMonitor,
  captureRejectionSymbol,
  captureRejections,
  listenerCount,
});

export { EventEmitter };
export default EventEmitter;
