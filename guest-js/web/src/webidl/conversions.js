// Conversion of arguments by Web IDL: dictionaries and enumerations.
// https://webidl.spec.whatwg.org/#js-dictionary, #js-enumeration
import { includes, join, stringify } from "../internal/primordials.js";

/** An argument that is a dictionary: what is undefined or null has no members. */
export function dictionary(value, what) {
  if (value === undefined || value === null) return {};
  if (typeof value !== "object" && typeof value !== "function") throw new TypeError(`${what} must be an object`);
  return value;
}

/** An argument that is one of `values`. */
export function enumeration(value, values, what) {
  value = `${value}`;
  if (!includes(values, value)) throw new TypeError(`${stringify(value)} is not a valid ${what}; it can be ${join(values, ", ")}`);
  return value;
}
