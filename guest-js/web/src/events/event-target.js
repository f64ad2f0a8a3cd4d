// Event, EventTarget and CustomEvent. https://dom.spec.whatwg.org/#events (2)
//
// There is no tree here: a target's path is the target.
import native from "elias:native";
import { registry } from "../internal/registry.js";
import { dictionary } from "../webidl/conversions.js";
import { DOMException } from "../webidl/dom-exception.js";
import { defineInterface } from "../webidl/interfaces.js";

const PHASES = { NONE: 0, CAPTURING_PHASE: 1, AT_TARGET: 2, BUBBLING_PHASE: 3 };

let dispatch;
let isTrusted;

/** isTrusted cannot be forged: each event has it as a property of its own. */
const OWN = {
  isTrusted: {
    get() {
      return isTrusted(this);
    },
    enumerable: true,
    configurable: false,
  },
};
Object.defineProperty(OWN.isTrusted.get, "name", { value: "get isTrusted" });

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
  #trusted = false;
  /** Zero in a component that has no clock because nothing in it mentions one. */
  #timeStamp = native.now();

  static {
    isTrusted = (event) => event.#trusted;
    dispatch = (event, target, listeners, trusted) => {
      if (event.#dispatching) throw new DOMException("the event is being dispatched already", "InvalidStateError");
      event.#dispatching = true;
      event.#trusted = trusted;
      event.#target = target;
      // Capturing listeners go first; those that are added meanwhile are not called, those removed are not either.
      const ordered = [...listeners.filter((it) => it.capture), ...listeners.filter((it) => !it.capture)];
      for (const listener of event.#stopped ? [] : ordered) {
        if (event.#stoppedImmediately) break;
        if (listener.removed || listener.type !== event.#type) continue;
        if (listener.once) listener.remove();
        event.#inPassive = listener.passive;
        invoke(listener.callback, event.#target, event);
        event.#inPassive = false;
      }
      event.#dispatching = event.#stopped = event.#stoppedImmediately = false;
      return !event.#canceled;
    };
  }

  constructor(type, init = undefined) {
    if (arguments.length === 0) throw new TypeError("an event needs a type");
    this.#type = `${type}`;
    const { bubbles = false, cancelable = false, composed = false } = dictionary(init, "the init of an event");
    Object.defineProperties(this, OWN);
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

  set returnValue(value) {
    if (!value) this.preventDefault();
  }

  get cancelBubble() {
    return this.#stopped;
  }

  set cancelBubble(value) {
    if (value) this.#stopped = true;
  }

  get timeStamp() {
    return this.#timeStamp;
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

  initEvent(type, bubbles = false, cancelable = false) {
    if (arguments.length === 0) throw new TypeError("an event needs a type");
    type = `${type}`;
    if (this.#dispatching) return;
    this.#stopped = this.#stoppedImmediately = this.#canceled = this.#trusted = false;
    this.#target = null;
    this.#type = type;
    this.#bubbles = Boolean(bubbles);
    this.#cancelable = Boolean(cancelable);
  }
}

for (const name of Object.keys(PHASES)) {
  for (const target of [Event, Event.prototype]) {
    Object.defineProperty(target, name, { value: PHASES[name], enumerable: true });
  }
}

function invoke(callback, target, event) {
  try {
    if (typeof callback === "function") return void Reflect.apply(callback, target, [event]);
    const { handleEvent } = callback;
    if (typeof handleEvent !== "function") throw new TypeError("a listener's handleEvent is not a function");
    Reflect.apply(handleEvent, callback, [event]);
  } catch (error) {
    // "Report the exception": the other listeners still run.
    native.reportException(error);
  }
}

/** The listeners of the global scope, which no constructor of ours has made. */
const globalListeners = [];
/** The live list of an EventTarget's listeners; a TypeError for anything else. */
let listenersOf;

export class EventTarget {
  #listeners = [];

  static {
    listenersOf = (target) => (target === undefined || target === null || target === globalThis ? globalListeners : target.#listeners);
  }

  addEventListener(type, callback, options = undefined) {
    const listeners = listenersOf(this);
    if (arguments.length < 2) throw new TypeError("addEventListener needs a type and a callback");
    type = `${type}`;
    if (!isCallback(callback)) throw new TypeError("a listener must be a function or an object with handleEvent");
    const { capture = false, once = false, passive = false, signal } = toOptions(options);
    if (signal !== undefined && !registry.isAbortSignal?.(signal)) throw new TypeError("signal must be an AbortSignal");
    if (callback === null || callback === undefined || signal?.aborted) return;
    const listener = add(listeners, type, callback, Boolean(capture));
    if (listener === undefined) return;
    listener.once = Boolean(once);
    listener.passive = Boolean(passive);
    signal?.addEventListener("abort", listener.remove, { once: true });
  }

  removeEventListener(type, callback, options = undefined) {
    const listeners = listenersOf(this);
    if (arguments.length < 2) throw new TypeError("removeEventListener needs a type and a callback");
    type = `${type}`;
    if (!isCallback(callback)) throw new TypeError("a listener must be a function or an object with handleEvent");
    find(listeners, type, callback, Boolean(toOptions(options).capture))?.remove();
  }

  dispatchEvent(event) {
    const listeners = listenersOf(this);
    if (!(event instanceof Event)) throw new TypeError("dispatchEvent needs an Event");
    return dispatch(event, this ?? globalThis, listeners, false);
  }
}

const isCallback = (value) => value === undefined || typeof value === "object" || typeof value === "function";

const find = (listeners, type, callback, capture) =>
  listeners.find((it) => it.type === type && it.callback === callback && it.capture === capture);

/** The listener that was added; undefined if there is one like it. */
function add(listeners, type, callback, capture) {
  if (find(listeners, type, callback, capture) !== undefined) return undefined;
  const listener = {
    type,
    callback,
    capture,
    once: false,
    passive: false,
    removed: false,
    remove() {
      listener.removed = true;
      const at = listeners.indexOf(listener);
      if (at >= 0) listeners.splice(at, 1);
    },
  };
  listeners.push(listener);
  return listener;
}

/** For getEventListeners of node:events. */
export const callbacksOf = (target, type) =>
  listenersOf(target).filter((it) => it.type === type).map((it) => it.callback);

/** "Fire an event": dispatches a trusted event. Returns false if a listener has canceled it. */
export const fire = (target, event) => dispatch(event, target, listenersOf(target), true);

function toOptions(options) {
  if (typeof options === "boolean") return { capture: options };
  return typeof options === "object" || typeof options === "function" ? (options ?? {}) : { capture: Boolean(options) };
}

export class CustomEvent extends Event {
  #detail;

  constructor(type, init = undefined) {
    if (arguments.length === 0) throw new TypeError("an event needs a type");
    super(type, init);
    const { detail = null } = dictionary(init, "the init of an event");
    this.#detail = detail;
  }

  get detail() {
    return this.#detail;
  }

  initCustomEvent(type, bubbles = false, cancelable = false, detail = null) {
    if (arguments.length === 0) throw new TypeError("an event needs a type");
    const isFree = this.eventPhase === PHASES.NONE;
    this.initEvent(type, bubbles, cancelable);
    if (isFree) this.#detail = detail;
  }
}

/**
 * Defines an event handler attribute (HTML 8.1.8.1) such as onabort; it is called in the order it was first set. `whenSet` is
 * called with the target when a script has set it, `call` calls it.
 */
export function defineEventHandler(prototype, type, { whenSet = undefined, call = callHandler } = {}) {
  const handlers = new WeakMap();
  const members = {
    get [`on${type}`]() {
      listenersOf(this); // the brand check
      return handlers.get(this ?? globalThis)?.callback ?? null;
    },
    set [`on${type}`](callback) {
      const target = this ?? globalThis;
      const listeners = listenersOf(target);
      const isObject = typeof callback === "function" || (typeof callback === "object" && callback !== null);
      const handler = handlers.get(target);
      if (!isObject) {
        handler?.listener.remove();
        handlers.delete(target);
      } else if (handler !== undefined) {
        handler.callback = callback;
      } else {
        const entry = { callback, listener: undefined };
        const run = (event) => typeof entry.callback === "function" && call(entry.callback, target, event);
        entry.listener = add(listeners, type, run, false);
        handlers.set(target, entry);
      }
      if (isObject) whenSet?.(target);
    },
  };
  const descriptor = Object.getOwnPropertyDescriptor(members, `on${type}`);
  Object.defineProperty(prototype, `on${type}`, { ...descriptor, enumerable: true, configurable: true });
}

function callHandler(callback, target, event) {
  if (Reflect.apply(callback, target, [event]) === false) event.preventDefault();
}

defineInterface(Event);
defineInterface(EventTarget);
defineInterface(CustomEvent);
