// Queue-with-sizes, queuing strategies and the promise helpers that the streams share.
// https://streams.spec.whatwg.org/#queue-with-sizes (8.1), #qs (7)
import { defineInterface } from "../webidl.js";

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

/** Marks the promise as handled. */
export function handled(promise) {
  promise.then(undefined, noop);
  return promise;
}

/** Calls an underlying source's or sink's method; a throw becomes a rejection. */
export function callAsync(method, ...args) {
  try {
    return Promise.resolve(method(...args));
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

/** An underlying source, sink, transformer or strategy is an object, a function or left out. */
export function toDictionary(value, what) {
  if (value === undefined || value === null) return {};
  if (typeof value !== "object" && typeof value !== "function") throw new TypeError(`${what} must be an object`);
  return value;
}

/** "ExtractHighWaterMark" (7.4). */
export function highWaterMarkOf(strategy, fallback) {
  if (strategy.highWaterMark === undefined) return fallback;
  const mark = Number(strategy.highWaterMark);
  if (!(mark >= 0)) throw new RangeError(`highWaterMark must be a number that is not negative, not ${mark}`);
  return mark;
}

/** "ExtractSizeAlgorithm" (7.4). */
export function sizeOf(strategy) {
  const { size } = strategy;
  if (size === undefined) return one;
  if (typeof size !== "function") throw new TypeError("the size of a queuing strategy must be a function");
  return (chunk) => size(chunk);
}

export const one = () => 1;

function markFromInit(init) {
  if (init?.highWaterMark === undefined) throw new TypeError("a queuing strategy needs { highWaterMark }");
  return Number(init.highWaterMark);
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
    return byteLength;
  }
}

defineInterface(CountQueuingStrategy);
defineInterface(ByteLengthQueuingStrategy);
