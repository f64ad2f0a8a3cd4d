// node:assert. https://nodejs.org/api/assert.html
import { inspect } from "../console/inspect.js";
import { comparisonText } from "./assert/difference.js";
import { isDeepEqual } from "./internal/deep-equal.js";
import { checkFunction, checkObject, invalidArgType, invalidArgument, nodeError } from "./internal/errors.js";

export class AssertionError extends Error {
  constructor(options) {
    checkObject(options, "options");
    const { message, actual, expected, operator } = options;
    super(message ?? comparisonText(actual, expected, operator));
    this.generatedMessage = message === undefined || message === null;
    Object.defineProperty(this, "name", { value: "AssertionError", writable: true, configurable: true });
    this.code = "ERR_ASSERTION";
    this.actual = actual;
    this.expected = expected;
    this.operator = operator;
  }
}

function check(holds, message, actual, expected, operator, generated) {
  if (holds) return;
  if (message instanceof Error) throw message;
  const error = new AssertionError({ message: message ?? generated, actual, expected, operator });
  error.generatedMessage = message === undefined;
  throw error;
}

export function ok(value, message = undefined) {
  const generated =
    arguments.length === 0 ? "No value argument passed to `assert.ok()`" : "The expression evaluated to a falsy value";
  check(value, message, value, true, "==", generated);
}

function assert(...args) {
  ok(...args);
}

export function fail(message = undefined) {
  check(false, message, undefined, undefined, "fail", "Failed");
}

// biome-ignore-start lint/suspicious/noDoubleEquals: loose equality is what the legacy mode means
function needsTwo({ length }) {
  if (length < 2)
    throw nodeError(TypeError, "ERR_MISSING_ARGS", 'The "actual" and "expected" arguments must be specified');
}

export function equal(actual, expected, message = undefined) {
  needsTwo(arguments);
  check(actual == expected || (actual !== actual && expected !== expected), message, actual, expected, "==");
}

export function notEqual(actual, expected, message = undefined) {
  needsTwo(arguments);
  check(!(actual == expected || (actual !== actual && expected !== expected)), message, actual, expected, "!=");
}
// biome-ignore-end lint/suspicious/noDoubleEquals: as above

export function strictEqual(actual, expected, message = undefined) {
  needsTwo(arguments);
  check(Object.is(actual, expected), message, actual, expected, "strictEqual");
}

export function notStrictEqual(actual, expected, message = undefined) {
  needsTwo(arguments);
  check(!Object.is(actual, expected), message, actual, expected, "notStrictEqual");
}

export function deepEqual(actual, expected, message = undefined) {
  needsTwo(arguments);
  check(isDeepEqual(actual, expected, false), message, actual, expected, "deepEqual");
}

export function notDeepEqual(actual, expected, message = undefined) {
  needsTwo(arguments);
  check(!isDeepEqual(actual, expected, false), message, actual, expected, "notDeepEqual");
}

export function deepStrictEqual(actual, expected, message = undefined) {
  needsTwo(arguments);
  check(isDeepEqual(actual, expected, true), message, actual, expected, "deepStrictEqual");
}

export function notDeepStrictEqual(actual, expected, message = undefined) {
  needsTwo(arguments);
  check(!isDeepEqual(actual, expected, true), message, actual, expected, "notDeepStrictEqual");
}

export function match(text, pattern, message = undefined) {
  if (!(pattern instanceof RegExp)) throw invalidArgument("regexp", "an instance of RegExp", pattern);
  check(
    typeof text === "string" && pattern.test(text),
    message,
    text,
    pattern,
    "match",
    `The input did not match the regular expression ${pattern}. Input:\n\n${inspect(text)}\n`,
  );
}

export function doesNotMatch(text, pattern, message = undefined) {
  if (!(pattern instanceof RegExp)) throw invalidArgument("regexp", "an instance of RegExp", pattern);
  check(
    !(typeof text === "string" && pattern.test(text)),
    message,
    text,
    pattern,
    "doesNotMatch",
    `The input was expected to not match the regular expression ${pattern}. Input:\n\n${inspect(text)}\n`,
  );
}

export function ifError(value) {
  if (value === null || value === undefined) return;
  const text =
    typeof value === "object" && typeof value.message === "string"
      ? value.message || value.constructor.name
      : inspect(value);
  throw new AssertionError({
    message: `ifError got unwanted exception: ${text}`,
    actual: value,
    expected: null,
    operator: "ifError",
  });
}

/** The members of an error that are compared, as the message shows them. */
class Comparison {
  constructor(of, keys, actual = undefined) {
    for (const key of keys.filter((name) => name in of)) {
      const isMatch = of[key] instanceof RegExp && typeof actual?.[key] === "string" && of[key].test(actual[key]);
      this[key] = isMatch ? actual[key] : of[key];
    }
  }
}

