// node:timers. https://nodejs.org/api/timers.html
import * as web from "../time/timers.js";
import { checkFunction } from "./internal/errors.js";
import { clearImmediate, setImmediate } from "./internal/immediate.js";
import promises from "./timers/promises.js";

/** The result of Node.js's own timer functions; it converts to a number. */
class Timeout {
  #arm;
  #id;
  #referenced = true;

  constructor(callback, delay, args, repeat) {
    this.#arm = () => (repeat ? web.setInterval : web.setTimeout)(callback, delay, ...args);
    this.#id = this.#arm();
  }

  static clear(timer) {
    web.clearTimeout(timer instanceof Timeout ? timer.#id : timer);
  }

  refresh() {
    web.clearTimeout(this.#id);
    this.#id = this.#arm();
    return this;
  }

  ref() {
    this.#referenced = true;
    return this;
  }

  unref() {
    this.#referenced = false;
    return this;
  }

  hasRef() {
    return this.#referenced;
  }

  close() {
    Timeout.clear(this);
    return this;
  }

  [Symbol.toPrimitive]() {
    return this.#id;
  }

  [Symbol.dispose]() {
    Timeout.clear(this);
  }
}

export function setTimeout(callback, delay = 1, ...args) {
  checkFunction(callback, "callback");
  return new Timeout(callback, delay, args, false);
}

export function setInterval(callback, delay = 1, ...args) {
  checkFunction(callback, "callback");
  return new Timeout(callback, delay, args, true);
}

export const clearTimeout = (timer) => Timeout.clear(timer);
export const clearInterval = clearTimeout;

export { clearImmediate, promises, setImmediate };
export default { setTimeout, setInterval, setImmediate, clearTimeout, clearInterval, clearImmediate, promises };
