// setImmediate: a timer that is due at once. https://nodejs.org/api/timers.html#class-immediate
import native from "elias:native";
import { checkFunction } from "./errors.js";

class Immediate {
  #id;
  #referenced = true;

  constructor(callback, args) {
    this.#id = native.setTimer(args.length === 0 ? callback : () => callback(...args), 0, false, true);
  }

  static clear(immediate) {
    if (immediate instanceof Immediate) native.clearTimer(immediate.#id);
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

  [Symbol.dispose]() {
    Immediate.clear(this);
  }
}

export function setImmediate(callback, ...args) {
  checkFunction(callback, "callback");
  return new Immediate(callback, args);
}

export function clearImmediate(immediate) {
  Immediate.clear(immediate);
}
