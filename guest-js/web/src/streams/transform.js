// TransformStream. https://streams.spec.whatwg.org/#ts (6)
import { defineInterface } from "../webidl/interfaces.js";
import { methodOf, toObject } from "./arguments.js";
import { Deferred, callAsync, noop, react } from "./promises.js";
import { ReadableState } from "./readable-state.js";
import { ReadableStream } from "./readable.js";
import { highWaterMarkOf, sizeOf, toStrategy } from "./strategies.js";
import { WritableState } from "./writable-state.js";
import { WritableStream } from "./writable.js";

/** The slots of a transform stream and its controller, and what the two sides do to each other (6.4). */
class TransformState {
  readable = new ReadableState();
  writable = new WritableState();
  #transform;
  #flush;
  #cancel;
  #backpressure = true;
  #backpressureChange = new Deferred();
  /** Settles when the first of close, abort and cancel is through; the others wait for it. */
  #finish = undefined;

  setUp({ start, transform, flush, cancel, writableMark, writableSize, readableMark, readableSize }) {
    this.#transform = transform;
    this.#flush = flush;
    this.#cancel = cancel;
    const started = new Deferred();
    this.writable.setUp({
      start: () => started.promise,
      write: (chunk) => this.#onWrite(chunk),
      close: () => this.#onClose(),
      abort: (reason) => this.#onAbort(reason),
      highWaterMark: writableMark,
      size: writableSize,
    });
    this.readable.setUp({
      start: () => started.promise,
      pull: () => this.#onPull(),
      cancel: (reason) => this.#onCancel(reason),
      highWaterMark: readableMark,
      size: readableSize,
    });
    started.resolve(start());
  }

  enqueue(chunk) {
    if (!this.readable.canCloseOrEnqueue) throw new TypeError("the readable side is closed, closing or errored");
    try {
      this.readable.enqueue(chunk);
    } catch (error) {
      this.#failWritable(error);
      throw this.readable.storedError;
    }
    if (!this.readable.shouldPull && !this.#backpressure) this.#setBackpressure(true);
  }

  fail(error) {
    this.readable.fail(error);
    this.#failWritable(error);
  }

  terminate() {
    this.readable.close();
    this.#failWritable(new TypeError("the TransformStream was terminated"));
  }

  async #onWrite(chunk) {
    if (this.#backpressure) {
      await this.#backpressureChange.promise;
      if (this.writable.phase === "erroring") throw this.writable.storedError;
    }
    try {
      await this.#transform(chunk);
    } catch (error) {
      this.fail(error);
      throw error;
    }
  }

  #onClose() {
    return this.#finishWith(
      () => this.#flush(),
      () => {
        if (this.readable.phase === "errored") throw this.readable.storedError;
        this.readable.close();
      },
      (error) => this.readable.fail(error),
    );
  }

  #onAbort(reason) {
    return this.#finishWith(
      () => this.#cancel(reason),
      () => {
        if (this.readable.phase === "errored") throw this.readable.storedError;
        this.readable.fail(reason);
      },
      (error) => this.readable.fail(error),
    );
  }

  #onCancel(reason) {
    return this.#finishWith(
      () => this.#cancel(reason),
      () => {
        if (this.writable.phase === "errored") throw this.writable.storedError;
        this.#failWritable(reason);
      },
      (error) => this.#failWritable(error),
    );
  }

  #onPull() {
    this.#setBackpressure(false);
    return this.#backpressureChange.promise;
  }

  /** Runs the transformer's last method once, then tells the other side how it went. */
  #finishWith(method, onDone, onError) {
    if (this.#finish !== undefined) return this.#finish.promise;
    this.#finish = new Deferred();
    const result = callAsync(method);
    this.#clearAlgorithms();
    react(
      result,
      () => {
        try {
          onDone();
          this.#finish.resolve();
        } catch (error) {
          this.#finish.reject(error);
        }
      },
      (error) => {
        onError(error);
        this.#finish.reject(error);
      },
    );
    return this.#finish.promise;
  }

  #failWritable(error) {
    this.#clearAlgorithms();
    this.writable.errorIfNeeded(error);
    // A write that waits for the readable side must see the error.
    if (this.#backpressure) this.#setBackpressure(false);
  }

  #setBackpressure(backpressure) {
    this.#backpressureChange.resolve();
    this.#backpressureChange = new Deferred();
    this.#backpressure = backpressure;
  }

  #clearAlgorithms() {
    this.#transform = this.#flush = this.#cancel = noop;
  }
}

export class TransformStream {
  #readable;
  #writable;

  constructor(transformer = undefined, writableStrategy = undefined, readableStrategy = undefined) {
    transformer = toObject(transformer, "the transformer");
    writableStrategy = toStrategy(writableStrategy, "the writable strategy");
    readableStrategy = toStrategy(readableStrategy, "the readable strategy");
    const state = new TransformState();
    const controller = new TransformStreamDefaultController(state);
    const cancel = methodOf(transformer, "cancel", noop);
    const flush = methodOf(transformer, "flush", noop);
    const { readableType } = transformer;
    const start = methodOf(transformer, "start", noop);
    const transform = methodOf(transformer, "transform", (chunk) => state.enqueue(chunk));
    if (readableType !== undefined || transformer.writableType !== undefined) {
      throw new RangeError("a transformer has no readableType or writableType yet; leave them out");
    }
    this.#readable = new ReadableStream(state.readable);
    this.#writable = new WritableStream(state.writable);
    state.setUp({
      start: () => start(controller),
      transform: (chunk) => transform(chunk, controller),
      flush: () => flush(controller),
      cancel,
      readableMark: highWaterMarkOf(readableStrategy, 0),
      writableMark: highWaterMarkOf(writableStrategy, 1),
      writableSize: sizeOf(writableStrategy),
      readableSize: sizeOf(readableStrategy),
    });
  }

  get readable() {
    return this.#readable;
  }

  get writable() {
    return this.#writable;
  }
}

export class TransformStreamDefaultController {
  #state;

  constructor(state = undefined) {
    if (!(state instanceof TransformState)) throw new TypeError("Illegal constructor");
    this.#state = state;
  }

  get desiredSize() {
    return this.#state.readable.desiredSize;
  }

  enqueue(chunk = undefined) {
    this.#state.enqueue(chunk);
  }

  error(error = undefined) {
    this.#state.fail(error);
  }

  terminate() {
    this.#state.terminate();
  }
}

defineInterface(TransformStream);
defineInterface(TransformStreamDefaultController);
