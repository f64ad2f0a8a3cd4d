// Primordials: built-ins as they were before any script of the application ran, for the modules that every request
// uses. A script may change or delete members of Array.prototype, RegExp.prototype and the like; that must not change
// what these modules do with values of their own. So the core modules
// - take methods of built-ins from here, and call no method of an array, a string or a regular expression,
// - keep their lists in arrays made by `newList`, and walk them by index: `for of`, spreading and destructuring ask for iterators,
// - append by `list[list.length] = value`.
// A test reads their source for it (test/primordials.test.mjs).
const { bind, call } = Function.prototype;

/** The method as a function whose first argument is `this`. */
const uncurryThis = bind.bind(call);

export const { apply, ownKeys } = Reflect;
export const { isArray } = Array;
export const { keys } = Object;
export const { stringify, parse } = JSON;

export const charCodeAt = uncurryThis(String.prototype.charCodeAt);
export const slice = uncurryThis(String.prototype.slice);
export const indexOf = uncurryThis(String.prototype.indexOf);
export const toUpperCase = uncurryThis(String.prototype.toUpperCase);
export const toWellFormed = uncurryThis(String.prototype.toWellFormed);
export const isEnumerable = uncurryThis(Object.prototype.propertyIsEnumerable);

export const getByteLength = uncurryThis(Object.getOwnPropertyDescriptor(ArrayBuffer.prototype, "byteLength").get);
export const setBytes = uncurryThis(Uint8Array.prototype.set);
export const join = uncurryThis(Array.prototype.join);
export const sort = uncurryThis(Array.prototype.sort);

const exec = uncurryThis(RegExp.prototype.exec);
const { defineProperty, setPrototypeOf } = Object;

/** Whether the regular expression, which is neither global nor sticky, matches within the text. */
export const matches = (regexp, text) => exec(regexp, text) !== null;

/** An empty array that takes nothing from Array.prototype: neither methods nor setters of an index. */
export const newList = () => setPrototypeOf([], null);

/** Appends to an array that a script gets to see. */
export function defineItem(array, value) {
  defineProperty(array, array.length, { __proto__: null, value, writable: true, enumerable: true, configurable: true });
}

/** Makes a list of an array that has no other owner. */
export const adopt = (array) => setPrototypeOf(array, null);

/** A list with the items of another, or of an array. */
export function copyOf(list) {
  const copy = newList();
  for (let at = 0; at < list.length; at++) copy[at] = list[at];
  return copy;
}

/** Whether the array or list has the value. */
export function includes(list, value) {
  for (let at = 0; at < list.length; at++) if (list[at] === value) return true;
  return false;
}
