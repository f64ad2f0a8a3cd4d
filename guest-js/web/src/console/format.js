// Formats the arguments of console.log and util.format. https://console.spec.whatwg.org/#formatter (2.2)
import { inspect } from "./inspect.js";

// The constructors of ECMAScript, whose toString says less than what inspect shows.
const BUILT_IN = new Set(
  `Object Function Array Number Boolean String Symbol Date Promise RegExp Error AggregateError EvalError RangeError
   ReferenceError SyntaxError TypeError URIError ArrayBuffer Uint8Array Int8Array Uint16Array Int16Array Uint32Array
   Int32Array Float32Array Float64Array Uint8ClampedArray BigUint64Array BigInt64Array DataView Map BigInt Set WeakMap
   WeakSet WeakRef Proxy FinalizationRegistry Iterator SharedArrayBuffer`.split(/\s+/),
);

/** "Formatter" (2.2): the first argument may have %s and the like in it, the rest follow with spaces between. */
export function formatMessage(args, options = undefined) {
  const first = args[0];
  if (args.length === 1 && typeof first === "string") return first;
  let next = 0;
  let message = "";
  if (typeof first === "string") {
    next = 1;
    message = !first.includes("%") ? first : first.replace(/%[sdifjoOc%]/g, (specifier) => {
      if (specifier === "%%") return "%";
      return next < args.length ? substitute(specifier, args[next++], options) : specifier;
    });
  }
  for (; next < args.length; next++) {
    const text = typeof args[next] === "string" ? args[next] : inspect(args[next], options);
    message += next === 0 ? text : ` ${text}`;
  }
  return message;
}

function substitute(specifier, value, options) {
  switch (specifier) {
    case "%s":
      if (typeof value === "string") return value;
      if (typeof value === "number" || typeof value === "bigint") return inspect(value);
      if (typeof value !== "object" || value === null || !hasBuiltInToString(value)) return String(value);
      return inspect(value, { ...options, depth: 0, colors: false, compact: 3 });
    case "%d":
      return toNumber(value, Number);
    case "%i":
      return toNumber(value, Number.parseInt);
    case "%f":
      return typeof value === "symbol" ? "NaN" : inspect(Number.parseFloat(value));
    case "%j":
      return toJson(value);
    case "%o":
      return inspect(value, { ...options, showHidden: true, showProxy: true, depth: 4 });
    case "%O":
      return inspect(value, options);
    default:
      return ""; // %c: the style has no meaning here
  }
}

/** Whether the text that an object gives of itself is one of ECMAScript's, and so no text of the program. */
function hasBuiltInToString(value) {
  if (typeof value.toString !== "function") return true;
  if (Object.hasOwn(value, "toString")) return false;
  let owner = value;
  while (owner !== null && !Object.hasOwn(owner, "toString")) owner = Object.getPrototypeOf(owner);
  const constructor = owner === null ? undefined : Object.getOwnPropertyDescriptor(owner, "constructor")?.value;
  return typeof constructor === "function" && BUILT_IN.has(constructor.name);
}

function toNumber(value, convert) {
  if (typeof value === "bigint") return `${value}n`;
  return typeof value === "symbol" ? "NaN" : inspect(convert(value));
}

function toJson(value) {
  try {
    return `${JSON.stringify(value)}`;
  } catch (error) {
    if (error instanceof TypeError && /circular/.test(error.message)) return "[Circular]";
    throw error; // of a toJSON or a getter, as in Node
  }
}
