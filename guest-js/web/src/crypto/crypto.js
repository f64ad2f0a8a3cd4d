// Crypto: random values. https://w3c.github.io/webcrypto/#Crypto-interface (10)
import native from "elias:native";
import { requireRegistered } from "../internal/registry.js";
import { bytesOf } from "../webidl/bytes.js";
import { DOMException, QuotaExceededError } from "../webidl/dom-exception.js";
import { defineGlobals, defineInterface } from "../webidl/interfaces.js";
import { randomUuid } from "./uuid.js";

const QUOTA = 65536;
const INTEGER_ARRAY = /^(?:Big)?(?:Int|Uint)\d+(?:Clamped)?Array$/;
const typeNameOf = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), Symbol.toStringTag).get;

// The argument for which the constructor does not throw. It is not exported, so no script has it.
const INTERNAL = Symbol("internal");

class Crypto {
  // Only `crypto` has this field: the members throw for any other object, as Web IDL requires.
  #own = true;

  constructor(token = undefined) {
    if (token !== INTERNAL) throw new TypeError("Illegal constructor");
  }

  get subtle() {
    if (!(#own in this)) throw new TypeError("not a Crypto");
    return requireRegistered("subtle", "crypto.subtle");
  }

  getRandomValues(array) {
    if (!(#own in this)) throw new TypeError("not a Crypto");
    if (!ArrayBuffer.isView(array)) throw new TypeError("getRandomValues needs a typed array");
    if (!INTEGER_ARRAY.test(typeNameOf.call(array))) {
      throw new DOMException("getRandomValues needs a typed array of integers", "TypeMismatchError");
    }
    if (array.byteLength > QUOTA) {
      // Without quota and requested, which the standard leaves null here.
      throw new QuotaExceededError(`getRandomValues gives ${QUOTA} bytes at most, not ${array.byteLength}`);
    }
    native.randomFill(bytesOf(array));
    return array;
  }

  /** A version 4 UUID (RFC 9562, 5.4). */
  randomUUID() {
    if (!(#own in this)) throw new TypeError("not a Crypto");
    return randomUuid();
  }
}

defineInterface(Crypto);
defineGlobals({ crypto: new Crypto(INTERNAL) });
