// The arguments of a console call as JSON for the structured log: whatever they are, and never more than 16 KiB.
import native from "elias:native";

const MAX_BYTES = 16 * 1024;
// A code unit takes three bytes of UTF-8 at most.
const SURELY_FITS = MAX_BYTES / 3;
const MAX_ITEMS = 100;

/** The JSON text of an array with `args`. */
export function logArguments(args) {
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
    // A getter or a toJSON of the script's threw.
    return JSON.stringify([`[no JSON form: ${String(error?.message).slice(0, 1000)}]`]);
  }
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
