// Byte streams: ReadableByteStreamController, ReadableStreamBYOBReader and ReadableStreamBYOBRequest.
// https://streams.spec.whatwg.org/#byob-reader-class (4.5), #rbs-controller-class (4.7), #rs-byob-request-class (4.8)
import { registry } from "../internal/registry.js";
import { dictionary } from "../webidl/conversions.js";
import { defineInterface } from "../webidl/interfaces.js";
import { enforceRange } from "./arguments.js";
import { ByteState, isDetached } from "./byte-state.js";
import { teeBytes } from "./byte-tee.js";
import { rejectOnThrow } from "./promises.js";
import { ReaderState } from "./readable-state.js";
import { isReadableStream, readableState } from "./readable.js";

/** Web IDL's ArrayBufferView: neither shared nor resizable. */
function toView(value, what) {
  if (!ArrayBuffer.isView(value)) throw new TypeError(`${what} must be a view on an ArrayBuffer`);
  const { buffer } = value;
  if (!(buffer instanceof ArrayBuffer)) throw new TypeError(`${what} must not be a view on a SharedArrayBuffer`);
  if (buffer.resizable) throw new TypeError(`${what} must not be a view on a resizable ArrayBuffer`);
  return value;
}

export class ReadableByteStreamController {
  #state;

  constructor(state = undefined) {
    if (!(state instanceof ByteState)) throw new TypeError("Illegal constructor");
    this.#state = state;
  }

  get byobRequest() {
    const state = this.#state;
    return state.byobRequest((view) => newRequest(state, view));
  }

  get desiredSize() {
    return this.#state.desiredSize;
  }

  close() {
    if (!this.#state.canCloseOrEnqueue) throw new TypeError("the stream is closed, closing or errored");
    this.#state.close();
  }

  enqueue(chunk) {
    const state = this.#state;
    toView(chunk, "a chunk of a byte stream");
    if (chunk.byteLength === 0) throw new TypeError("a chunk of a byte stream must not be empty");
    if (!state.canCloseOrEnqueue) throw new TypeError("cannot enqueue: the stream is closed, closing or errored");
    state.enqueue(chunk);
  }

  error(error = undefined) {
    this.#state.fail(error);
  }
}

/** A ReadableStreamBYOBRequest as a ByteState holds it. */
let newRequest;

// The argument for which the constructor does not throw. It is not exported, so no script has it.
const INTERNAL = Symbol("internal");

export class ReadableStreamBYOBRequest {
  /** Undefined when the request was fulfilled. */
  #state = undefined;
  #view = null;

  static {
    newRequest = (state, view) => {
      const object = new ReadableStreamBYOBRequest(INTERNAL);
      object.#state = state;
      object.#view = view;
      const invalidate = () => {
        object.#state = undefined;
        object.#view = null;
      };
      return { object, invalidate };
    };
  }

  constructor(token = undefined) {
    if (token !== INTERNAL) throw new TypeError("Illegal constructor");
  }

  get view() {
    return this.#view;
  }

  respond(bytesWritten) {
    const state = this.#state;
    if (arguments.length === 0) throw new TypeError("respond needs the number of bytes that were written");
    bytesWritten = enforceRange(bytesWritten, Number.MAX_SAFE_INTEGER, "the number of bytes written");
    if (state === undefined) throw new TypeError("this BYOB request was answered already");
    if (isDetached(this.#view.buffer)) throw new TypeError("the buffer of the view is detached; use respondWithNewView");
    state.respond(bytesWritten);
  }

  respondWithNewView(view) {
    const state = this.#state;
    toView(view, "the view of respondWithNewView");
    if (state === undefined) throw new TypeError("this BYOB request was answered already");
    if (isDetached(view.buffer)) throw new TypeError("the buffer of the view is detached");
    state.respondWithNewView(view);
  }
}

export class ReadableStreamBYOBReader {
  #state;

  constructor(stream) {
    if (!isReadableStream(stream)) throw new TypeError("a reader needs a ReadableStream");
    const state = readableState(stream);
    if (state.locked) throw new TypeError("the ReadableStream is already locked to a reader");
    if (!(state instanceof ByteState)) throw new TypeError('a BYOB reader needs a byte stream, one of type: "bytes"');
    this.#state = new ReaderState(state, true);
  }

  get closed() {
    return rejectOnThrow(() => this.#state.closed.promise);
  }

  cancel(reason = undefined) {
    return rejectOnThrow(() => this.#state.attached.cancel(reason));
  }

  read(view, options = undefined) {
    return rejectOnThrow(() => {
      const state = this.#state;
      toView(view, "the view to read into");
      let { min } = dictionary(options, "the options of read()");
      min = min === undefined ? 1 : enforceRange(min, Number.MAX_SAFE_INTEGER, "min");
      if (view.byteLength === 0) throw new TypeError("the view to read into must have room for something");
      if (isDetached(view.buffer)) throw new TypeError("the buffer of the view to read into is detached");
      if (min === 0) throw new TypeError("min must be at least 1");
      const length = view instanceof DataView ? view.byteLength : view.length;
      if (min > length) throw new RangeError(`min must be at most the ${length} elements of the view`);
      const { attached } = state;
      return new Promise((resolve, reject) => {
        attached.readInto(view, min, {
          chunk: (value) => resolve({ value, done: false }),
          close: (value) => resolve({ value, done: true }),
          error: reject,
        });
      });
    });
  }

  releaseLock() {
    this.#state.release();
  }
}

for (const cls of [ReadableByteStreamController, ReadableStreamBYOBReader, ReadableStreamBYOBRequest]) defineInterface(cls);

registry.byteStreams = {
  ByteState,
  teeBytes,
  newController: (state) => new ReadableByteStreamController(state),
  newReader: (stream) => new ReadableStreamBYOBReader(stream),
};
