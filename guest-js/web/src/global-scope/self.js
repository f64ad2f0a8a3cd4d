// self, navigator and reportError: the rest of the global scope of ECMA-429 (the minimum common API).
// https://html.spec.whatwg.org/#report-the-exception (8.1.4.6)
import native from "elias:native";
import { defineGlobals, defineInterface } from "../webidl/interfaces.js";

// The argument for which the constructor does not throw. It is not exported, so no script has it.
const INTERNAL = Symbol("internal");

class Navigator {
  constructor(token) {
    if (token !== INTERNAL) throw new TypeError("Illegal constructor");
  }

  get userAgent() {
    return "ELIAS/0.1";
  }
}

defineInterface(Navigator);
defineGlobals({
  self: globalThis,
  navigator: new Navigator(INTERNAL),
  reportError(error) {
    if (arguments.length === 0) throw new TypeError("reportError needs what is to be reported");
    native.reportException(error);
  },
});
