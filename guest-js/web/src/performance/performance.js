// Performance: the monotonic clock. https://www.w3.org/TR/hr-time-3/#sec-performance (7)
import native from "elias:native";
import { EventTarget } from "../events/event-target.js";
import { defineGlobals, defineInterface } from "../webidl/interfaces.js";

// The argument for which the constructor does not throw. It is not exported, so no script has it.
const INTERNAL = Symbol("internal");

export class Performance extends EventTarget {
  // When the instance started by the wall clock. Read late: there is no clock while the snapshot is made.
  #timeOrigin = undefined;

  constructor(token = undefined) {
    if (token !== INTERNAL) throw new TypeError("Illegal constructor");
    super();
  }

  now() {
    void this.#timeOrigin;
    return native.now();
  }

  get timeOrigin() {
    return (this.#timeOrigin ??= Date.now() - native.now());
  }

  toJSON() {
    void this.#timeOrigin;
    return { timeOrigin: this.timeOrigin };
  }
}

export const performance = new Performance(INTERNAL);

defineInterface(Performance);
defineGlobals({ performance });
