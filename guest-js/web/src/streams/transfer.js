// Transfer of streams by structuredClone and postMessage. https://streams.spec.whatwg.org/#transferrable-streams (8.2)
//
// Both ends are in one instance, so no port lies between them: the new stream reads from the old one, or writes to it, and each
// chunk is cloned on its way.
import { addTransferable, cloneWithTransfer } from "../messaging/structured-clone.js";
import { Deferred, noop, react } from "./promises.js";
import { ReadableState, ReaderState } from "./readable-state.js";
import { ReadableStream, isReadableStream, readableState } from "./readable.js";
import { defaultSize } from "./strategies.js";
import { WritableState, WriterState } from "./writable-state.js";
import { WritableStream, writableState } from "./writable.js";

const cloned = (chunk) => cloneWithTransfer(chunk, []).value;

/** Joins an end with one that is made later: `connected` waits for the value that `connect` is given. */
function joint() {
  const waiting = new Deferred();
  return { connected: waiting.promise, connect: (end) => waiting.resolve(end) };
}

const ends = new WeakMap();

addTransferable({
  is: isReadableStream,
  isDetached: (stream) => stream.locked,
  shell() {
    const state = new ReadableState();
    const { connected, connect } = joint();
    const stream = new ReadableStream(state);
    state.setUp({
      start: () => react(connected, noop),
      pull: async () => {
        const reader = await connected;
        const { value, done } = await reader.readAsync();
        if (done) state.close();
        else state.enqueue(cloned(value));
      },
      cancel: async (reason) => (await connected).attached.cancel(reason),
      highWaterMark: 0,
      size: defaultSize,
    });
    ends.set(stream, connect);
    return stream;
  },
  move: (from, to) => ends.get(to)(new ReaderState(readableState(from))),
});

function isWritableStream(value) {
  try {
    return writableState(value) !== undefined;
  } catch {
    return false;
  }
}

addTransferable({
  is: isWritableStream,
  isDetached: (stream) => stream.locked,
  shell() {
    const state = new WritableState();
    const { connected, connect } = joint();
    const stream = new WritableStream(state);
    state.setUp({
      start: () => react(connected, noop),
      async write(chunk) {
        const writer = await connected;
        await writer.ready.promise;
        return writer.write(cloned(chunk));
      },
      close: async () => (await connected).stream.close(),
      abort: async (reason) => (await connected).stream.abort(reason),
      highWaterMark: 1,
      size: defaultSize,
    });
    ends.set(stream, connect);
    return stream;
  },
  move: (from, to) => ends.get(to)(new WriterState(writableState(from))),
});
