// node:events. https://nodejs.org/api/events.html
//
// The emitter itself is that of the package `events`; here is what Node.js has added since.
import EventEmitter from "../vendor/node/events.js";
import { AsyncResource } from "./async_hooks.js";
import { abortError, invalidArgument } from "./internal/errors.js";

export const errorMonitor = Symbol.for("events.errorMonitor");
export const captureRejectionSymbol = Symbol.for("nodejs.rejection");
export const captureRejections = false;
export const { defaultMaxListeners } = EventEmitter;

const isTarget = (value) => typeof value?.addEventListener === "function";
const isEmitter = (value) => typeof value?.on === "function";

function listen(emitter, type, listener, options) {
  if (isEmitter(emitter)) emitter[options?.once ? "once" : "on"](type, listener);
  else if (isTarget(emitter)) emitter.addEventListener(type, listener, options);
  else throw invalidArgument("emitter", "an instance of EventEmitter", emitter);
}

function forget(emitter, type, listener) {
  if (isEmitter(emitter)) emitter.removeListener(type, listener);
  else emitter.removeEventListener(type, listener);
}

/** Calls `stop` if the signal aborts before the function that is returned is called. */
function onAbort(signal, stop) {
  if (signal === undefined) return () => {};
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
  const push = (...args) => (waiting.length > 0 ? waiting.shift().resolve({ value: args, done: false }) : events.push(args));
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

export const getEventListeners = (emitter, type) => (typeof emitter.listeners === "function" ? emitter.listeners(type) : []);
export const getMaxListeners = (emitter) => (typeof emitter.getMaxListeners === "function" ? emitter.getMaxListeners() : 0);

export function setMaxListeners(count = defaultMaxListeners, ...emitters) {
  for (const emitter of emitters) emitter.setMaxListeners?.(count);
}

export function addAbortListener(signal, listener) {
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
  // Monitors hear of errors without handling them.
  if (type === "error" && this._events?.[errorMonitor] !== undefined) emit.call(this, errorMonitor, ...args);
  return emit.call(this, type, ...args);
};

Object.assign(EventEmitter, {
  EventEmitter, EventEmitterAsyncResource, once, on, getEventListeners, getMaxListeners, setMaxListeners, addAbortListener,
  errorMonitor, captureRejectionSymbol, captureRejections, listenerCount,
});

export { EventEmitter };
export default EventEmitter;
