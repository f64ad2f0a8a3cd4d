// The asynchronous iterator of a ReadableStream. https://streams.spec.whatwg.org/#rs-asynciterator (4.2.5) and
// https://webidl.spec.whatwg.org/#js-asynchronous-iterator-prototype-object (3.7.10.2)
import { defineHidden } from "../webidl/interfaces.js";
import { promiseResolvedWith, react } from "./promises.js";

const AsyncIteratorPrototype = Object.getPrototypeOf(Object.getPrototypeOf(async function* () {}).prototype);
const states = new WeakMap();

/** Queues a step of the iterator behind the one that is under way. */
function enqueueStep(iterator, step) {
  const state = states.get(iterator);
  if (state === undefined) return Promise.reject(new TypeError("not a ReadableStream AsyncIterator"));
  const run = () => step(state);
  return (state.ongoing = state.ongoing === undefined ? run() : react(state.ongoing, run, run));
}

/** Reads, as a promise of { value, done }. The lock ends with the stream. */
function readStep(state) {
  const { reader } = state;
  const finish = () => {
    state.finished = true;
    reader.release();
  };
  const next = new Promise((resolve, reject) => {
    reader.attached.read({
      chunk: (value) => resolve({ __proto__: null, value }),
      close() {
        finish();
        resolve(undefined);
      },
      error(error) {
        finish();
        reject(error);
      },
    });
  });
  return react(
    next,
    (step) => {
      state.ongoing = undefined;
      return step === undefined ? { value: undefined, done: true } : { value: step.value, done: false };
    },
    (error) => {
      state.ongoing = undefined;
      throw error;
    },
  );
}

const prototype = Object.create(AsyncIteratorPrototype);
Object.assign(prototype, {
  next() {
    return enqueueStep(this, (state) => (state.finished ? promiseResolvedWith({ value: undefined, done: true }) : readStep(state)));
  },
  return(value) {
    return enqueueStep(this, (state) => {
      const result = { value, done: true };
      if (state.finished) return promiseResolvedWith(result);
      state.finished = true;
      const { reader } = state;
      const cancelled = state.preventCancel ? promiseResolvedWith(undefined) : reader.attached.cancel(value);
      reader.release();
      return react(cancelled, () => result);
    });
  },
});
defineHidden(prototype, Symbol.toStringTag, "ReadableStream AsyncIterator", false);

/** An iterator over what a ReaderState reads. */
export function iteratorOf(reader, preventCancel) {
  const iterator = Object.create(prototype);
  states.set(iterator, { reader, preventCancel, finished: false, ongoing: undefined });
  return iterator;
}
