// toLocaleString of arrays, which passes locales and options on (ECMA-402 §19.5).
import { defineMethods } from "./support.js";

function join(array, length, locales, options) {
  const texts = [];
  for (let at = 0; at < length; at++) {
    const value = array[at];
    texts.push(value === undefined || value === null ? "" : `${value.toLocaleString(locales, options)}`);
  }
  return texts.join(",");
}

defineMethods(Array.prototype, {
  toLocaleString(locales = undefined, options = undefined) {
    if (this === undefined || this === null) throw new TypeError(`toLocaleString cannot be called on ${this}`);
    const array = Object(this);
    return join(array, Math.max(Math.trunc(Number(array.length)) || 0, 0), locales, options);
  },
});

const TypedArray = Object.getPrototypeOf(Int8Array.prototype);
const { get: lengthOf } = Object.getOwnPropertyDescriptor(TypedArray, "length");
const { values } = TypedArray;

defineMethods(TypedArray, {
  toLocaleString(locales = undefined, options = undefined) {
    // Throws for what is not a typed array, or one whose memory has gone.
    Reflect.apply(values, this, []);
    return join(this, Reflect.apply(lengthOf, this, []), locales, options);
  },
});
