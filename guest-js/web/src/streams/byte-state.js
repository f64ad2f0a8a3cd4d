// The internals of a readable byte stream: the slots and abstract operations of ReadableByteStreamController.
// https://streams.spec.whatwg.org/#rbs-controller-abstract-ops (4.9.5)
import { StreamState } from "./readable-state.js";

const { transfer } = ArrayBuffer.prototype;
const isDetachedGetter = Object.getOwnPropertyDescriptor(ArrayBuffer.prototype, "detached").get;

/** "TransferArrayBuffer": the buffer's memory in a new one, and the old one detached. */
function transferBuffer(buffer) {
  if (isDetached(buffer)) throw new TypeError("the ArrayBuffer is detached");
  return Reflect.apply(transfer, buffer, []);
}

/** Whether the memory is gone. A SharedArrayBuffer is never detached. */
export const isDetached = (buffer) => buffer instanceof ArrayBuffer && Reflect.apply(isDetachedGetter, buffer, []);

/**
 * "Pull-into descriptor": the buffer that a BYOB read, or a read of a stream with autoAllocateChunkSize, has to fill.
 */
class PullInto {
  buffer;
  bufferByteLength;
  byteOffset;
  byteLength;
  bytesFilled = 0;
  /** The number of bytes that fulfill the read. */
  minimumFill;
  elementSize;
  View;
  /** "default" or "byob", or "none" when its reader was released. */
  readerType;

  constructor(buffer, byteOffset, byteLength, minimumFill, View, readerType) {
    this.buffer = buffer;
    this.bufferByteLength = buffer.byteLength;
    this.byteOffset = byteOffset;
    this.byteLength = byteLength;
    this.minimumFill = minimumFill;
    this.elementSize = View.BYTES_PER_ELEMENT ?? 1;
    this.View = View;
    this.readerType = readerType;
  }

  /** "ReadableByteStreamControllerConvertPullIntoDescriptor" */
  toView() {
    return new this.View(transferBuffer(this.buffer), this.byteOffset, this.bytesFilled / this.elementSize);
  }

  /** The part that is not filled yet. */
  get rest() {
    return new Uint8Array(this.buffer, this.byteOffset + this.bytesFilled, this.byteLength - this.bytesFilled);
  }
}

export class ByteState extends StreamState {
  /** Uint8Arrays that have no other owner. */
  #queue = [];
  #queued = 0;
  #highWaterMark = 0;
  #autoAllocateChunkSize = undefined;
  #pending = [];
  /** The ReadableStreamBYOBRequest that a script has asked for, which has a function `invalidate`. */
  #byobRequest = undefined;

  setUp({ start, pull, cancel, highWaterMark, autoAllocateChunkSize }) {
    this.#highWaterMark = highWaterMark;
    this.#autoAllocateChunkSize = autoAllocateChunkSize;
    return this.begin(start, pull, cancel);
  }

  get desiredSize() {
    if (this.phase === "errored") return null;
    return this.phase === "closed" ? 0 : this.#highWaterMark - this.#queued;
  }

  /** The part that the first of the waiting reads still has to fill, or undefined. */
  get viewToFill() {
    return this.#pending[0]?.rest;
  }

