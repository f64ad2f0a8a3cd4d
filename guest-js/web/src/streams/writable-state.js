// The internals of a writable stream: the slots and abstract operations of WritableStream, its controller and its writer.
// https://streams.spec.whatwg.org/#ws-abstract-ops (5.4, 5.5)
import { registry } from "../internal/registry.js";
import { Deferred, callAsync, noop, promiseResolvedWith, react } from "./promises.js";
import { SizedQueue } from "./queue.js";
import { defaultSize } from "./strategies.js";

/** In the queue, the mark that close() was called. */
const CLOSE = Symbol("close");

export class WritableState {
  /** "writable", "erroring", "errored" or "closed". */
  phase = "writable";
  storedError = undefined;
  /** The WriterState that has the lock, or undefined. */
  writer = undefined;
  backpressure = false;

  #queue = new SizedQueue();
  #writeRequests = [];
  #inFlightWrite = undefined;
  #closeRequest = undefined;
  #inFlightClose = undefined;
  #pendingAbort = undefined;
  #started = false;
  #write = noop;
  #close = noop;
  #abort = noop;
  #size = defaultSize;
  #highWaterMark = 1;
  #abortController = undefined;
  #abortSignalled = undefined;

  /** "SetUpWritableStreamDefaultController" (5.5.4). The start function may throw, and then so does this. */
  setUp({ start, write, close, abort, highWaterMark, size }) {
    this.#write = write;
    this.#close = close;
    this.#abort = abort;
    this.#size = size;
    this.#highWaterMark = highWaterMark;
    this.#updateBackpressure();
    react(
      promiseResolvedWith(start()),
      () => {
        this.#started = true;
        this.#advance();
      },
      (error) => {
        this.#started = true;
        this.#dealWithRejection(error);
      },
    );
    return this;
  }

  get locked() {
    return this.writer !== undefined;
  }

  get closeQueuedOrInFlight() {
    return this.#closeRequest !== undefined || this.#inFlightClose !== undefined;
  }

  get desiredSize() {
    if (this.phase === "errored" || this.phase === "erroring") return null;
    return this.phase === "closed" ? 0 : this.#highWaterMark - this.#queue.total;
  }

  /** The controller's signal. Made when a sink asks for it, so that a pipe needs no AbortController. */
  get signal() {
    if (this.#abortController === undefined) {
      if (registry.AbortController === undefined) throw new TypeError("controller.signal needs AbortController; mention it in the source");
      this.#abortController = new registry.AbortController();
      if (this.#abortSignalled !== undefined) this.#abortController.abort(this.#abortSignalled.reason);
    }
    return this.#abortController.signal;
  }

  abort(reason) {
    if (this.phase === "closed" || this.phase === "errored") return promiseResolvedWith(undefined);
    this.#abortSignalled = { reason };
    this.#abortController?.abort(reason);
    // A listener of the signal may have ended the stream.
    if (this.phase === "closed" || this.phase === "errored") return promiseResolvedWith(undefined);
    if (this.#pendingAbort !== undefined) return this.#pendingAbort.done.promise;
    const wasErroring = this.phase === "erroring";
    const done = new Deferred();
    this.#pendingAbort = { done, reason: wasErroring ? undefined : reason, wasErroring };
    if (!wasErroring) this.#startErroring(reason);
    return done.promise;
  }

  close() {
    if (this.phase === "closed" || this.phase === "errored") {
      return Promise.reject(new TypeError(`cannot close a WritableStream that is ${this.phase}`));
    }
    this.#closeRequest = new Deferred();
    const { promise } = this.#closeRequest;
    if (this.writer !== undefined && this.backpressure && this.phase === "writable") this.writer.ready.resolve();
    this.#queue.push(CLOSE, 0);
    this.#advance();
    return promise;
  }

  /** "WritableStreamDefaultControllerGetChunkSize": a size function that throws errors the stream. */
  chunkSize(chunk) {
    try {
      return this.#size(chunk);
    } catch (error) {
      this.errorIfNeeded(error);
      return 1;
    }
  }

  /** Adds a write request for a chunk of that size; the caller has checked that the stream is writable. */
  write(chunk, size) {
    const request = new Deferred();
    this.#writeRequests.push(request);
    try {
      this.#queue.push(chunk, size);
    } catch (error) {
      this.errorIfNeeded(error);
      return request.promise;
    }
    if (!this.closeQueuedOrInFlight && this.phase === "writable") this.#updateBackpressure();
    this.#advance();
    return request.promise;
  }

  errorIfNeeded(error) {
    if (this.phase !== "writable") return;
    this.#clearAlgorithms();
    this.#startErroring(error);
  }

  #advance() {
    if (!this.#started || this.#inFlightWrite !== undefined) return;
    if (this.phase === "erroring") {
      this.#finishErroring();
    } else if (this.#queue.length > 0 && (this.phase === "writable" || this.phase === "closed")) {
      if (this.#queue.first === CLOSE) this.#processClose();
      else this.#processWrite(this.#queue.first);
    }
  }

  #processClose() {
    this.#inFlightClose = this.#closeRequest;
    this.#closeRequest = undefined;
    this.#queue.shift();
    const closed = callAsync(this.#close);
    this.#clearAlgorithms();
    react(
      closed,
      () => this.#finishInFlightClose(),
      (error) => {
        this.#inFlightClose.reject(error);
        this.#inFlightClose = undefined;
        this.#pendingAbort?.done.reject(error);
        this.#pendingAbort = undefined;
        this.#dealWithRejection(error);
      },
    );
  }

  #finishInFlightClose() {
    this.#inFlightClose.resolve();
    this.#inFlightClose = undefined;
    if (this.phase === "erroring") {
      // The close came through before the abort: the abort has nothing left to do.
      this.storedError = undefined;
      this.#pendingAbort?.done.resolve();
      this.#pendingAbort = undefined;
    }
    this.phase = "closed";
    this.writer?.closed.resolve();
  }

  #processWrite(chunk) {
    this.#inFlightWrite = this.#writeRequests.shift();
    react(
      callAsync(this.#write, chunk),
      () => {
        this.#inFlightWrite.resolve();
        this.#inFlightWrite = undefined;
        this.#queue.shift();
        if (!this.closeQueuedOrInFlight && this.phase === "writable") this.#updateBackpressure();
        this.#advance();
      },
      (error) => {
        if (this.phase === "writable") this.#clearAlgorithms();
        this.#inFlightWrite.reject(error);
        this.#inFlightWrite = undefined;
        this.#dealWithRejection(error);
      },
    );
  }

  #dealWithRejection(error) {
    if (this.phase === "writable") this.#startErroring(error);
    else this.#finishErroring();
  }

  #startErroring(reason) {
    this.phase = "erroring";
    this.storedError = reason;
    this.writer?.ensureReadyRejected(reason);
    if (this.#inFlightWrite === undefined && this.#inFlightClose === undefined && this.#started) this.#finishErroring();
  }

  #finishErroring() {
    this.phase = "errored";
    this.#queue.clear();
    for (const request of this.#writeRequests) request.reject(this.storedError);
    this.#writeRequests = [];
    const pending = this.#pendingAbort;
    this.#pendingAbort = undefined;
    if (pending === undefined) {
      this.#rejectCloseAndClosed();
    } else if (pending.wasErroring) {
      pending.done.reject(this.storedError);
      this.#rejectCloseAndClosed();
    } else {
      const aborted = callAsync(this.#abort, pending.reason);
      this.#clearAlgorithms();
      react(
        aborted,
        () => {
          pending.done.resolve();
          this.#rejectCloseAndClosed();
        },
        (error) => {
          pending.done.reject(error);
          this.#rejectCloseAndClosed();
        },
      );
    }
  }

  #rejectCloseAndClosed() {
    this.#closeRequest?.reject(this.storedError);
    this.#closeRequest = undefined;
    this.writer?.closed.rejectHandled(this.storedError);
  }

  #updateBackpressure() {
    const backpressure = this.desiredSize <= 0;
    if (this.writer !== undefined && backpressure !== this.backpressure) {
      if (backpressure) this.writer.ready = new Deferred();
      else this.writer.ready.resolve();
    }
    this.backpressure = backpressure;
  }

