// ReadableStream, its default reader and its default controller. https://streams.spec.whatwg.org/#rs (4)
//
// Byte streams have more members: byte.js.
import { registry, requireRegistered } from "../internal/registry.js";
import { dictionary, enumeration } from "../webidl/conversions.js";
import { defineHidden, defineInterface } from "../webidl/interfaces.js";
import { enforceRange, methodOf, toObject } from "./arguments.js";
import { iteratorOf } from "./iterator.js";
import { pipeTo } from "./pipe.js";
import { inMicrotask, markAsHandled, noop, rejectOnThrow } from "./promises.js";
import { ReadableState, ReaderState, StreamState } from "./readable-state.js";
import { defaultSize, highWaterMarkOf, sizeOf, toStrategy } from "./strategies.js";
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
    // Other modules of ours hand over the internals; a script has no StreamState.
    if (source instanceof StreamState) {
      this.#state = source;
      return;
    }
    source = toObject(source, "the underlying source");
    strategy = toStrategy(strategy, "the queuing strategy");
    const { autoAllocateChunkSize } = source;
    const chunkSize =
      autoAllocateChunkSize === undefined
        ? undefined
        : enforceRange(autoAllocateChunkSize, Number.MAX_SAFE_INTEGER, "autoAllocateChunkSize");
    let controller;
    const cancel = methodOf(source, "cancel", noop);
    const pull = methodOf(source, "pull", noop);
    const start = methodOf(source, "start", noop);
    const methods = { start: () => start(controller), pull: () => pull(controller), cancel };
    const { type } = source;
    if (type === undefined) {
      this.#state = new ReadableState();
      controller = new ReadableStreamDefaultController(this.#state);
      this.#state.setUp({ ...methods, size: sizeOf(strategy), highWaterMark: highWaterMarkOf(strategy, 1) });
      return;
    }
    enumeration(type, ["bytes"], "type of an underlying source");
    if (strategy.size !== undefined) throw new RangeError("a byte stream cannot have a size function");
    const highWaterMark = highWaterMarkOf(strategy, 0);
    if (chunkSize === 0) throw new TypeError("autoAllocateChunkSize must be at least 1");
    const { ByteState, newController } = byteStreams('type: "bytes"');
    this.#state = new ByteState();
    controller = newController(this.#state);
    this.#state.setUp({ ...methods, highWaterMark, autoAllocateChunkSize: chunkSize });
  }

  /** "ReadableStreamFromIterable" (4.9.1). */
  static from(iterable) {
    let method = iterable?.[Symbol.asyncIterator];
    const isSync = method === undefined || method === null;
    if (isSync) method = iterable?.[Symbol.iterator];
    if (typeof method !== "function") throw new TypeError("ReadableStream.from needs an iterable or an async iterable");
    const iterator = Reflect.apply(method, iterable, []);
    if (typeof iterator !== "object" || iterator === null) throw new TypeError("the iterator is not an object");
    const state = new ReadableState();
    return new ReadableStream(
      state.setUp({
        start: noop,
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
        size: defaultSize,
      }),
    );
  }

  get locked() {
    return this.#state.locked;
  }

  cancel(reason = undefined) {
    return rejectOnThrow(() => {
      if (this.#state.locked) throw new TypeError("cannot cancel a ReadableStream that is locked to a reader");
      return this.#state.cancel(reason);
    });
  }

  getReader(options = undefined) {
    void this.#state;
    const { mode } = dictionary(options, "the options of getReader()");
    if (mode === undefined) return new ReadableStreamDefaultReader(this);
    enumeration(mode, ["byob"], "mode of a reader");
    return byteStreams('mode: "byob"').newReader(this);
  }

  pipeThrough(transform, options = undefined) {
    void this.#state;
    const pair = dictionary(transform, "the transform");
    const { readable } = pair;
    if (!isReadableStream(readable)) throw new TypeError("pipeThrough needs { readable: ReadableStream, writable }");
    const target = writableState(pair.writable);
    const settings = toPipeOptions(options);
    if (this.#state.locked) throw new TypeError("cannot pipe a ReadableStream that is locked to a reader");
    if (target.locked) throw new TypeError("cannot pipe to a WritableStream that is locked to a writer");
    markAsHandled(pipeTo(this.#state, target, settings));
    return readable;
  }

  pipeTo(destination, options = undefined) {
    return rejectOnThrow(() => {
      void this.#state;
      const target = writableState(destination);
      const settings = toPipeOptions(options);
      if (this.#state.locked) throw new TypeError("cannot pipe a ReadableStream that is locked to a reader");
      if (target.locked) throw new TypeError("cannot pipe to a WritableStream that is locked to a writer");
      return pipeTo(this.#state, target, settings);
    });
  }

  tee() {
    return teed(this.#state, (chunk) => chunk);
  }

  values(options = undefined) {
    void this.#state;
    const { preventCancel = false } = dictionary(options, "the options of values()");
    return iteratorOf(new ReaderState(this.#state), Boolean(preventCancel));
  }
}

const byteStreams = (what) => requireRegistered("byteStreams", what);

/** The two branches of a stream; the second of one that is not of bytes sees the chunks through `copy`. */
function teed(state, copy) {
  const branches = state instanceof ReadableState ? tee(state, copy) : registry.byteStreams.teeBytes(state);
  return branches.map((branch) => new ReadableStream(branch));
}

function toPipeOptions(options) {
  const members = dictionary(options, "the options of a pipe");
  const preventAbort = Boolean(members.preventAbort);
  const preventCancel = Boolean(members.preventCancel);
  const preventClose = Boolean(members.preventClose);
  const { signal } = members;
  if (signal !== undefined && !registry.isAbortSignal?.(signal)) throw new TypeError("signal must be an AbortSignal");
  return { preventAbort, preventCancel, preventClose, signal };
}

export class ReadableStreamDefaultReader {
  #state;

  constructor(stream) {
    if (!isReadableStream(stream)) throw new TypeError("a reader needs a ReadableStream");
    this.#state = new ReaderState(readableState(stream));
  }

  get closed() {
    return rejectOnThrow(() => this.#state.closed.promise);
  }

  cancel(reason = undefined) {
    return rejectOnThrow(() => this.#state.attached.cancel(reason));
  }

  read() {
    return rejectOnThrow(() => this.#state.readAsync());
  }

  releaseLock() {
    this.#state.release();
  }
}

export class ReadableStreamDefaultController {
  #state;

  constructor(state = undefined) {
    if (!(state instanceof ReadableState)) throw new TypeError("Illegal constructor");
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

for (const cls of [ReadableStream, ReadableStreamDefaultReader, ReadableStreamDefaultController]) defineInterface(cls);
defineHidden(ReadableStream.prototype, Symbol.asyncIterator, ReadableStream.prototype.values);

registry.isReadableStream = isReadableStream;
registry.isDisturbed = (stream) => readableState(stream).disturbed;

/**
 * The stream of a body: from `bytes` at hand, or from a puller { read, cancel }. It is a byte stream where that can be told,
 * and where the chunks are nobody else's.
 */
registry.streamFromBody = (puller, bytes) => {
  const own = puller === null || puller.givesOwn;
  const state = own && registry.byteStreams !== undefined ? new registry.byteStreams.ByteState() : new ReadableState();
  const start = () => {
    if (bytes.byteLength > 0) state.enqueue(bytes);
    state.close();
  };
  const pull = async () => {
    let chunk = await puller.read();
    while (own && chunk?.byteLength === 0) chunk = await puller.read();
    if (chunk === null) {
      state.close();
      // A read into a view waits for its view.
      if (state.viewToFill !== undefined) state.respond(0);
    } else {
      state.enqueue(chunk);
    }
  };
  const methods = puller === null ? { start, pull: noop, cancel: noop } : { start: noop, pull, cancel: (reason) => puller.cancel(reason) };
  return new ReadableStream(state.setUp({ ...methods, highWaterMark: 0, size: defaultSize, autoAllocateChunkSize: undefined }));
};

// Each branch of a cloned body may be changed or transferred, so the second gets copies (Fetch 2.2.4, "tee").
registry.teeForClone = (stream) => {
  const copyOf = requireRegistered("structuredClone", "clone() of a streamed body");
  return teed(readableState(stream), (chunk) => (chunk instanceof Uint8Array ? new Uint8Array(chunk) : copyOf(chunk)));
};

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
            inMicrotask(read);
          } catch (error) {
            markAsHandled(state.cancel(error));
            reject(error);
          }
        },
        close: () => resolve(),
        error: reject,
      });
    read();
  });
};
