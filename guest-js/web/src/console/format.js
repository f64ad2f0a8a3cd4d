// Formats the arguments of console.log and util.format. https://console.spec.whatwg.org/#formatter (2.2)
import { inspect } from "./inspect.js";

/** "Formatter" (2.2): the first argument may have %s and the like in it, the rest follow with spaces between. */
export function formatMessage(args) {
  const first = args[0];
  if (args.length === 1 && typeof first === "string") return first;
  let next = 0;
  let message = "";
  if (typeof first === "string") {
    next = 1;
    message = !first.includes("%") ? first : first.replace(/%[sdifjoOc%]/g, (specifier) => {
      if (specifier === "%%") return args.length === 1 ? "%%" : "%";
      return next < args.length ? substitute(specifier, args[next++]) : specifier;
    });
  }
  for (; next < args.length; next++) {
    const text = typeof args[next] === "string" ? args[next] : inspect(args[next]);
    message += next === 0 ? text : ` ${text}`;
  }
  return message;
}

function substitute(specifier, value) {
  switch (specifier) {
    case "%s":
      if (typeof value === "string") return value;
      return typeof value === "object" && value !== null ? inspect(value, 0) : inspect(value);
    case "%d":
      return toNumber(value, Number);
    case "%i":
      return toNumber(value, Number.parseInt);
    case "%f":
      return typeof value === "symbol" ? "NaN" : `${Number.parseFloat(value)}`;
    case "%j":
      return toJson(value);
    case "%o":
      return inspect(value, 4);
    case "%O":
      return inspect(value);
    default:
      return ""; // %c: the style has no meaning here
  }
}

function toNumber(value, convert) {
  if (typeof value === "bigint") return `${value}n`;
  return typeof value === "symbol" || typeof value === "object" ? "NaN" : `${convert(value)}`;
}

function toJson(value) {
  try {
    return `${JSON.stringify(value)}`;
  } catch (error) {
    return `[no JSON form: ${error.message}]`;
  }
}
