// node:stream. https://nodejs.org/api/stream.html
import stream from "../vendor/node/readable-stream.js";
import { invalidArgType } from "./internal/errors.js";
import promises from "./stream/promises.js";

Object.defineProperty(stream, "promises", { value: promises, configurable: true, enumerable: true });

export const {
  Stream, Readable, Writable, Duplex, Transform, PassThrough, addAbortSignal, compose, destroy, finished, pipeline,
  getDefaultHighWaterMark, setDefaultHighWaterMark, isDisturbed, isErrored, isReadable, isWritable,
} = stream;

const toBytes = (chunk) => (typeof chunk === "string" ? new TextEncoder().encode(chunk) : chunk);

// The bridges to the streams of the web, which the package leaves out.
Readable.fromWeb = function fromWeb(source, options = undefined) {
  if (!(source instanceof ReadableStream)) throw invalidArgType("readableStream", "ReadableStream", source);
  const reader = source.getReader();
  return new Readable({
    ...options,
    async read() {
      try {
        const { value, done } = await reader.read();
        this.push(done ? null : value);
      } catch (error) {
        this.destroy(error);
      }
    },
    destroy(error, callback) {
      reader.cancel(error ?? undefined).then(() => callback(error), callback);
    },
  });
};

Readable.toWeb = function toWeb(source) {
  if (typeof source?.[Symbol.asyncIterator] !== "function") {
    throw invalidArgType("streamReadable", "stream.Readable", source);
  }
  const iterator = source[Symbol.asyncIterator]();
  return new ReadableStream({
    async pull(controller) {
      const { value, done } = await iterator.next();
      if (done) controller.close();
      else controller.enqueue(source.readableObjectMode ? value : toBytes(value));
    },
    cancel(reason) {
      source.destroy(reason instanceof Error ? reason : undefined);
    },
  });
};

Writable.fromWeb = function fromWeb(sink, options = undefined) {
  if (!(sink instanceof WritableStream)) throw invalidArgType("writableStream", "WritableStream", sink);
  const writer = sink.getWriter();
  return new Writable({
    ...options,
    write(chunk, _encoding, callback) {
      writer.write(chunk).then(() => callback(), callback);
    },
    final(callback) {
      writer.close().then(() => callback(), callback);
    },
    destroy(error, callback) {
      if (error === null) return callback(null);
      writer.abort(error).then(() => callback(error), callback);
    },
  });
};

Writable.toWeb = function toWeb(sink) {
  return new WritableStream({
    write: (chunk) =>
      new Promise((resolve, reject) => sink.write(chunk, (error) => (error ? reject(error) : resolve()))),
    close: () => new Promise((resolve, reject) => {
      sink.once("error", reject);
      sink.end(resolve);
    }),
    abort: (reason) => sink.destroy(reason instanceof Error ? reason : new Error(`${reason}`)),
  });
};

Duplex.toWeb = (duplex) => ({ readable: Readable.toWeb(duplex), writable: Writable.toWeb(duplex) });

export { promises };
export default stream;
