// Encodes the arguments of a console call as JSON for the structured log: any values, at most 16 KiB.
import native from "elias:native";

const MAX_BYTES = 16 * 1024;
// A code unit takes three bytes of UTF-8 at most.
const SURELY_FITS = MAX_BYTES / 3;
const MAX_ITEMS = 100;
// JSON that is no longer than this is within the budget, of whatever values it is made.
const SURELY_SMALL = 2000;
const MAX_DEPTH = 6;
const NOT_PLAIN = Symbol("not plain");

/** The JSON text of an array with `args`. */
export function logArguments(args) {
  try {
    const copy = plainCopy(args, MAX_DEPTH);
    if (copy !== NOT_PLAIN) {
      const json = JSON.stringify(copy);
      if (json.length <= SURELY_SMALL) return json;
      args = copy;
    }
  } catch (error) {
    return withoutForm(error);
  }
  const json = stringify(args, MAX_BYTES);
  if (json.length <= SURELY_FITS || native.utf8Encode(json).length <= MAX_BYTES) return json;
  // The budget counts what is in the values; the punctuation and the encoding came on top.
  const smaller = stringify(args, SURELY_FITS / 2);
  return smaller.length <= SURELY_FITS ? smaller : '["[too large to log]"]';
}

function stringify(args, budget) {
  const path = [];
  try {
    return JSON.stringify(args, function (key, value) {
      // `this` is the holder of the key: what is behind it on the path has been left.
      while (path.length > 0 && path[path.length - 1] !== this) path.pop();
      if (budget <= 0) return undefined;
      budget -= key.length + 4;
      const plain = toPlain(value);
      if (typeof plain === "string") {
        const room = Math.max(0, budget);
        budget -= plain.length;
        return plain.length <= room ? plain : `${plain.slice(0, room)}… [${plain.length - room} more characters]`;
      }
      if (typeof plain !== "object" || plain === null) return plain;
      if (path.includes(plain)) return "[circular]";
      path.push(plain);
      return plain;
    });
  } catch (error) {
    return withoutForm(error);
  }
}

/** The JSON that replaces arguments of which a getter or a toJSON threw. */
const withoutForm = (error) => JSON.stringify([`[no JSON form: ${String(error?.message).slice(0, 1000)}]`]);

/**
 * A copy of what JSON has as it is, so that each property is read once: most arguments are texts, numbers and small object literals.
 * NOT_PLAIN for all else.
 */
function plainCopy(value, depth) {
  if (typeof value === "number") return Number.isFinite(value) ? value : NOT_PLAIN;
  if (typeof value === "string" || typeof value === "boolean" || value === null || value === undefined) return value;
  if (typeof value !== "object" || depth === 0) return NOT_PLAIN;
  const isArray = Array.isArray(value);
  if (Object.getPrototypeOf(value) !== (isArray ? Array.prototype : Object.prototype) || value.toJSON !== undefined) return NOT_PLAIN;
  const keys = isArray ? undefined : Object.keys(value);
  const { length } = isArray ? value : keys;
  if (length > MAX_ITEMS) return NOT_PLAIN;
  const copy = isArray ? [] : {};
  for (let at = 0; at < length; at++) {
    const key = isArray ? at : keys[at];
    if (key === "__proto__") return NOT_PLAIN;
    const item = plainCopy(value[key], depth - 1);
    if (item === NOT_PLAIN) return NOT_PLAIN;
    copy[key] = item;
  }
  return copy;
}

/** The nearest thing to `value` that JSON has. */
function toPlain(value) {
  switch (typeof value) {
    case "bigint":
      return `${value}`;
    case "symbol":
      return String(value);
    case "function":
      return `[function ${value.name || "(anonymous)"}]`;
    case "number":
      return Number.isFinite(value) ? value : `${value}`;
    case "object":
      if (value instanceof Error) {
        const { name, message, stack, cause } = value;
        return { ...value, name, message, stack, cause };
      }
      if (value instanceof Map) return value.size > MAX_ITEMS ? `[Map of ${value.size}]` : [...value];
      if (value instanceof Set) return value.size > MAX_ITEMS ? `[Set of ${value.size}]` : [...value];
      if (Array.isArray(value) && value.length > MAX_ITEMS) {
        return [...value.slice(0, MAX_ITEMS), `[${value.length - MAX_ITEMS} more items]`];
      }
      if (ArrayBuffer.isView(value)) return `[${value.constructor.name} of ${value.byteLength} bytes]`;
      return value;
    default:
      return value;
  }
}
