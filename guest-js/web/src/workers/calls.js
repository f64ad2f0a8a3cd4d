// Calls of other workers by the worker of this instance: they are part of its turns.
import { decode, encode, errorNamed } from "../messaging/clone-encoding.js";
import { countValue, instance } from "./turn.js";

/** Calls of other workers that may be unanswered at a time. */
const CALLS_MAX = 10_000;

/**
 * Calls of other workers that have no answer yet, by number: the functions that settle their promises, and the id of
 * the handler that made them.
 */
const calls = new Map();
let lastCall = 0;

/**
 * Calls a method of another worker, or sends a message where that is null. A promise of the answer. `id` is the
 * message's UUID, if it has one.
 */
export async function callWorker(className, name, method, value, id) {
  const { handler, output } = instance;
  const what = method === null ? "the message" : `the arguments of ${method}`;
  if (calls.size >= CALLS_MAX) {
    throw new RangeError(`${CALLS_MAX} calls of other workers have no answer yet, which is the most`);
  }
  const text = countValue(output.sends, encode(value, what));
  const call = (lastCall += 1);
  output.sends.push({ call, class: className, name, method, value: text, id });
  return new Promise((resolve, reject) => calls.set(call, { resolve, reject, caller: handler?.id }));
}

/** How many calls have no answer. */
export const countCalls = () => calls.size;

/** The id of the handler that made a call which has no answer yet. */
export const callerOf = (call) => calls.get(call)?.caller;

/** The number of the last call. */
export const lastCallNumber = () => lastCall;

/** Numbers calls from here on: answers to those of a former version may come still, and are nobody's. */
export const numberCallsAfter = (call) => void (lastCall = Math.max(lastCall, call));

/** Settles the promise of a call with its answer. */
export function settleCall({ call, value, error }) {
  const waiting = calls.get(call);
  if (waiting === undefined) return; // answered already
  calls.delete(call);
  if (error === undefined || error === null) {
    try {
      waiting.resolve(decode(value));
    } catch (thrown) {
      waiting.reject(thrown);
    }
  } else {
    waiting.reject(errorNamed(`${error.name}`, `${error.message}`));
  }
}
