// The errors of Web Crypto: DOMExceptions by name. https://w3c.github.io/webcrypto/#algorithm-conventions
import { DOMException } from "../webidl/dom-exception.js";

export const notSupported = (what) => new DOMException(`${what} is not supported`, "NotSupportedError");
export const dataError = (what) => new DOMException(what, "DataError");
export const syntaxError = (what) => new DOMException(what, "SyntaxError");
export const operationError = (what) => new DOMException(what, "OperationError");
export const invalidAccess = (what) => new DOMException(what, "InvalidAccessError");

/** Throws an InvalidAccessError unless the CryptoKey has that type: "public", "private" or "secret". */
export function checkKeyType(key, type) {
  if (key.type !== type) throw invalidAccess(`this needs a ${type} key`);
}

/** The bytes that a native function returned, or an OperationError with the reason that it returned instead. */
export function checkedResult(given, what) {
  if (typeof given === "string") throw operationError(`${what} failed: ${given}`);
  return given;
}
