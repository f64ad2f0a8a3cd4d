// Queue-with-sizes: the chunks of a stream and their total size. https://streams.spec.whatwg.org/#queue-with-sizes (8.1)

/** A queue of chunks that knows their total size. */
export class SizedQueue {
  #chunks = [];
  #sizes = [];
  total = 0;

  get length() {
    return this.#chunks.length;
  }

  get first() {
    return this.#chunks[0];
  }

  push(chunk, size) {
    size = Number(size);
    if (!(size >= 0 && size < Infinity)) throw new RangeError(`the size of a chunk must be finite and not negative, not ${size}`);
    this.#chunks.push(chunk);
    this.#sizes.push(size);
    this.total += size;
  }

  shift() {
    // Rounding errors of fractional sizes must not make the total negative.
    this.total = Math.max(0, this.total - this.#sizes.shift());
    return this.#chunks.shift();
  }

  clear() {
    this.#chunks = [];
    this.#sizes = [];
    this.total = 0;
  }
}
