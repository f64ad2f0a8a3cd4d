// Interfaces by Web IDL: how members and globals are defined, and pair iterators.
// https://webidl.spec.whatwg.org/#js-interfaces (3.7), #js-iterable (3.7.11)
import native from "elias:native";
import { apply } from "../internal/primordials.js";

/** Key of a prototype method that gives console.log the fields to show, as a plain object. */
export const inspect = Symbol("inspect");

/** Gives the class its Web IDL descriptors (enumerable members, Symbol.toStringTag) and, unless told not to, its global. */
export function defineInterface(cls, { exposed = true } = {}) {
  makeEnumerable(cls.prototype);
  makeEnumerable(cls);
  defineHidden(cls.prototype, Symbol.toStringTag, cls.name, false);
  if (exposed) defineHidden(globalThis, cls.name, cls);
  return cls;
}

/** Moves the members of a class to the constructor that replaces it. */
export function replaceClass(cls, constructor) {
  const { length, name, ...members } = Object.getOwnPropertyDescriptors(cls);
  members.prototype.value.constructor = constructor;
  Object.defineProperties(constructor, members);
  return constructor;
}

/** Replaces methods and getters by natives: `make` receives the script's function and its name. */
export function replaceMembers(target, names, make) {
  for (let at = 0; at < names.length; at++) {
    const descriptor = Object.getOwnPropertyDescriptor(target, names[at]);
    if (descriptor.get === undefined) descriptor.value = make(descriptor.value, names[at]);
    else descriptor.get = make(descriptor.get, names[at]);
    Object.defineProperty(target, names[at], descriptor);
  }
}

/** Defines operations or attributes of the global object, which unlike interfaces are enumerable. */
export function defineGlobals(members) {
  for (const name of Object.keys(members)) {
    Object.defineProperty(globalThis, name, {
      value: members[name],
      writable: true,
      enumerable: true,
      configurable: true,
    });
  }
}

export function defineHidden(target, key, value, writable = true) {
  Object.defineProperty(target, key, { value, writable, enumerable: false, configurable: true });
}

function makeEnumerable(target) {
  for (const key of Object.getOwnPropertyNames(target)) {
    const descriptor = Object.getOwnPropertyDescriptor(target, key);
    if (key !== "constructor" && descriptor.configurable && (descriptor.get || typeof descriptor.value === "function")) {
      if (key !== "prototype") Object.defineProperty(target, key, { enumerable: true });
    }
  }
}

const IteratorPrototype = Object.getPrototypeOf(Object.getPrototypeOf([][Symbol.iterator]()));

/**
 * Makes `cls` iterable over pairs. `pairsOf(instance)` returns a flat array [key, value, ...] and is asked again at each
 * step, because the standard wants a change made during the iteration to be seen. The iterators are native.
 */
export function definePairIterable(cls, pairsOf) {
  const iteratorPrototype = Object.create(IteratorPrototype, {
    [Symbol.toStringTag]: { value: `${cls.name} Iterator`, configurable: true },
  });
  const { next, entries, keys, values } = native.nativePairIterators(cls.name, iteratorPrototype, pairsOf);
  Object.defineProperty(iteratorPrototype, "next", { value: next, writable: true, enumerable: true, configurable: true });

  const methods = {
    entries,
    keys,
    values,
    forEach(callback, thisArg = undefined) {
      let pairs = pairsOf(this);
      if (typeof callback !== "function") throw new TypeError(`${cls.name}.forEach: the callback is not a function`);
      for (let at = 0; at < pairs.length; at += 2, pairs = pairsOf(this)) {
        apply(callback, thisArg, [pairs[at + 1], pairs[at], this]);
      }
    },
  };
  for (const name of Object.keys(methods)) defineHidden(cls.prototype, name, methods[name]);
  defineHidden(cls.prototype, Symbol.iterator, methods.entries);
}
