// ReadableStream, its default reader and its controllers. https://streams.spec.whatwg.org/#rs (4)
//
// Byte streams (type: "bytes") are taken and read through the default reader; there is no BYOB reader yet.
import { registry } from "../registry.js";
import { bytesOf, defineHidden, defineInterface } from "../webidl.js";
import { pipeTo } from "./pipe.js";
import { callAsync, handled, highWaterMarkOf, methodOf, noop, sizeOf, toDictionary } from "./queue.js";
import { ReadableState, ReaderState } from "./readable-state.js";
import { tee } from "./tee.js";
import { writableState } from "./writable.js";

export let isReadableStream;
/** The ReadableState behind a ReadableStream. */
export let readableState;

export class ReadableStream {
  #state;

  static {
    isReadableStream = (value) => typeof value === "object" && value !== null && #state in value;
    readableState = (stream) => stream.#state;
  }

  constructor(source = undefined, strategy = undefined) {
    // Other modules of ours hand over the internals; a script has no ReadableState.
    if (source instanceof ReadableState) {
      this.#state = source;
      return;
    }
    source = toDictionary(source, "the underlying source");
    strategy = toDictionary(strategy, "the queuing strategy");
    this.#state = new ReadableState();
    let controller;
    let mark;
    let size;
    if (source.type === undefined) {
      controller = new ReadableStreamDefaultController(this.#state);
      mark = highWaterMarkOf(strategy, 1);
      size = sizeOf(strategy);
    } else if (`${source.type}` === "bytes") {
      if (strategy.size !== undefined) throw new RangeError("a byte stream cannot have a size function");
      controller = new ReadableByteStreamController(this.#state);
      mark = highWaterMarkOf(strategy, 0);
      size = (chunk) => chunk.byteLength;
    } else {
      throw new TypeError(`the type of an underlying source is undefined or "bytes", not ${source.type}`);
    }
    const start = methodOf(source, "start", noop);
    const pull = methodOf(source, "pull", noop);
    this.#state.setUp({
      start: () => start(controller),
      pull: () => pull(controller),
      cancel: methodOf(source, "cancel", noop),
      highWaterMark: mark,
      size,
    });
  }

  /** "ReadableStreamFromIterable" (4.9.1). */
  static from(iterable) {
    const method = iterable?.[Symbol.asyncIterator] ?? iterable?.[Symbol.iterator];
    if (typeof method !== "function") throw new TypeError("ReadableStream.from needs an iterable or an async iterable");
    const iterator = method.call(iterable);
    if (typeof iterator !== "object" || iterator === null) throw new TypeError("the iterator is not an object");
    const isSync = iterable[Symbol.asyncIterator] == null;
    const state = new ReadableState();
    return new ReadableStream(
      state.setUp({
        async pull() {
          const step = await iterator.next();
          if (typeof step !== "object" || step === null) throw new TypeError("the iterator's next() gave no object");
          // The values of a synchronous iterator may be promises, as in "for await".
          if (step.done) state.close();
          else state.enqueue(isSync ? await step.value : step.value);
        },
        async cancel(reason) {
          if (iterator.return == null) return;
          const step = await iterator.return(reason);
          if (typeof step !== "object" || step === null) throw new TypeError("the iterator's return() gave no object");
        },
        highWaterMark: 0,
      }),
    );
  }

  get locked() {
    return this.#state.locked;
  }

