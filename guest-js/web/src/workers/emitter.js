// Listeners by the names of events, in the form of Node.js.

/** What `services.js` builds upon: it has `on`, `once`, `off` and `emit`. */
export class Emitter {
  #listeners = new Map();

  /** Has a function called at each event of this name. */
  on(event, listener) {
    return this.#add(event, listener, false);
  }

  /** Has a function called at the next event of this name. */
  once(event, listener) {
    return this.#add(event, listener, true);
  }

  #add(event, listener, once) {
    if (typeof listener !== "function") throw new TypeError("a listener must be a function");
    this.#listeners.set(event, [...(this.#listeners.get(event) ?? []), { listener, once }]);
    return this;
  }

  /** Has a function no longer called. */
  off(event, listener) {
    const listeners = this.#listeners.get(event) ?? [];
    const at = listeners.findLastIndex((one) => one.listener === listener);
    if (at >= 0) this.#listeners.set(event, listeners.toSpliced(at, 1));
    return this;
  }

  /** Calls the functions that listen to an event, in their order; whether there were any. */
  emit(event, ...values) {
    const listeners = this.#listeners.get(event) ?? [];
    for (const { listener, once } of listeners) {
      if (once) this.off(event, listener);
      Reflect.apply(listener, this, values);
    }
    return listeners.length > 0;
  }
}
