// ErrorEvent and PromiseRejectionEvent. https://html.spec.whatwg.org/#the-errorevent-interface (8.1.4.7),
// #the-promiserejectionevent-interface (8.1.4.8)
import { dictionary } from "../webidl/conversions.js";
import { defineInterface } from "../webidl/interfaces.js";
import { Event } from "./event-target.js";

export class ErrorEvent extends Event {
  #message;
  #filename;
  #lineno;
  #colno;
  #error;

  constructor(type, init = undefined) {
    if (arguments.length === 0) throw new TypeError("an event needs a type");
    super(type, init);
    const { colno = 0, error, filename = "", lineno = 0, message = "" } = dictionary(init, "the init of an ErrorEvent");
    this.#colno = colno >>> 0;
    this.#error = error;
    this.#filename = `${filename}`;
    this.#lineno = lineno >>> 0;
    this.#message = `${message}`;
  }

  get message() {
    return this.#message;
  }

  get filename() {
    return this.#filename;
  }

  get lineno() {
    return this.#lineno;
  }

  get colno() {
    return this.#colno;
  }

  get error() {
    return this.#error;
  }
}

export class PromiseRejectionEvent extends Event {
  #promise;
  #reason;

  constructor(type, init) {
    if (arguments.length < 2) throw new TypeError("a PromiseRejectionEvent needs a type and { promise }");
    super(type, init);
    const { promise, reason } = dictionary(init, "the init of a PromiseRejectionEvent");
    if (typeof promise !== "object" || promise === null) throw new TypeError("a PromiseRejectionEvent needs { promise }");
    this.#promise = promise;
    this.#reason = reason;
  }

  get promise() {
    return this.#promise;
  }

  get reason() {
    return this.#reason;
  }
}

defineInterface(ErrorEvent);
defineInterface(PromiseRejectionEvent);
