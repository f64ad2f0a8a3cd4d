// AbortController and AbortSignal. https://dom.spec.whatwg.org/#aborting-ongoing-activities (3)
import native from "elias:native";
import { registry } from "../internal/registry.js";
import { DOMException } from "../webidl/dom-exception.js";
import { defineInterface, inspect } from "../webidl/interfaces.js";
import { Event, EventTarget, defineEventHandler, fire } from "./event-target.js";

let newSignal;
let signalAbort;
let isAbortSignal;

// The argument for which the constructor does not throw. It is not exported, so no script has it.
const INTERNAL = Symbol("internal");

export class AbortSignal extends EventTarget {
  #aborted = false;
  #reason = undefined;
  /** The signals made of this one by AbortSignal.any, which are aborted with it. */
  #dependents = [];
  /** For a signal made by AbortSignal.any: the signals it hangs on. */
  #sources = [];

  static {
    isAbortSignal = (value) => typeof value === "object" && value !== null && #aborted in value;
    newSignal = () => new AbortSignal(INTERNAL);
    signalAbort = (signal, reason = new DOMException("This operation was aborted", "AbortError")) => {
      if (signal.#aborted) return;
      // All of them count as aborted before the first listener runs.
      const aborted = [signal, ...signal.#dependents.filter((it) => !it.#aborted)];
      for (const it of aborted) {
        it.#aborted = true;
        it.#reason = reason;
      }
      for (const it of aborted) fire(it, new Event("abort"));
    };
  }

  constructor(token) {
    if (token !== INTERNAL) throw new TypeError("Illegal constructor; use new AbortController().signal");
    super();
  }

  static abort(reason = undefined) {
    const signal = newSignal();
    signal.#aborted = true;
    signal.#reason = reason === undefined ? new DOMException("This operation was aborted", "AbortError") : reason;
    return signal;
  }

  static timeout(milliseconds) {
    const delay = Number(milliseconds);
    if (!(delay >= 0 && delay <= Number.MAX_SAFE_INTEGER)) {
      throw new TypeError(`AbortSignal.timeout needs a number of milliseconds, not ${milliseconds}`);
    }
    const signal = newSignal();
    const timedOut = () => signalAbort(signal, new DOMException(`The operation timed out after ${delay} ms`, "TimeoutError"));
    native.setTimer(timedOut, delay, false);
    return signal;
  }

  static any(signals) {
    const sources = [...signals];
    for (const source of sources) if (!isAbortSignal(source)) throw new TypeError("AbortSignal.any needs AbortSignals");
    const signal = newSignal();
    const aborted = sources.find((source) => source.#aborted);
    if (aborted !== undefined) {
      signal.#aborted = true;
      signal.#reason = aborted.#reason;
    } else {
      for (const source of sources) source.#addDependent(signal);
    }
    return signal;
  }

  get aborted() {
    return this.#aborted;
  }

  get reason() {
    return this.#reason;
  }

  [inspect]() {
    return { aborted: this.#aborted };
  }

  throwIfAborted() {
    if (this.#aborted) throw this.#reason;
  }

  /** A dependent of a dependent hangs on the original source, so that one abort reaches all of them at once. */
  #addDependent(signal) {
    for (const root of this.#sources.length > 0 ? this.#sources : [this]) {
      if (root.#dependents.includes(signal)) continue;
      root.#dependents.push(signal);
      signal.#sources.push(root);
    }
  }
}

defineEventHandler(AbortSignal.prototype, "abort");

export class AbortController {
  #signal = newSignal();

  get signal() {
    return this.#signal;
  }

  abort(reason = undefined) {
    signalAbort(this.#signal, reason);
  }

  [inspect]() {
    return { signal: this.#signal };
  }
}

defineInterface(AbortSignal);
defineInterface(AbortController);

registry.AbortController = AbortController;
registry.isAbortSignal = isAbortSignal;
registry.newSignal = newSignal;
/** The signal of a Request made with one: its own, aborted with the one given. */
registry.followSignal = (signal) => AbortSignal.any([signal]);
