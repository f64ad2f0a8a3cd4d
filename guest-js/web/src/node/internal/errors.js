// Errors as Node.js makes them: with a stable `code`, which packages compare. https://nodejs.org/api/errors.html#errorcode

/** An error of class `Base` with Node.js's `code`. */
export function nodeError(Base, code, message) {
  const error = new Base(message);
  Object.defineProperty(error, "code", { value: code, writable: true, enumerable: true, configurable: true });
  return error;
}

/** The TypeError for an argument of the wrong type. */
export function invalidArgument(name, expected, actual) {
  const got = actual === null || actual === undefined ? `${actual}` : `type ${typeof actual}`;
  return nodeError(TypeError, "ERR_INVALID_ARG_TYPE", `The "${name}" argument must be ${expected}. Received ${got}`);
}

/** The error of what a component cannot do, with what to do instead. */
export function unavailable(what, instead) {
  return nodeError(Error, "ERR_FEATURE_UNAVAILABLE_ON_PLATFORM", `${what} is not available in a component. ${instead}`);
}

/** The error that an aborted operation ends with. */
export function abortError(signal) {
  const error = nodeError(Error, "ABORT_ERR", "The operation was aborted");
  error.name = "AbortError";
  if (signal?.reason !== undefined) Object.defineProperty(error, "cause", { value: signal.reason, writable: true, configurable: true });
  return error;
}

export function checkFunction(value, name) {
  if (typeof value !== "function") throw invalidArgument(name, "of type function", value);
}
