// WritableStream, its controller and its writer. https://streams.spec.whatwg.org/#ws (5)
import { defineInterface } from "../webidl/interfaces.js";
import { methodOf, toObject } from "./arguments.js";
import { noop, rejectOnThrow } from "./promises.js";
import { highWaterMarkOf, sizeOf, toStrategy } from "./strategies.js";
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
    sink = toObject(sink, "the underlying sink");
    strategy = toStrategy(strategy, "the queuing strategy");
    this.#state = new WritableState();
    const controller = new WritableStreamDefaultController(this.#state);
    const abort = methodOf(sink, "abort", noop);
    const close = methodOf(sink, "close", noop);
    const start = methodOf(sink, "start", noop);
    if (sink.type !== undefined) throw new RangeError("an underlying sink has no type yet; leave it out");
    const write = methodOf(sink, "write", noop);
    this.#state.setUp({
      start: () => start(controller),
      write: (chunk) => write(chunk, controller),
      close,
      abort,
      size: sizeOf(strategy),
      highWaterMark: highWaterMarkOf(strategy, 1),
    });
  }

  get locked() {
    return this.#state.locked;
  }

  abort(reason = undefined) {
    return rejectOnThrow(() => {
      if (this.#state.locked) throw new TypeError("cannot abort a WritableStream that is locked to a writer");
      return this.#state.abort(reason);
    });
  }

  close() {
    return rejectOnThrow(() => {
      if (this.#state.locked) throw new TypeError("cannot close a WritableStream that is locked to a writer");
      if (this.#state.closeQueuedOrInFlight) throw new TypeError("the WritableStream is closing already");
      return this.#state.close();
    });
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
    return rejectOnThrow(() => this.#state.closed.promise);
  }

  get desiredSize() {
    return this.#attached().desiredSize;
  }

  get ready() {
    return rejectOnThrow(() => this.#state.ready.promise);
  }

  abort(reason = undefined) {
    return rejectOnThrow(() => this.#attached().abort(reason));
  }

  close() {
    return rejectOnThrow(() => {
      const stream = this.#attached();
      if (stream.closeQueuedOrInFlight) throw new TypeError("the WritableStream is closing already");
      return stream.close();
    });
  }

  releaseLock() {
    this.#state.release();
  }

  write(chunk = undefined) {
    return rejectOnThrow(() => {
      this.#attached();
      return this.#state.write(chunk);
    });
  }

  #attached() {
    const { stream } = this.#state;
    if (stream === undefined) throw new TypeError("the writer was released and has no stream any more");
    return stream;
  }
}

export class WritableStreamDefaultController {
  #state;

  constructor(state = undefined) {
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