  /** "ReadableByteStreamControllerGetBYOBRequest": `make` is called with the view when there is none yet. */
  byobRequest(make) {
    if (this.#pending.length === 0) return null;
    return (this.#byobRequest ??= make(this.viewToFill)).object;
  }

  close() {
    if (!this.canCloseOrEnqueue) return;
    if (this.#queued > 0) {
      this.closeRequested = true;
      return;
    }
    const first = this.#pending[0];
    if (first !== undefined && first.bytesFilled % first.elementSize !== 0) {
      const error = new TypeError("the stream is closed in the middle of an element of the view that is being filled");
      this.fail(error);
      throw error;
    }
    this.clearAlgorithms();
    this.finishClose();
  }

  /** Takes over the chunk's buffer. */
  enqueue(chunk) {
    if (!this.canCloseOrEnqueue) return;
    const { byteOffset, byteLength } = chunk;
    const bytes = new Uint8Array(transferBuffer(chunk.buffer), byteOffset, byteLength);
    const first = this.#pending[0];
    if (first !== undefined) {
      if (isDetached(first.buffer)) throw new TypeError("the buffer of the BYOB request is detached, so no chunk can be enqueued");
      this.#invalidateRequest();
      first.buffer = transferBuffer(first.buffer);
      if (first.readerType === "none") this.#enqueueDetached(first);
    }
    const { reader } = this;
    if (reader === undefined) {
      this.#push(bytes);
    } else if (reader.byob) {
      this.#push(bytes);
      this.#commitAll(this.#fillFromQueue());
    } else {
      while (reader.requests.length > 0 && this.#queued > 0) this.#fulfillFromQueue(reader.requests.shift());
      if (reader.requests.length === 0) {
        this.#push(bytes);
      } else {
        this.#pending.shift();
        reader.requests.shift().chunk(bytes);
      }
    }
    this.pullIfNeeded();
  }

  /** "ReadableByteStreamControllerRespond" */
  respond(bytesWritten) {
    const first = this.#pending[0];
    if (this.phase === "closed") {
      if (bytesWritten !== 0) throw new TypeError("the stream is closed: only respond(0) gives the buffer back");
    } else {
      if (bytesWritten === 0) throw new TypeError("respond(0) is for closed streams");
      if (first.bytesFilled + bytesWritten > first.byteLength) throw new RangeError("more bytes than the view has room for");
    }
    first.buffer = transferBuffer(first.buffer);
    this.#respond(bytesWritten);
  }

  /** "ReadableByteStreamControllerRespondWithNewView" */
  respondWithNewView(view) {
    const first = this.#pending[0];
    const { buffer, byteOffset, byteLength } = view;
    if (this.phase === "closed") {
      if (byteLength !== 0) throw new TypeError("the stream is closed: the view that gives the buffer back must be empty");
    } else if (byteLength === 0) {
      throw new TypeError("an empty view is for closed streams");
    }
    if (first.byteOffset + first.bytesFilled !== byteOffset) throw new RangeError("the view begins elsewhere than the request's");
    if (first.bufferByteLength !== buffer.byteLength) throw new RangeError("the view's buffer is of another length than the request's");
    if (first.bytesFilled + byteLength > first.byteLength) throw new RangeError("the view is longer than the request's");
    first.buffer = transferBuffer(buffer);
    this.#respond(byteLength);
  }

  /** "ReadableStreamDefaultReaderRead": exactly one of the request's chunk, close and error is called. */
  read(request) {
    this.disturbed = true;
    if (this.phase === "closed") return request.close();
    if (this.phase === "errored") return request.error(this.storedError);
    if (this.#queued > 0) return this.#fulfillFromQueue(request);
    const size = this.#autoAllocateChunkSize;
    if (size !== undefined) {
      let buffer;
      try {
        buffer = new ArrayBuffer(size);
      } catch (error) {
        return request.error(error);
      }
      this.#pending.push(new PullInto(buffer, 0, size, 1, Uint8Array, "default"));
    }
    this.reader.requests.push(request);
    this.pullIfNeeded();
  }

  /**
   * "ReadableStreamBYOBReaderRead": fills `view` with at least `min` elements. The request's `close` gets the empty view, or
   * undefined when the stream was cancelled.
   */
  readInto(view, min, request) {
    this.disturbed = true;
    if (this.phase === "errored") return request.error(this.storedError);
    const { byteOffset, byteLength } = view;
    const View = view instanceof DataView ? DataView : globalThis[view[Symbol.toStringTag]];
    let wanted;
    try {
      const buffer = transferBuffer(view.buffer);
      wanted = new PullInto(buffer, byteOffset, byteLength, min * (View.BYTES_PER_ELEMENT ?? 1), View, "byob");
    } catch (error) {
      return request.error(error);
    }
    if (this.#pending.length === 0) {
      if (this.phase === "closed") return request.close(new View(wanted.buffer, wanted.byteOffset, 0));
      if (this.#queued > 0) {
        if (this.#fill(wanted)) {
          const filled = wanted.toView();
          this.#drained();
          return request.chunk(filled);
        }
        if (this.closeRequested) {
          const error = new TypeError("the stream ends in the middle of an element of the view");
          this.fail(error);
          return request.error(error);
        }
      }
    }
    this.#pending.push(wanted);
    this.reader.requests.push(request);
    this.pullIfNeeded();
  }

  resetQueue() {
    this.#invalidateRequest();
    this.#pending = [];
    this.#queue = [];
    this.#queued = 0;
  }

  /** Bytes that the source fills for a reader that is gone are for the next one. */
  releaseRequests() {
    if (this.#pending.length === 0) return;
    this.#pending.length = 1;
    this.#pending[0].readerType = "none";
  }

  #push(bytes) {
    this.#queue.push(bytes);
    this.#queued += bytes.byteLength;
  }

  #shift() {
    const bytes = this.#queue.shift();
    this.#queued -= bytes.byteLength;
    return bytes;
  }

  #fulfillFromQueue(request) {
    const bytes = this.#shift();
    this.#drained();
    request.chunk(bytes);
  }

  /** "ReadableByteStreamControllerHandleQueueDrain" */
  #drained() {
    if (this.#queued > 0 || !this.closeRequested) {
      this.pullIfNeeded();
      return;
    }
    this.clearAlgorithms();
    this.finishClose();
  }

  /** "ReadableByteStreamControllerFillPullIntoDescriptorFromQueue": whether it is full enough to be handed over. */
  #fill(wanted) {
    const most = wanted.bytesFilled + Math.min(this.#queued, wanted.byteLength - wanted.bytesFilled);
    const aligned = most - (most % wanted.elementSize);
    const isReady = aligned >= wanted.minimumFill;
    const end = isReady ? aligned : most;
    while (wanted.bytesFilled < end) {
      const [head] = this.#queue;
      const count = Math.min(end - wanted.bytesFilled, head.byteLength);
      wanted.rest.set(head.subarray(0, count));
      wanted.bytesFilled += count;
      if (count === head.byteLength) this.#queue.shift();
      else this.#queue[0] = head.subarray(count);
      this.#queued -= count;
    }
    return isReady;
  }

  /** "ReadableByteStreamControllerProcessPullIntoDescriptorsUsingQueue" */
  #fillFromQueue() {
    const filled = [];
    while (this.#pending.length > 0 && this.#queued > 0 && this.#fill(this.#pending[0])) filled.push(this.#pending.shift());
    return filled;
  }

  /** "ReadableByteStreamControllerCommitPullIntoDescriptor", of each. */
  #commitAll(filled) {
    for (const wanted of filled) {
      const view = wanted.toView();
      const request = this.reader.requests.shift();
      if (this.phase === "closed") request.close(view);
      else request.chunk(view);
    }
  }

