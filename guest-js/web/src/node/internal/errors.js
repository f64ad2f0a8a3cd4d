// Errors as Node.js makes them: with a stable `code`, which packages compare, and its messages, which some read.
// https://nodejs.org/api/errors.html#errorcode

/** An error of class `Base` with Node.js's `code`. */
export function nodeError(Base, code, message) {
  const error = new Base(message);
  Object.defineProperty(error, "code", { value: code, writable: true, enumerable: true, configurable: true });
  return error;
}

function shownText(text) {
  const quote = !text.includes("'")
    ? "'"
    : !text.includes('"')
      ? '"'
      : !text.includes("`") && !text.includes("${")
        ? "`"
        : "'";
  return `${quote}${text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll(quote, `\\${quote}`)}${quote}`;
}

/** A primitive as util.inspect shows it. */
function shown(value) {
  if (typeof value === "string") return shownText(value);
  if (typeof value === "bigint") return `${value}n`;
  return Object.is(value, -0) ? "-0" : String(value);
}

function received(value) {
  if (value === null || value === undefined) return `${value}`;
  if (typeof value === "function") return `function ${value.name}`;
  if (typeof value === "object")
    return value.constructor?.name ? `an instance of ${value.constructor.name}` : "[Object: null prototype] {}";
  const text = shown(value);
  return `type ${typeof value} (${text.length > 28 ? `${text.slice(0, 25)}...` : text})`;
}

const PRIMITIVES = ["string", "function", "number", "object", "Function", "Object", "boolean", "bigint", "symbol"];
const CLASS_NAME = /^(?:[A-Z][a-z0-9]*)+$/;

function listed(items) {
  if (items.length < 3) return items.join(" or ");
  return `${items.slice(0, -1).join(", ")}, or ${items.at(-1)}`;
}

/** The expectation of an argument as text, from the names of types and classes. */
function expectation(expected) {
  const names = [expected].flat();
  const types = names.filter((it) => PRIMITIVES.includes(it)).map((it) => it.toLowerCase());
  const classes = names.filter((it) => !PRIMITIVES.includes(it) && CLASS_NAME.test(it));
  const others = names.filter((it) => !PRIMITIVES.includes(it) && !CLASS_NAME.test(it));
  const parts = [];
  if (types.length > 0) parts.push(`${types.length > 1 ? "one of type" : "of type"} ${listed(types)}`);
  if (classes.length > 0) parts.push(`an instance of ${listed(classes)}`);
  if (others.length > 1) parts.push(`one of ${listed(others)}`);
  else if (others.length === 1) parts.push(`${others[0].toLowerCase() === others[0] ? "" : "an "}${others[0]}`);
  return parts.join(" or ");
}

/** ERR_INVALID_ARG_TYPE; `expected` is the name of a type or class, or a list of them. */
export function invalidArgType(name, expected, actual) {
  const what = name.endsWith(" argument") ? name : `"${name}" ${name.includes(".") ? "property" : "argument"}`;
  return nodeError(
    TypeError,
    "ERR_INVALID_ARG_TYPE",
    `The ${what} must be ${expectation(expected)}. Received ${received(actual)}`,
  );
}

/** ERR_INVALID_ARG_TYPE with what is expected as a text. */
export function invalidArgument(name, expected, actual) {
  return nodeError(
    TypeError,
    "ERR_INVALID_ARG_TYPE",
    `The "${name}" argument must be ${expected}. Received ${received(actual)}`,
  );
}

/** As util.inspect shows it, as far as messages need it. */
function shownValue(value) {
  if (ArrayBuffer.isView(value) && value.byteLength === 0) return `${value.constructor.name}(0) []`;
  if (Array.isArray(value)) return value.length === 0 ? "[]" : `[ ${value.map(shownValue).join(", ")} ]`;
  return typeof value === "object" || typeof value === "function" ? received(value) : shown(value);
}

/** ERR_INVALID_ARG_VALUE. */
export function invalidArgValue(name, value, reason = "is invalid") {
  const kind = name.includes(".") ? "property" : "argument";
  return nodeError(
    TypeError,
    "ERR_INVALID_ARG_VALUE",
    `The ${kind} '${name}' ${reason}. Received ${shownValue(value)}`,
  );
}

/** 1_000_000, which is how messages show large numbers. */
function separated(text) {
  return text.replace(/\B(?=(?:\d{3})+$)/g, "_");
}

export function outOfRange(name, range, value) {
  let text = typeof value === "object" || typeof value === "function" ? received(value) : shown(value);
  if (Number.isInteger(value) && Math.abs(value) > 2 ** 32) text = separated(`${value}`);
  else if (typeof value === "bigint")
    text = `${value > 2n ** 32n || value < -(2n ** 32n) ? separated(`${value}`) : value}n`;
  return nodeError(
    RangeError,
    "ERR_OUT_OF_RANGE",
    `The value of "${name}" is out of range. It must be ${range}. Received ${text}`,
  );
}

export function outOfBounds(name = undefined) {
  const message =
    name === undefined ? "Attempt to access memory outside buffer bounds" : `"${name}" is outside of buffer bounds`;
  return nodeError(RangeError, "ERR_BUFFER_OUT_OF_BOUNDS", message);
}

export const unknownEncoding = (encoding) =>
  nodeError(TypeError, "ERR_UNKNOWN_ENCODING", `Unknown encoding: ${String(encoding)}`);

/** The error of what a component cannot do, with what to do instead. */
export function unavailable(what, instead) {
  return nodeError(Error, "ERR_FEATURE_UNAVAILABLE_ON_PLATFORM", `${what} is not available in a component. ${instead}`);
}

class AbortError extends Error {
  constructor(message) {
    super(message);
    this.code = "ABORT_ERR";
    this.name = "AbortError";
  }
}

/** The error that an aborted operation ends with. */
export function abortError(signal) {
  const error = new AbortError("The operation was aborted");
  if (signal?.reason !== undefined)
    Object.defineProperty(error, "cause", { value: signal.reason, writable: true, configurable: true });
  return error;
}

export function checkFunction(value, name) {
  if (typeof value !== "function") throw invalidArgType(name, "function", value);
}

export function checkObject(value, name) {
  if (value === null || typeof value !== "object") throw invalidArgType(name, "object", value);
}

export function checkString(value, name) {
  if (typeof value !== "string") throw invalidArgType(name, "string", value);
}

export function checkNumber(value, name, min = undefined, max = undefined) {
  if (typeof value !== "number") throw invalidArgType(name, "number", value);
  if ((min !== undefined && !(value >= min)) || (max !== undefined && !(value <= max))) {
    const range = [min === undefined ? "" : `>= ${min}`, max === undefined ? "" : `<= ${max}`]
      .filter((it) => it !== "")
      .join(" && ");
    throw outOfRange(name, range, value);
  }
}

export function checkInteger(value, name, min = Number.MIN_SAFE_INTEGER, max = Number.MAX_SAFE_INTEGER) {
  if (typeof value !== "number") throw invalidArgType(name, "number", value);
  if (!Number.isInteger(value)) throw outOfRange(name, "an integer", value);
  if (value < min || value > max) throw outOfRange(name, `>= ${min} && <= ${max}`, value);
}
