// Tee of a readable byte stream. https://streams.spec.whatwg.org/#abstract-opdef-readablebytestreamtee (4.9.1)
import { ByteState } from "./byte-state.js";
import { Deferred, inMicrotask, noop, react } from "./promises.js";
import { ReaderState } from "./readable-state.js";

/** Two byte streams with the bytes of `source`. A branch that is read into a view fills that view. */
export function teeBytes(source) {
  const branches = [new ByteState(), new ByteState()];
  const cancelled = [false, false];
  const reasons = [undefined, undefined];
  const readAgain = [false, false];
  const cancelling = new Deferred();
  let reading = false;
  let reader;

  /** Takes the lock with a reader of the kind that the next read needs. */
  function lock(byob) {
    if (reader?.byob === byob) return;
    reader?.release();
    const own = (reader = new ReaderState(source, byob));
    react(own.closed.promise, undefined, (error) => {
      if (own !== reader) return;
      for (const branch of branches) branch.fail(error);
      settle();
    });
  }

  /** Cancelling one branch ends when the other has come to its end. */
  function settle() {
    if (!cancelled[0] || !cancelled[1]) cancelling.resolve();
  }

  function delivered() {
    reading = false;
    if (readAgain[0]) pull(0);
    else if (readAgain[1]) pull(1);
  }

  /** A copy for the other branch; undefined if there is no memory for it, which ends both. */
  function copyOf(chunk) {
    try {
      return new Uint8Array(chunk.buffer.slice(chunk.byteOffset, chunk.byteOffset + chunk.byteLength));
    } catch (error) {
      for (const branch of branches) branch.fail(error);
      cancelling.resolve(source.cancel(error));
      return undefined;
    }
  }

  function closeBranches() {
    reading = false;
    branches.forEach((branch, index) => cancelled[index] || branch.close());
  }

  function pullByDefault() {
    lock(false);
    source.read({
      // In a microtask, so that an error of the source that comes at the same time is seen by both branches first.
      chunk: (chunk) =>
        inMicrotask(() => {
          readAgain.fill(false);
          let second = chunk;
          if (!cancelled[0] && !cancelled[1] && (second = copyOf(chunk)) === undefined) return;
          if (!cancelled[0]) branches[0].enqueue(chunk);
          if (!cancelled[1]) branches[1].enqueue(second);
          delivered();
        }),
      close() {
        closeBranches();
        for (const branch of branches) if (branch.viewToFill !== undefined) branch.respond(0);
        settle();
      },
      error: () => (reading = false),
    });
  }

  function pullInto(view, index) {
    lock(true);
    const branch = branches[index];
    const other = branches[1 - index];
    source.readInto(view, 1, {
      chunk: (chunk) =>
        inMicrotask(() => {
          readAgain.fill(false);
          let copy;
          if (!cancelled[1 - index] && (copy = copyOf(chunk)) === undefined) return;
          if (!cancelled[index]) branch.respondWithNewView(chunk);
          if (!cancelled[1 - index]) other.enqueue(copy);
          delivered();
        }),
      close(chunk) {
        closeBranches();
        if (chunk !== undefined) {
          if (!cancelled[index]) branch.respondWithNewView(chunk);
          if (!cancelled[1 - index] && other.viewToFill !== undefined) other.respond(0);
        }
        settle();
      },
      error: () => (reading = false),
    });
  }

  function pull(index) {
    if (reading) {
      readAgain[index] = true;
      return;
    }
    reading = true;
    const view = branches[index].viewToFill;
    if (view === undefined) pullByDefault();
    else pullInto(view, index);
  }

  lock(false);
  branches.forEach((branch, index) => {
    branch.setUp({
      start: noop,
      pull: () => pull(index),
      cancel(reason) {
        cancelled[index] = true;
        reasons[index] = reason;
        if (cancelled[0] && cancelled[1]) cancelling.resolve(source.cancel(reasons));
        return cancelling.promise;
      },
      highWaterMark: 0,
      autoAllocateChunkSize: undefined,
    });
  });
  return branches;
}