  #respond(bytesWritten) {
    const first = this.#pending[0];
    this.#invalidateRequest();
    if (this.phase === "closed") this.#respondClosed(first);
    else this.#respondReadable(first, bytesWritten);
    this.pullIfNeeded();
  }

  #respondClosed(first) {
    if (first.readerType === "none") this.#pending.shift();
    if (this.reader?.byob) this.#commitAll(this.#pending.splice(0, this.reader.requests.length));
  }

  #respondReadable(first, bytesWritten) {
    first.bytesFilled += bytesWritten;
    if (first.readerType === "none") {
      this.#enqueueDetached(first);
      this.#commitAll(this.#fillFromQueue());
      return;
    }
    if (first.bytesFilled < first.minimumFill) return;
    this.#pending.shift();
    // Bytes that do not make a whole element are for the next read.
    const remainder = first.bytesFilled % first.elementSize;
    if (remainder > 0) {
      const end = first.byteOffset + first.bytesFilled;
      this.#push(new Uint8Array(first.buffer.slice(end - remainder, end)));
      first.bytesFilled -= remainder;
    }
    this.#commitAll([first, ...this.#fillFromQueue()]);
  }

  /** "ReadableByteStreamControllerEnqueueDetachedPullIntoToQueue" */
  #enqueueDetached(first) {
    const { buffer, byteOffset, bytesFilled } = first;
    if (bytesFilled > 0) this.#push(new Uint8Array(buffer.slice(byteOffset, byteOffset + bytesFilled)));
    this.#pending.shift();
  }

  #invalidateRequest() {
    this.#byobRequest?.invalidate();
    this.#byobRequest = undefined;
  }
}
