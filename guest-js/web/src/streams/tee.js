// Tee of a readable stream. https://streams.spec.whatwg.org/#abstract-opdef-readablestreamdefaulttee (4.9.1)
import { Deferred, inMicrotask, noop, react } from "./promises.js";
import { ReadableState, ReaderState } from "./readable-state.js";
import { defaultSize } from "./strategies.js";

/** Two streams with the chunks of `source`, the second of which sees them through `copy`. */
export function tee(source, copy) {
  const reader = new ReaderState(source);
  const branches = [new ReadableState(), new ReadableState()];
  const cancelled = [false, false];
  const reasons = [undefined, undefined];
  const cancelling = new Deferred();
  let reading = false;
  let readAgain = false;

  function pull() {
    if (reading) {
      readAgain = true;
      return;
    }
    reading = true;
    source.read({
      // In a microtask, so that an error of the source that comes at the same time is seen by both branches first.
      chunk: (chunk) => inMicrotask(() => deliver(chunk)),
      close() {
        reading = false;
        branches.forEach((branch, index) => cancelled[index] || branch.close());
        if (!cancelled[0] || !cancelled[1]) cancelling.resolve();
      },
      error: () => (reading = false),
    });
  }

  function deliver(chunk) {
    readAgain = false;
    let second = chunk;
    if (!cancelled[1]) {
      try {
        second = copy(chunk);
      } catch (error) {
        for (const branch of branches) branch.fail(error);
        cancelling.resolve(source.cancel(error));
        return;
      }
    }
    if (!cancelled[0]) branches[0].enqueue(chunk);
    if (!cancelled[1]) branches[1].enqueue(second);
    reading = false;
    if (readAgain) pull();
  }

  branches.forEach((branch, index) => {
    branch.setUp({
      start: noop,
      pull,
      cancel(reason) {
        cancelled[index] = true;
        reasons[index] = reason;
        if (cancelled[0] && cancelled[1]) cancelling.resolve(source.cancel(reasons));
        return cancelling.promise;
      },
      highWaterMark: 1,
      size: defaultSize,
    });
  });
  react(reader.closed.promise, undefined, (error) => {
    for (const branch of branches) branch.fail(error);
    if (!cancelled[0] || !cancelled[1]) cancelling.resolve();
  });
  return branches;
}