  /** Lets go of the underlying sink, so that it can be collected before the stream is. */
  #clearAlgorithms() {
    this.#write = this.#close = this.#abort = noop;
    this.#size = defaultSize;
  }
}

/** The lock on a stream. */
export class WriterState {
  stream;
  ready;
  closed;

  constructor(stream) {
    if (stream.locked) throw new TypeError("the WritableStream is already locked to a writer");
    this.stream = stream;
    stream.writer = this;
    const { phase, storedError } = stream;
    if (phase === "writable") {
      this.ready = stream.backpressure && !stream.closeQueuedOrInFlight ? new Deferred() : Deferred.resolved();
      this.closed = new Deferred();
    } else if (phase === "erroring") {
      this.ready = Deferred.rejected(storedError);
      this.closed = new Deferred();
    } else if (phase === "closed") {
      this.ready = Deferred.resolved();
      this.closed = Deferred.resolved();
    } else {
      this.ready = Deferred.rejected(storedError);
      this.closed = Deferred.rejected(storedError);
    }
  }

  /** "WritableStreamDefaultWriterWrite". */
  write(chunk) {
    const { stream } = this;
    const size = stream.chunkSize(chunk);
    // The size function is a script's and may have released the writer.
    if (stream !== this.stream) return Promise.reject(new TypeError("the writer was released"));
    if (stream.phase === "errored" || stream.phase === "erroring") return Promise.reject(stream.storedError);
    if (stream.closeQueuedOrInFlight || stream.phase === "closed") {
      return Promise.reject(new TypeError("cannot write to a WritableStream that is closed or closing"));
    }
    return stream.write(chunk, size);
  }

  /** "WritableStreamDefaultWriterCloseWithErrorPropagation". */
  closeWithErrorPropagation() {
    const { stream } = this;
    if (stream.closeQueuedOrInFlight || stream.phase === "closed") return promiseResolvedWith(undefined);
    if (stream.phase === "errored") return Promise.reject(stream.storedError);
    return stream.close();
  }

  ensureReadyRejected(error) {
    if (this.ready.pending) this.ready.rejectHandled(error);
    else this.ready = Deferred.rejected(error);
  }

  release() {
    if (this.stream === undefined) return;
    const error = new TypeError("the writer was released");
    this.ensureReadyRejected(error);
    if (this.closed.pending) this.closed.rejectHandled(error);
    else this.closed = Deferred.rejected(error);
    this.stream.writer = undefined;
    this.stream = undefined;
  }
}
