// Promises as the Streams Standard uses them, whatever a script has made of `then`.
// https://webidl.spec.whatwg.org/#a-promise-resolved-with

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
    markAsHandled(this.promise);
    this.reject(error);
  }
}

/** Does nothing. */
export const noop = () => {};

const { then } = Promise.prototype;

/** `promise.then(...)`, whatever a script has made of `then`. */
export const react = (promise, onDone, onError) => Reflect.apply(then, promise, [onDone, onError]);

/** "A promise resolved with" the value: a new one, also if the value is a promise. */
export const promiseResolvedWith = (value) => new Promise((resolve) => resolve(value));

/** Runs `task` in a microtask. */
export const inMicrotask = (task) => void react(promiseResolvedWith(undefined), task);

/** Marks the promise as handled. */
export function markAsHandled(promise) {
  react(promise, undefined, noop);
  return promise;
}

/** Calls an underlying source's or sink's method; a throw becomes a rejection. */
export function callAsync(method, ...args) {
  try {
    return promiseResolvedWith(method(...args));
  } catch (error) {
    return Promise.reject(error);
  }
}

/** Calls an operation that returns a promise: what it throws, in a brand check too, is a rejection. Takes no further turn. */
export function rejectOnThrow(operation) {
  try {
    return operation();
  } catch (error) {
    return Promise.reject(error);
  }
}
