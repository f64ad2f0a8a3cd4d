// Queuing strategies: CountQueuingStrategy and ByteLengthQueuingStrategy. https://streams.spec.whatwg.org/#qs (7)
import { dictionary } from "../webidl/conversions.js";
import { defineInterface } from "../webidl/interfaces.js";

/** A queuing strategy as { highWaterMark, size }, each undefined if it is left out. */
export function toStrategy(value, what) {
  const strategy = dictionary(value, what);
  const mark = strategy.highWaterMark;
  const highWaterMark = mark === undefined ? undefined : Number(mark);
  const { size } = strategy;
  if (size !== undefined && typeof size !== "function") throw new TypeError("the size of a queuing strategy must be a function");
  return { highWaterMark, size };
}

/** "ExtractHighWaterMark" (7.4). */
export function highWaterMarkOf({ highWaterMark = undefined }, fallback) {
  if (highWaterMark === undefined) return fallback;
  if (!(highWaterMark >= 0)) throw new RangeError(`highWaterMark must be a number that is not negative, not ${highWaterMark}`);
  return highWaterMark;
}

/** "ExtractSizeAlgorithm" (7.4). */
export const sizeOf = ({ size }) => (size === undefined ? defaultSize : (chunk) => size(chunk));

/** The size of a chunk without a strategy that measures it. */
export const defaultSize = () => 1;

function markFromInit(init) {
  const { highWaterMark } = dictionary(init, "the argument of a queuing strategy");
  if (highWaterMark === undefined) throw new TypeError("a queuing strategy needs { highWaterMark }");
  return Number(highWaterMark);
}

const count = { size: () => 1 }.size;
const byteLength = { size: (chunk) => chunk.byteLength }.size;

export class CountQueuingStrategy {
  #mark;

  constructor(init) {
    this.#mark = markFromInit(init);
  }

  get highWaterMark() {
    return this.#mark;
  }

  get size() {
    void this.#mark;
    return count;
  }
}

export class ByteLengthQueuingStrategy {
  #mark;

  constructor(init) {
    this.#mark = markFromInit(init);
  }

  get highWaterMark() {
    return this.#mark;
  }

  get size() {
    void this.#mark;
    return byteLength;
  }
}

defineInterface(CountQueuingStrategy);
defineInterface(ByteLengthQueuingStrategy);
