// The internals of a readable stream: the slots and abstract operations of ReadableStream, its default controller and its
// default reader. https://streams.spec.whatwg.org/#rs-abstract-ops (4.9)
//
// A stream and its controller live and die together, so one object holds the slots of both.
import { Deferred, SizedQueue, callAsync, noop, one } from "./queue.js";

export class ReadableState {
  /** "readable", "closed" or "errored". */
  phase = "readable";
  storedError = undefined;
  disturbed = false;
  /** The ReaderState that has the lock, or undefined. */
  reader = undefined;

  queue = new SizedQueue();
  #started = false;
  #closeRequested = false;
  #pulling = false;
  #pullAgain = false;
  #pull = noop;
  #cancel = noop;
  #size = one;
  #highWaterMark = 1;

  /** "SetUpReadableStreamDefaultController" (4.9.5). The start function may throw, and then so does this. */
  setUp({ start = noop, pull = noop, cancel = noop, highWaterMark = 1, size = one }) {
    this.#pull = pull;
    this.#cancel = cancel;
    this.#size = size;
    this.#highWaterMark = highWaterMark;
    Promise.resolve(start()).then(
      () => {
        this.#started = true;
        this.#callPullIfNeeded();
      },
      (error) => this.fail(error),
    );
    return this;
  }

  get locked() {
    return this.reader !== undefined;
  }

  get desiredSize() {
    if (this.phase === "errored") return null;
    return this.phase === "closed" ? 0 : this.#highWaterMark - this.queue.total;
  }

  get canCloseOrEnqueue() {
    return !this.#closeRequested && this.phase === "readable";
  }

  get shouldPull() {
    if (!this.canCloseOrEnqueue || !this.#started) return false;
    return this.reader?.requests.length > 0 || this.desiredSize > 0;
  }

  /** "ReadableStreamDefaultControllerClose": what is queued is still read. */
  close() {
    if (!this.canCloseOrEnqueue) return;
    this.#closeRequested = true;
    if (this.queue.length === 0) {
      this.#clearAlgorithms();
      this.#finishClose();
    }
  }

  enqueue(chunk) {
    if (!this.canCloseOrEnqueue) return;
    if (this.reader?.requests.length > 0) {
      this.reader.requests.shift().chunk(chunk);
    } else {
      try {
        this.queue.push(chunk, this.#size(chunk));
      } catch (error) {
        this.fail(error);
        throw error;
      }
    }
    this.#callPullIfNeeded();
  }

  /** "ReadableStreamDefaultControllerError". */
  fail(error) {
    if (this.phase !== "readable") return;
    this.queue.clear();
    this.#clearAlgorithms();
    this.phase = "errored";
    this.storedError = error;
    const { reader } = this;
    if (reader === undefined) return;
    reader.closed.rejectHandled(error);
    reader.errorRequests(error);
  }

  cancel(reason) {
    this.disturbed = true;
    if (this.phase === "closed") return Promise.resolve();
    if (this.phase === "errored") return Promise.reject(this.storedError);
    this.#finishClose();
    this.queue.clear();
    const result = callAsync(this.#cancel, reason);
    this.#clearAlgorithms();
    return result.then(noop);
  }

  /** "ReadableStreamDefaultReaderRead": exactly one of the request's chunk, close and error is called. */
  read(request) {
    this.disturbed = true;
    if (this.phase === "closed") {
      request.close();
    } else if (this.phase === "errored") {
      request.error(this.storedError);
    } else if (this.queue.length > 0) {
      const chunk = this.queue.shift();
      if (this.#closeRequested && this.queue.length === 0) {
        this.#clearAlgorithms();
        this.#finishClose();
      } else {
        this.#callPullIfNeeded();
      }
      request.chunk(chunk);
    } else {
      this.reader.requests.push(request);
      this.#callPullIfNeeded();
    }
  }

  #finishClose() {
    this.phase = "closed";
    const { reader } = this;
    if (reader === undefined) return;
    reader.closed.resolve();
    for (const request of reader.takeRequests()) request.close();
  }

  #callPullIfNeeded() {
    if (!this.shouldPull) return;
    if (this.#pulling) {
      this.#pullAgain = true;
      return;
    }
    this.#pulling = true;
    callAsync(this.#pull).then(
      () => {
        this.#pulling = false;
        if (this.#pullAgain) {
          this.#pullAgain = false;
          this.#callPullIfNeeded();
        }
      },
      (error) => this.fail(error),
    );
  }

  /** Lets go of the underlying source, so that it can be collected before the stream is. */
  #clearAlgorithms() {
    this.#pull = this.#cancel = noop;
    this.#size = one;
  }
}

/** The lock on a stream, with the read requests that wait for a chunk. */
export class ReaderState {
  stream;
  requests = [];
  closed;

  constructor(stream) {
    if (stream.locked) throw new TypeError("the ReadableStream is already locked to a reader");
    this.stream = stream;
    stream.reader = this;
    if (stream.phase === "readable") this.closed = new Deferred();
    else if (stream.phase === "closed") this.closed = Deferred.resolved();
    else this.closed = Deferred.rejected(stream.storedError);
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
    return new Promise((resolve, reject) => {
      this.stream.read({
        chunk: (value) => resolve({ value, done: false }),
        close: () => resolve({ value: undefined, done: true }),
        error: reject,
      });
    });
  }

  release() {
    if (this.stream === undefined) return;
    const error = new TypeError("the reader was released");
    if (this.closed.pending) this.closed.rejectHandled(error);
    else this.closed = Deferred.rejected(error);
    this.stream.reader = undefined;
    this.stream = undefined;
    this.errorRequests(error);
  }
}
