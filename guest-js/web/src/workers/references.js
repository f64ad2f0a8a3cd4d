// References to other workers: objects whose methods are those of the worker.
import { refuseToEncode } from "../messaging/clone-encoding.js";
import { callFromHandler } from "./callers.js";
import { callWorker } from "./calls.js";
import { nameOf } from "./classes.js";
import { checkName } from "./names.js";
import { isTurn } from "./turn.js";

/** Names that the language asks of any object, which must not become calls. */
const NOT_METHODS = new Set(["then", "toJSON"]);

/** In a turn of a worker a call is part of the turn; any other handler makes it by the capability. */
export const callOf = (...call) => (isTurn() ? callWorker(...call) : callFromHandler(...call));

/** The name by which the host finds the member of a group that has this key: it knows the groups, and no other form. */
function nameWithKey(name, key) {
  checkName(key, "the key of a message");
  return checkName(`${name}/${key}`, "the name of a group and the key of a message, together,");
}

/**
 * A reference to a worker, or with a `key` to the member of a group. The class's name is looked up when it is called, as
 * the build knows the exports only after the top level, where references may be made.
 */
export function referenceTo(target, group, { key } = {}) {
  if (typeof target !== "string" && typeof target !== "function") nameOf(target);
  if (typeof target === "string") checkName(target, "the name of a worker's class");
  checkName(group, "the name of a worker");
  const name = key === undefined ? group : nameWithKey(group, key);
  const send = async (message) => callOf(nameOf(target), name, null, message);
  const own = Object.freeze({ send });
  const reference = new Proxy(own, {
    get(_, key) {
      if (typeof key === "symbol" || key in own) return own[key];
      if (NOT_METHODS.has(key)) return undefined;
      return async (...args) => callOf(nameOf(target), name, checkName(key, "the name of a method"), args);
    },
  });
  refuseToEncode(reference, "a reference to a worker");
  return reference;
}
