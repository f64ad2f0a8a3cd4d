// Conversion of arguments by Web IDL: dictionaries and enumerations.
// https://webidl.spec.whatwg.org/#js-dictionary, #js-enumeration
import { includes, join, stringify } from "../internal/primordials.js";

/**
 * An argument that is a dictionary; undefined and null have no members. A TypeError for other values that are not
 * objects.
 */
export function dictionary(value, what) {
  if (value === undefined || value === null) return {};
  if (typeof value !== "object" && typeof value !== "function") throw new TypeError(`${what} must be an object`);
  return value;
}

/** An argument that must be one of `values`, as a string; a TypeError for others. */
export function enumeration(value, values, what) {
  value = `${value}`;
  if (!includes(values, value)) throw new TypeError(`${stringify(value)} is not a valid ${what}; it can be ${join(values, ", ")}`);
  return value;
}
