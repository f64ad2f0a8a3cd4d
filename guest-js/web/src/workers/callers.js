// Calls of workers by handlers that are not workers: the workers capability. What a worker calls is part of its turn,
// and does not come here.
import native from "elias:native";
import { decode, encode, errorNamed } from "../messaging/clone-encoding.js";

/**
 * Calls a method of a worker, or sends a message where that is null. A promise of the answer, once it is committed.
 * `id` is the message's UUID, if it has one.
 */
export async function callFromHandler(className, name, method, value, id) {
  const text = encode(value, method === null ? "the message" : `the arguments of ${method}`);
  const outcome = await native.workersCall(className, name, method ?? undefined, text, id);
  if (typeof outcome === "string") return decode(outcome);
  const error = errorNamed(outcome.name, outcome.message);
  // An exception of the worker is as it was thrown; any other failure says by its code which it is.
  if (outcome.code !== "exception") error.code = outcome.code;
  throw error;
}