  async cancel(reason = undefined) {
    if (this.#state.locked) throw new TypeError("cannot cancel a ReadableStream that is locked to a reader");
    return this.#state.cancel(reason);
  }

  getReader(options = undefined) {
    const { mode } = toDictionary(options, "the options");
    if (mode === undefined) return new ReadableStreamDefaultReader(this);
    throw new TypeError(`${mode === "byob" ? "BYOB readers are not supported yet" : `"${mode}" is no reader mode`}; use getReader()`);
  }

  pipeThrough(transform, options = undefined) {
    const { readable, writable } = toDictionary(transform, "the transform");
    if (!isReadableStream(readable)) throw new TypeError("pipeThrough needs { readable: ReadableStream, writable }");
    if (this.#state.locked) throw new TypeError("cannot pipe a ReadableStream that is locked to a reader");
    const target = writableState(writable);
    if (target.locked) throw new TypeError("cannot pipe to a WritableStream that is locked to a writer");
    handled(pipeTo(this.#state, target, toPipeOptions(options)));
    return readable;
  }

  async pipeTo(destination, options = undefined) {
    const target = writableState(destination);
    const settings = toPipeOptions(options);
    if (this.#state.locked) throw new TypeError("cannot pipe a ReadableStream that is locked to a reader");
    if (target.locked) throw new TypeError("cannot pipe to a WritableStream that is locked to a writer");
    return pipeTo(this.#state, target, settings);
  }

  tee() {
    return tee(this.#state, (chunk) => chunk).map((branch) => new ReadableStream(branch));
  }

  values(options = undefined) {
    const { preventCancel = false } = toDictionary(options, "the options");
    return iterate(new ReaderState(this.#state), Boolean(preventCancel));
  }
}

function toPipeOptions(options) {
  const { preventAbort, preventCancel, preventClose, signal } = toDictionary(options, "the options");
  if (signal !== undefined && !registry.isAbortSignal?.(signal)) throw new TypeError("signal must be an AbortSignal");
  return {
    preventAbort: Boolean(preventAbort),
    preventCancel: Boolean(preventCancel),
    preventClose: Boolean(preventClose),
    signal,
  };
}

const AsyncIteratorPrototype = Object.getPrototypeOf(Object.getPrototypeOf(async function* () {}).prototype);
const iteratorStates = new WeakMap();

/** Queues an iterator's step behind the one that is under way, as Web IDL's asynchronous iterators do. */
function enqueueStep(iterator, step) {
  const state = iteratorStates.get(iterator);
  if (state === undefined) return Promise.reject(new TypeError("not a ReadableStream AsyncIterator"));
  const run = () => step(state);
  return (state.last = state.last === undefined ? callAsync(run) : state.last.then(run, run));
}

const iteratorPrototype = Object.create(AsyncIteratorPrototype);
Object.assign(iteratorPrototype, {
  next() {
    return enqueueStep(this, async (state) => {
      if (state.finished) return { value: undefined, done: true };
      try {
        const result = await state.reader.readAsync();
        if (result.done) finish(state);
        return result;
      } catch (error) {
        finish(state);
        throw error;
      }
    });
  },
  return(value) {
    return enqueueStep(this, async (state) => {
      if (!state.finished) {
        const { stream } = state.reader;
        const cancelled = state.preventCancel ? undefined : stream.cancel(value);
        finish(state);
        await cancelled;
      }
      return { value, done: true };
    });
  },
});
defineHidden(iteratorPrototype, Symbol.toStringTag, "ReadableStream AsyncIterator", false);

function finish(state) {
  state.finished = true;
  state.reader.release();
}

function iterate(reader, preventCancel) {
  const iterator = Object.create(iteratorPrototype);
  iteratorStates.set(iterator, { reader, preventCancel, finished: false, last: undefined });
  return iterator;
}

export class ReadableStreamDefaultReader {
  #state;

  constructor(stream) {
    if (!isReadableStream(stream)) throw new TypeError("a reader needs a ReadableStream");
    this.#state = new ReaderState(readableState(stream));
  }

  get closed() {
    return this.#state.closed.promise;
  }

  async cancel(reason = undefined) {
    return this.#attached().cancel(reason);
  }

  read() {
    try {
      this.#attached();
      return this.#state.readAsync();
    } catch (error) {
      return Promise.reject(error);
    }
  }

  releaseLock() {
    this.#state.release();
  }

  #attached() {
    const { stream } = this.#state;
    if (stream === undefined) throw new TypeError("the reader was released and has no stream any more");
    return stream;
  }
}

const isState = (value) => value instanceof ReadableState;

export class ReadableStreamDefaultController {
  #state;

  constructor(state) {
    if (!isState(state)) throw new TypeError("Illegal constructor");
    this.#state = state;
  }

  get desiredSize() {
    return this.#state.desiredSize;
  }

  close() {
    if (!this.#state.canCloseOrEnqueue) throw new TypeError("the stream is closed, closing or errored");
    this.#state.close();
  }

  enqueue(chunk = undefined) {
    if (!this.#state.canCloseOrEnqueue) throw new TypeError("cannot enqueue: the stream is closed, closing or errored");
    this.#state.enqueue(chunk);
  }

  error(error = undefined) {
    this.#state.fail(error);
  }
}

export class ReadableByteStreamController {
  #state;

  constructor(state) {
    if (!isState(state)) throw new TypeError("Illegal constructor");
    this.#state = state;
  }

  /** There is never a BYOB read to answer. */
  get byobRequest() {
    return null;
  }

  get desiredSize() {
    return this.#state.desiredSize;
  }

  close() {
    if (!this.#state.canCloseOrEnqueue) throw new TypeError("the stream is closed, closing or errored");
    this.#state.close();
  }

  enqueue(chunk) {
    if (!ArrayBuffer.isView(chunk)) throw new TypeError("a chunk of a byte stream must be a view on an ArrayBuffer");
    if (chunk.byteLength === 0) throw new TypeError("a chunk of a byte stream must not be empty");
    if (!this.#state.canCloseOrEnqueue) throw new TypeError("cannot enqueue: the stream is closed, closing or errored");
    this.#state.enqueue(bytesOf(chunk));
  }

  error(error = undefined) {
    this.#state.fail(error);
  }
}

for (const cls of [
  ReadableStream,
  ReadableStreamDefaultReader,
  ReadableStreamDefaultController,
  ReadableByteStreamController,
]) {
  defineInterface(cls);
}
defineHidden(ReadableStream.prototype, Symbol.asyncIterator, ReadableStream.prototype.values);

registry.isReadableStream = isReadableStream;
registry.isDisturbed = (stream) => readableState(stream).disturbed;

/** The stream of a body: from `bytes` at hand, or from a puller { read, cancel }. */
registry.streamFromBody = (puller, bytes) => {
  const state = new ReadableState();
  const start = () => {
    if (bytes.byteLength > 0) state.enqueue(bytes);
    state.close();
  };
  const pull = async () => {
    const chunk = await puller.read();
    if (chunk === null) state.close();
    else state.enqueue(chunk);
  };
  const options = puller === null ? { start } : { pull, cancel: puller.cancel, highWaterMark: 0 };
  return new ReadableStream(state.setUp(options));
};

// Each branch of a cloned body may be changed or transferred, so the second gets copies (Fetch 2.2.4, "tee").
registry.teeForClone = (stream) =>
  tee(readableState(stream), (chunk) => (chunk instanceof Uint8Array ? chunk.slice() : chunk)).map(
    (branch) => new ReadableStream(branch),
  );

/** Reads a stream to its end, in a way that no script can come between. What `take` throws of a chunk ends it. */
registry.readChunks = (stream, take) => {
  const state = readableState(stream);
  new ReaderState(state);
  return new Promise((resolve, reject) => {
    const read = () =>
      state.read({
        chunk(value) {
          try {
            take(value);
            Promise.resolve().then(read);
          } catch (error) {
            handled(state.cancel(error));
            reject(error);
          }
        },
        close: () => resolve(),
        error: reject,
      });
    read();
  });
};
