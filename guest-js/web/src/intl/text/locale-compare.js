// String.prototype.localeCompare (ECMA-402 §19.1.1).
import { defineMethods, cachedByLocale } from "../support.js";
import { compareText } from "./collation.js";
import { newState } from "./collator.js";

const defaults = newState();
const cachedState = cachedByLocale(newState);

defineMethods(String.prototype, {
  localeCompare(that, locales = undefined, options = undefined) {
    if (this === undefined || this === null) throw new TypeError("String.prototype.localeCompare called on null or undefined");
    const state = locales === undefined && options === undefined ? defaults : cachedState(locales, options);
    return compareText(`${this}`, `${that}`, state);
  },
});
Object.defineProperty(String.prototype.localeCompare, "length", { value: 1, configurable: true });
