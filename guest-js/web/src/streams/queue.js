// Queue-with-sizes, queuing strategies and the promise helpers that the streams share.
// https://streams.spec.whatwg.org/#queue-with-sizes (8.1), #qs (7)
import { dictionary } from "../webidl/conversions.js";
import { defineInterface } from "../webidl/interfaces.js";

/** A queue of chunks that knows their total size. */
export class SizedQueue {
  #chunks = [];
  #sizes = [];
  total = 0;

  get length() {
    return this.#chunks.length;
  }

  get first() {
    return this.#chunks[0];
  }

  push(chunk, size) {
    size = Number(size);
    if (!(size >= 0 && size < Infinity)) throw new RangeError(`the size of a chunk must be finite and not negative, not ${size}`);
    this.#chunks.push(chunk);
    this.#sizes.push(size);
    this.total += size;
  }

  shift() {
    // Rounding errors of fractional sizes must not make the total negative.
    this.total = Math.max(0, this.total - this.#sizes.shift());
    return this.#chunks.shift();
  }

  clear() {
    this.#chunks = [];
    this.#sizes = [];
    this.total = 0;
  }
}

/** A promise with its resolvers, which knows whether it is still pending. */
export class Deferred {
  pending = true;
  #resolve;
  #reject;

  constructor() {
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  static resolved() {
    const deferred = new Deferred();
    deferred.resolve();
    return deferred;
  }

  static rejected(error) {
    const deferred = new Deferred();
    deferred.rejectHandled(error);
    return deferred;
  }

  resolve(value) {
    this.pending = false;
    this.#resolve(value);
  }

  reject(error) {
    this.pending = false;
    this.#reject(error);
  }

  /** Rejects without anybody having to listen: the standard sets [[PromiseIsHandled]]. */
  rejectHandled(error) {
    handled(this.promise);
    this.reject(error);
  }
}

export const noop = () => {};

const { then } = Promise.prototype;

/** `promise.then(...)`, whatever a script has made of `then`. */
export const react = (promise, onDone, onError) => Reflect.apply(then, promise, [onDone, onError]);

/** "A promise resolved with" the value: a new one, also if the value is a promise. */
export const resolved = (value) => new Promise((resolve) => resolve(value));

/** Runs `task` in a microtask. */
export const afterThis = (task) => void react(resolved(undefined), task);

/** Marks the promise as handled. */
export function handled(promise) {
  react(promise, undefined, noop);
  return promise;
}

/** Calls an underlying source's or sink's method; a throw becomes a rejection. */
export function callAsync(method, ...args) {
  try {
    return resolved(method(...args));
  } catch (error) {
    return Promise.reject(error);
  }
}

/** What an operation that returns a promise gives: a throw, also one of a brand check, is a rejection, and no turn is lost. */
export function promised(operation) {
  try {
    return operation();
  } catch (error) {
    return Promise.reject(error);
  }
}

/** Binds the optional method `name` of `object`; the default stands in when it is absent. */
export function methodOf(object, name, fallback) {
  const method = object?.[name];
  if (method === undefined) return fallback;
  if (typeof method !== "function") throw new TypeError(`${name} must be a function`);
  return (...args) => Reflect.apply(method, object, args);
}

/** An underlying source, sink or transformer is an object, a function or left out. */
export function toObject(value, what) {
  if (value === undefined) return {};
  if (value === null || (typeof value !== "object" && typeof value !== "function")) throw new TypeError(`${what} must be an object`);
  return value;
}

/** Web IDL's [EnforceRange] unsigned integer up to `most`. */
export function enforceRange(value, most, what) {
  const number = Math.trunc(Number(value));
  if (!(number >= 0 && number <= most)) throw new TypeError(`${what} must be an integer from 0 to ${most}, not ${value}`);
  return number + 0;
}

/** A queuing strategy as { highWaterMark, size }, each undefined if it is left out. */
export function toStrategy(value, what) {
  const strategy = dictionary(value, what);
  const mark = strategy.highWaterMark;
  const highWaterMark = mark === undefined ? undefined : Number(mark);
  const { size } = strategy;
  if (size !== undefined && typeof size !== "function") throw new TypeError("the size of a queuing strategy must be a function");
  return { highWaterMark, size };
}

/** "ExtractHighWaterMark" (7.4). */
export function highWaterMarkOf({ highWaterMark = undefined }, fallback) {
  if (highWaterMark === undefined) return fallback;
  if (!(highWaterMark >= 0)) throw new RangeError(`highWaterMark must be a number that is not negative, not ${highWaterMark}`);
  return highWaterMark;
}

/** "ExtractSizeAlgorithm" (7.4). */
export const sizeOf = ({ size }) => (size === undefined ? one : (chunk) => size(chunk));

export const one = () => 1;

function markFromInit(init) {
  const { highWaterMark } = dictionary(init, "the argument of a queuing strategy");
  if (highWaterMark === undefined) throw new TypeError("a queuing strategy needs { highWaterMark }");
  return Number(highWaterMark);
}

const count = { size: () => 1 }.size;
const byteLength = { size: (chunk) => chunk.byteLength }.size;

export class CountQueuingStrategy {
  #mark;

  constructor(init) {
    this.#mark = markFromInit(init);
  }

  get highWaterMark() {
    return this.#mark;
  }

  get size() {
    void this.#mark;
    return count;
  }
}

export class ByteLengthQueuingStrategy {
  #mark;

  constructor(init) {
    this.#mark = markFromInit(init);
  }

  get highWaterMark() {
    return this.#mark;
  }

  get size() {
    void this.#mark;
    return byteLength;
  }
}

defineInterface(CountQueuingStrategy);
defineInterface(ByteLengthQueuingStrategy);
