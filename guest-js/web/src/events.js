// Event, EventTarget and CustomEvent. https://dom.spec.whatwg.org/#events (2)
//
// There is no tree here: a target's path is the target.
import { DOMException } from "./dom-exception.js";
import { registry } from "./registry.js";
import { defineInterface } from "./webidl.js";

const PHASES = { NONE: 0, CAPTURING_PHASE: 1, AT_TARGET: 2, BUBBLING_PHASE: 3 };

let dispatch;

export class Event {
  #type;
  #bubbles;
  #cancelable;
  #composed;
  #target = null;
  #dispatching = false;
  #stopped = false;
  #stoppedImmediately = false;
  #canceled = false;
  #inPassive = false;

  static {
    dispatch = (event, target, listeners) => {
      if (event.#dispatching) throw new DOMException("the event is being dispatched already", "InvalidStateError");
      event.#dispatching = true;
      event.#target = target;
      // Capturing listeners go first; those that are added meanwhile are not called, those removed are not either.
      const ordered = [...listeners.filter((it) => it.capture), ...listeners.filter((it) => !it.capture)];
      for (const listener of event.#stopped ? [] : ordered) {
        if (event.#stoppedImmediately) break;
        if (listener.removed || listener.type !== event.#type) continue;
        if (listener.once) listener.remove();
        event.#inPassive = listener.passive;
        invoke(listener.callback, target, event);
        event.#inPassive = false;
      }
      event.#dispatching = event.#stopped = event.#stoppedImmediately = false;
      return !event.#canceled;
    };
  }

  constructor(type, init = undefined) {
    if (arguments.length === 0) throw new TypeError("an event needs a type");
    const { bubbles = false, cancelable = false, composed = false } = init ?? {};
    this.#type = `${type}`;
    this.#bubbles = Boolean(bubbles);
    this.#cancelable = Boolean(cancelable);
    this.#composed = Boolean(composed);
  }

  get type() {
    return this.#type;
  }

  get target() {
    return this.#target;
  }

  get srcElement() {
    return this.#target;
  }

  get currentTarget() {
    return this.#dispatching ? this.#target : null;
  }

  get eventPhase() {
    return this.#dispatching ? PHASES.AT_TARGET : PHASES.NONE;
  }

  get bubbles() {
    return this.#bubbles;
  }

  get cancelable() {
    return this.#cancelable;
  }

  get composed() {
    return this.#composed;
  }

  get defaultPrevented() {
    return this.#canceled;
  }

  get returnValue() {
    return !this.#canceled;
  }

  get cancelBubble() {
    return this.#stopped;
  }

  set cancelBubble(value) {
    if (value) this.#stopped = true;
  }

  get isTrusted() {
    return false;
  }

  /** Always 0: a clock reading would make every user of an AbortSignal import a clock. */
  get timeStamp() {
    return 0;
  }

  composedPath() {
    return this.#dispatching ? [this.#target] : [];
  }

  preventDefault() {
    if (this.#cancelable && !this.#inPassive) this.#canceled = true;
  }

  stopPropagation() {
    this.#stopped = true;
  }

  stopImmediatePropagation() {
    this.#stopped = this.#stoppedImmediately = true;
  }
}

for (const name of Object.keys(PHASES)) {
  for (const target of [Event, Event.prototype]) {
    Object.defineProperty(target, name, { value: PHASES[name], enumerable: true });
  }
}

function invoke(callback, target, event) {
  try {
    if (typeof callback === "function") callback.call(target, event);
    else callback.handleEvent(event);
  } catch (error) {
    // "Report the exception": the other listeners still run, and the engine reports a rejection that nobody handles.
    Promise.reject(error);
  }
}

export class EventTarget {
  #listeners = [];

  addEventListener(type, callback, options = undefined) {
    type = `${type}`;
    const { capture = false, once = false, passive = false, signal } = toOptions(options);
    if (signal !== undefined && !registry.isAbortSignal?.(signal)) throw new TypeError("signal must be an AbortSignal");
    if (callback === null || callback === undefined || signal?.aborted) return;
    if (typeof callback !== "function" && typeof callback !== "object") {
      throw new TypeError("a listener must be a function or an object with handleEvent");
    }
    if (this.#find(type, callback, Boolean(capture)) !== undefined) return;
    const listener = {
      type,
      callback,
      capture: Boolean(capture),
      once: Boolean(once),
      passive: Boolean(passive),
      removed: false,
      remove: () => {
        listener.removed = true;
        this.#listeners = this.#listeners.filter((it) => it !== listener);
      },
    };
    this.#listeners.push(listener);
    signal?.addEventListener("abort", listener.remove, { once: true });
  }

  removeEventListener(type, callback, options = undefined) {
    this.#find(`${type}`, callback, Boolean(toOptions(options).capture))?.remove();
  }

  dispatchEvent(event) {
    if (!(event instanceof Event)) throw new TypeError("dispatchEvent needs an Event");
    return dispatch(event, this, this.#listeners);
  }

  #find(type, callback, capture) {
    return this.#listeners.find((it) => it.type === type && it.callback === callback && it.capture === capture);
  }
}

function toOptions(options) {
  return typeof options === "object" && options !== null ? options : { capture: Boolean(options) };
}

export class CustomEvent extends Event {
  #detail;

  constructor(type, init = undefined) {
    super(type, init);
    this.#detail = init?.detail ?? null;
  }

  get detail() {
    return this.#detail;
  }
}

/** Defines an event handler attribute (HTML 8.1.8.1) such as onabort; it is called in the order it was first set. */
export function defineEventHandler(prototype, type) {
  const handlers = new WeakMap();
  Object.defineProperty(prototype, `on${type}`, {
    get() {
      return handlers.get(this)?.callback ?? null;
    },
    set(callback) {
      callback = typeof callback === "function" ? callback : null;
      const handler = handlers.get(this);
      if (handler !== undefined) {
        handler.callback = callback;
        return;
      }
      const entry = { callback };
      handlers.set(this, entry);
      this.addEventListener(type, (event) => entry.callback?.call(this, event));
    },
    enumerable: true,
    configurable: true,
  });
}

defineInterface(Event);
defineInterface(EventTarget);
defineInterface(CustomEvent);
