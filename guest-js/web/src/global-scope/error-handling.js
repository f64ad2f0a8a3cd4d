// Uncaught errors and rejections: they are dispatched to the global scope, an EventTarget, before they are logged.
// https://html.spec.whatwg.org/#runtime-script-errors (8.1.4.6), #unhandled-promise-rejections (8.1.6.2)
import native from "elias:native";
import { ErrorEvent, PromiseRejectionEvent } from "../events/error-events.js";
import { EventTarget, defineEventHandler, fire } from "../events/event-target.js";
import { defineGlobals } from "../webidl/interfaces.js";

const { addEventListener, removeEventListener, dispatchEvent } = EventTarget.prototype;
defineGlobals({ addEventListener, removeEventListener, dispatchEvent });

defineEventHandler(globalThis, "error", {
  // As everywhere, onerror alone gets the event taken apart, and says true where the others say false.
  call(callback, target, event) {
    if (!(event instanceof ErrorEvent)) return void Reflect.apply(callback, target, [event]);
    const { message, filename, lineno, colno, error } = event;
    if (Reflect.apply(callback, target, [message, filename, lineno, colno, error]) === true) event.preventDefault();
  },
});
defineEventHandler(globalThis, "unhandledrejection");
defineEventHandler(globalThis, "rejectionhandled");

const PLACE = /\(?([^\s()]+):(\d+):(\d+)\)?$/m;

/** The fields of an ErrorEvent for `error`. The source location is known if it is an Error. */
function describe(error) {
  if (!(error instanceof Error)) return { message: `Uncaught ${typeof error === "object" ? "object" : String(error)}` };
  const { name, message, stack } = error;
  const [, filename = "", lineno = 0, colno = 0] = PLACE.exec(stack) ?? [];
  return { message: `Uncaught ${name}${message === "" ? "" : `: ${message}`}`, filename, lineno, colno };
}

let reporting = false;

/** Whether a listener has handled the exception. One that comes out of a listener is not dispatched again. */
function report(error) {
  if (reporting) return false;
  reporting = true;
  try {
    return !fire(globalThis, new ErrorEvent("error", { ...describe(error), error, cancelable: true }));
  } finally {
    reporting = false;
  }
}

native.onUncaught((type, value, promise) => {
  if (type === "error") return report(value);
  const cancelable = type === "unhandledrejection";
  return !fire(globalThis, new PromiseRejectionEvent(type, { promise, reason: value, cancelable }));
});