/** Whether an error is what was expected: a class, a pattern, a predicate, or an object of properties. */
function isExpected(error, expected, message, operator) {
  if (expected === undefined) return true;
  if (expected instanceof RegExp) return expected.test(`${error}`);
  if (typeof expected === "function") {
    if (expected.prototype !== undefined && error instanceof expected) return true;
    if (Error.isPrototypeOf(expected)) return false;
    const answer = Reflect.apply(expected, {}, [error]);
    const title = `The ${expected.name ? `"${expected.name}" ` : ""}validation function is expected to return "true"`;
    const text = `${title}. Received ${inspect(answer)}\n\nCaught error:\n\n${error}`;
    check(answer === true, message, error, expected, operator, text);
    return true;
  }
  const keys = Object.keys(expected);
  if (expected instanceof Error) keys.push("name", "message");
  for (const key of keys) {
    const wanted = expected[key];
    if (wanted instanceof RegExp && typeof error[key] === "string" && wanted.test(error[key])) continue;
    if (key in error && isDeepEqual(error[key], wanted, true)) continue;
    const compared = [new Comparison(error, keys), new Comparison(expected, keys, error)];
    check(false, message, error, expected, operator, comparisonText(...compared, "deepStrictEqual"));
  }
  return true;
}

/** How an error differs from the pattern or the class that was expected. */
function unexpected(error, expected) {
  if (expected instanceof RegExp) {
    return `The input did not match the regular expression ${expected}. Input:\n\n${inspect(`${error}`)}\n`;
  }
  const received = error instanceof Error ? `"${error.constructor.name}"` : `"${inspect(error, { depth: -1 })}"`;
  const text = `The error is expected to be an instance of "${expected?.name}". Received ${received}`;
  return error instanceof Error ? `${text}\n\nError message:\n\n${error.message}` : text;
}

const nothing = Symbol("nothing");

function checkExpected(expected) {
  if (expected === undefined || typeof expected === "function" || typeof expected === "string") return;
  if (typeof expected !== "object" || expected === null)
    throw invalidArgType("error", ["Function", "Error", "RegExp", "Object"], expected);
  if (!(expected instanceof RegExp || expected instanceof Error) && Object.keys(expected).length === 0) {
    throw nodeError(TypeError, "ERR_INVALID_ARG_VALUE", "The argument 'error' may not be an empty object. Received {}");
  }
}

function expectFailure(failure, expected, message, operator) {
  checkExpected(expected);
  if (typeof expected === "string") {
    if (
      message === undefined &&
      failure !== nothing &&
      expected === (typeof failure === "object" ? failure?.message : failure)
    ) {
      const same = `The error message "${expected}" is identical to the message.`;
      const text = `The "error/message" argument is ambiguous. ${same}`;
      throw nodeError(TypeError, "ERR_AMBIGUOUS_ARGUMENT", text);
    }
    [expected, message] = [undefined, expected];
  }
  if (failure === nothing) {
    if (message instanceof Error) throw message;
    const missing = `Missing expected ${operator === "throws" ? "exception" : "rejection"}`;
    const text = message === undefined ? `${missing}.` : `${missing}: ${message}`;
    throw new AssertionError({ message: text, expected, operator });
  }
  check(
    isExpected(failure, expected, message, operator),
    message,
    failure,
    expected,
    operator,
    unexpected(failure, expected),
  );
}

export function throws(run, expected = undefined, message = undefined) {
  checkFunction(run, "fn");
  let failure = nothing;
  try {
    run();
  } catch (error) {
    failure = error;
  }
  expectFailure(failure, expected, message, "throws");
}

export async function rejects(run, expected = undefined, message = undefined) {
  let failure = nothing;
  const isPromise = typeof run?.then === "function";
  if (typeof run !== "function" && !isPromise) throw invalidArgType("promiseFn", ["Function", "Promise"], run);
  const promise = isPromise ? run : run();
  if (typeof promise?.then !== "function") {
    throw nodeError(
      TypeError,
      "ERR_INVALID_RETURN_VALUE",
      `Expected instance of Promise to be returned from the "promiseFn" function`,
    );
  }
  try {
    await promise;
  } catch (error) {
    failure = error;
  }
  expectFailure(failure, expected, message, "rejects");
}

function unwanted(error, message, operator) {
  const text = typeof message === "string" ? `: ${message}` : ".";
  const what = operator === "doesNotThrow" ? "exception" : "rejection";
  throw new AssertionError({
    message: `Got unwanted ${what}${text}\nActual message: "${error?.message}"`,
    actual: error,
    operator,
  });
}

export function doesNotThrow(run, expected = undefined, message = undefined) {
  checkFunction(run, "fn");
  try {
    run();
  } catch (error) {
    unwanted(error, typeof expected === "string" ? expected : message, "doesNotThrow");
  }
}

export async function doesNotReject(run, expected = undefined, message = undefined) {
  try {
    await (typeof run === "function" ? run() : run);
  } catch (error) {
    unwanted(error, typeof expected === "string" ? expected : message, "doesNotReject");
  }
}

const common = {
  AssertionError,
  ok,
  fail,
  strictEqual,
  notStrictEqual,
  deepStrictEqual,
  notDeepStrictEqual,
  match,
  doesNotMatch,
  ifError,
  throws,
  rejects,
  doesNotThrow,
  doesNotReject,
};

export const strict = Object.assign((...args) => ok(...args), common, {
  equal: strictEqual,
  notEqual: notStrictEqual,
  deepEqual: deepStrictEqual,
  notDeepEqual: notDeepStrictEqual,
});
strict.strict = strict;

export default Object.assign(assert, common, { equal, notEqual, deepEqual, notDeepEqual, strict });
