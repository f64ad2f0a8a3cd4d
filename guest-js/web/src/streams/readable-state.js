// The internals of a readable stream: the slots and abstract operations of ReadableStream, its default controller and its
// readers. https://streams.spec.whatwg.org/#rs-abstract-ops (4.9)
//
// A stream and its controller live and die together, so one object holds the slots of both. What they are called by is never
// a script's object, so nothing here looks anything up on one.
import { Deferred, callAsync, noop, promiseResolvedWith, react } from "./promises.js";
import { SizedQueue } from "./queue.js";
import { defaultSize } from "./strategies.js";

/** The common part of the two kinds of controllers. A kind adds desiredSize, resetQueue, read and releaseRequests. */
export class StreamState {
  /** "readable", "closed" or "errored". */
  phase = "readable";
  storedError = undefined;
  disturbed = false;
  /** The ReaderState that has the lock, or undefined. */
  reader = undefined;
  closeRequested = false;

  #started = false;
  #pulling = false;
  #pullAgain = false;
  #pull = noop;
  #cancel = noop;

  /** "SetUpReadableStreamDefaultController" (4.9.4) and its like for bytes. The start function may throw, and then so does this. */
  begin(start, pull, cancel) {
    this.#pull = pull;
    this.#cancel = cancel;
    react(
      promiseResolvedWith(start()),
      () => {
        this.#started = true;
        this.pullIfNeeded();
      },
      (error) => this.fail(error),
    );
    return this;
  }

  get locked() {
    return this.reader !== undefined;
  }

  get canCloseOrEnqueue() {
    return !this.closeRequested && this.phase === "readable";
  }

  get shouldPull() {
    if (!this.canCloseOrEnqueue || !this.#started) return false;
    return this.reader?.requests.length > 0 || this.desiredSize > 0;
  }

  /** "ReadableStreamDefaultControllerError", "ReadableByteStreamControllerError". */
  fail(error) {
    if (this.phase !== "readable") return;
    this.resetQueue();
    this.clearAlgorithms();
    this.phase = "errored";
    this.storedError = error;
    const { reader } = this;
    if (reader === undefined) return;
    reader.closed.rejectHandled(error);
    reader.errorRequests(error);
  }

  /** "ReadableStreamCancel". */
  cancel(reason) {
    this.disturbed = true;
    if (this.phase === "closed") return promiseResolvedWith(undefined);
    if (this.phase === "errored") return Promise.reject(this.storedError);
    this.finishClose();
    if (this.reader?.byob) for (const request of this.reader.takeRequests()) request.close(undefined);
    this.resetQueue();
    const result = callAsync(this.#cancel, reason);
    this.clearAlgorithms();
    return react(result, noop);
  }

  /** "ReadableStreamClose". The requests of a BYOB reader wait for their buffers to come back. */
  finishClose() {
    this.phase = "closed";
    const { reader } = this;
    if (reader === undefined) return;
    reader.closed.resolve();
    if (!reader.byob) for (const request of reader.takeRequests()) request.close();
  }

  pullIfNeeded() {
    if (!this.shouldPull) return;
    if (this.#pulling) {
      this.#pullAgain = true;
      return;
    }
    this.#pulling = true;
    react(
      callAsync(this.#pull),
      () => {
        this.#pulling = false;
        if (this.#pullAgain) {
          this.#pullAgain = false;
          this.pullIfNeeded();
        }
      },
      (error) => this.fail(error),
    );
  }

  /** Lets go of the underlying source, so that it can be collected before the stream is. */
  clearAlgorithms() {
    this.#pull = this.#cancel = noop;
  }
}

/** A stream of any values: the slots of ReadableStreamDefaultController. */
export class ReadableState extends StreamState {
  #queue = new SizedQueue();
  #size = defaultSize;
  #highWaterMark = 1;

  setUp({ start, pull, cancel, highWaterMark, size }) {
    this.#size = size;
    this.#highWaterMark = highWaterMark;
    return this.begin(start, pull, cancel);
  }

  get desiredSize() {
    if (this.phase === "errored") return null;
    return this.phase === "closed" ? 0 : this.#highWaterMark - this.#queue.total;
  }

  /** "ReadableStreamDefaultControllerClose": what is queued is still read. */
  close() {
    if (!this.canCloseOrEnqueue) return;
    this.closeRequested = true;
    if (this.#queue.length === 0) {
      this.clearAlgorithms();
      this.finishClose();
    }
  }

  enqueue(chunk) {
    if (!this.canCloseOrEnqueue) return;
    if (this.reader?.requests.length > 0) {
      this.reader.requests.shift().chunk(chunk);
    } else {
      try {
        this.#queue.push(chunk, this.#size(chunk));
      } catch (error) {
        this.fail(error);
        throw error;
      }
    }
    this.pullIfNeeded();
  }

  /** "ReadableStreamDefaultReaderRead": exactly one of the request's chunk, close and error is called. */
  read(request) {
    this.disturbed = true;
    if (this.phase === "closed") {
      request.close();
    } else if (this.phase === "errored") {
      request.error(this.storedError);
    } else if (this.#queue.length > 0) {
      const chunk = this.#queue.shift();
      if (this.closeRequested && this.#queue.length === 0) {
        this.clearAlgorithms();
        this.finishClose();
      } else {
        this.pullIfNeeded();
      }
      request.chunk(chunk);
    } else {
      this.reader.requests.push(request);
      this.pullIfNeeded();
    }
  }

  resetQueue() {
    this.#queue.clear();
  }

  releaseRequests() {}

  clearAlgorithms() {
    super.clearAlgorithms();
    this.#size = defaultSize;
  }
}

/** The lock on a stream, with the read requests that wait for a chunk. */
export class ReaderState {
  stream;
  requests = [];
  closed;
  /** Whether the requests are those of a ReadableStreamBYOBReader. */
  byob;

  constructor(stream, byob = false) {
    if (stream.locked) throw new TypeError("the ReadableStream is already locked to a reader");
    this.stream = stream;
    this.byob = byob;
    stream.reader = this;
    if (stream.phase === "readable") this.closed = new Deferred();
    else if (stream.phase === "closed") this.closed = Deferred.resolved();
    else this.closed = Deferred.rejected(stream.storedError);
  }

  /** The stream, or a TypeError if the lock on it was released. */
  get attached() {
    if (this.stream === undefined) throw new TypeError("the reader was released and has no stream any more");
    return this.stream;
  }

  takeRequests() {
    const { requests } = this;
    this.requests = [];
    return requests;
  }

  errorRequests(error) {
    for (const request of this.takeRequests()) request.error(error);
  }

  /** A read as a promise of { value, done }. */
  readAsync() {
    const { attached } = this;
    return new Promise((resolve, reject) => {
      attached.read({
        chunk: (value) => resolve({ value, done: false }),
        close: () => resolve({ value: undefined, done: true }),
        error: reject,
      });
    });
  }

  release() {
    const { stream } = this;
    if (stream === undefined) return;
    const error = new TypeError("the reader was released");
    if (stream.phase === "readable") this.closed.rejectHandled(error);
    else this.closed = Deferred.rejected(error);
    stream.releaseRequests();
    stream.reader = undefined;
    this.stream = undefined;
    this.errorRequests(error);
  }
}
