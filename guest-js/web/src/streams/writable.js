// WritableStream, its controller and its writer. https://streams.spec.whatwg.org/#ws (5)
import { defineInterface } from "../webidl.js";
import { highWaterMarkOf, methodOf, noop, sizeOf, toDictionary } from "./queue.js";
import { WritableState, WriterState } from "./writable-state.js";

let stateOf;

/** The WritableState behind a WritableStream; a TypeError for anything else. */
export function writableState(stream) {
  const state = stateOf(stream);
  if (state === undefined) throw new TypeError("the value is not a WritableStream");
  return state;
}

export class WritableStream {
  #state;

  static {
    stateOf = (value) => (typeof value === "object" && value !== null && #state in value ? value.#state : undefined);
  }

  constructor(sink = undefined, strategy = undefined) {
    // Other modules of ours hand over the internals; a script has no WritableState.
    if (sink instanceof WritableState) {
      this.#state = sink;
      return;
    }
    sink = toDictionary(sink, "the underlying sink");
    strategy = toDictionary(strategy, "the queuing strategy");
    if (sink.type !== undefined) throw new RangeError("an underlying sink has no type yet; leave it out");
    this.#state = new WritableState();
    const controller = new WritableStreamDefaultController(this.#state);
    const start = methodOf(sink, "start", noop);
    const write = methodOf(sink, "write", noop);
    this.#state.setUp({
      start: () => start(controller),
      write: (chunk) => write(chunk, controller),
      close: methodOf(sink, "close", noop),
      abort: methodOf(sink, "abort", noop),
      highWaterMark: highWaterMarkOf(strategy, 1),
      size: sizeOf(strategy),
    });
  }

  get locked() {
    return this.#state.locked;
  }

  async abort(reason = undefined) {
    if (this.#state.locked) throw new TypeError("cannot abort a WritableStream that is locked to a writer");
    return this.#state.abort(reason);
  }

  async close() {
    if (this.#state.locked) throw new TypeError("cannot close a WritableStream that is locked to a writer");
    if (this.#state.closeQueuedOrInFlight) throw new TypeError("the WritableStream is closing already");
    return this.#state.close();
  }

  getWriter() {
    return new WritableStreamDefaultWriter(this);
  }
}

export class WritableStreamDefaultWriter {
  #state;

  constructor(stream) {
    this.#state = new WriterState(writableState(stream));
  }

  get closed() {
    return this.#state.closed.promise;
  }

  get desiredSize() {
    return this.#attached().desiredSize;
  }

  get ready() {
    return this.#state.ready.promise;
  }

  async abort(reason = undefined) {
    return this.#attached().abort(reason);
  }

  async close() {
    const stream = this.#attached();
    if (stream.closeQueuedOrInFlight) throw new TypeError("the WritableStream is closing already");
    return stream.close();
  }

  releaseLock() {
    this.#state.release();
  }

  write(chunk = undefined) {
    try {
      this.#attached();
      return this.#state.write(chunk);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #attached() {
    const { stream } = this.#state;
    if (stream === undefined) throw new TypeError("the writer was released and has no stream any more");
    return stream;
  }
}

export class WritableStreamDefaultController {
  #state;

  constructor(state) {
    if (!(state instanceof WritableState)) throw new TypeError("Illegal constructor");
    this.#state = state;
  }

  get signal() {
    return this.#state.signal;
  }

  error(error = undefined) {
    this.#state.errorIfNeeded(error);
  }
}

for (const cls of [WritableStream, WritableStreamDefaultWriter, WritableStreamDefaultController]) defineInterface(cls);
