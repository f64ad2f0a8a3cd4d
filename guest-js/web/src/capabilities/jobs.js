// The module `elias/jobs`: work that is done later, by the handler `job`.
import native from "elias:native";
import { jsonOf, optionalMilliseconds, optionalText, optionalTransaction } from "./arguments.js";

function checkPriority(priority) {
  if (priority === undefined || (Number.isInteger(priority) && Math.abs(priority) < 2 ** 31)) return priority;
  throw new RangeError(`a priority must be an integer of 32 bits, not ${priority}`);
}

export const jobs = {
  /**
   * Enqueues a job; returns its id once it can no longer be lost. With `tx` it is enqueued if that transaction commits.
   */
  async enqueue(name, input = null, options = undefined) {
    const { priority, runAt, delay, key, concurrencyKey, after, target, tx } = options ?? {};
    if (runAt !== undefined && delay !== undefined) throw new TypeError("a job has either runAt or delay, not both");
    const job = {
      name: `${name}`,
      input: jsonOf(input, "the input of a job"),
      priority: checkPriority(priority),
      runAtMs: optionalMilliseconds(runAt instanceof Date ? runAt.getTime() : runAt, "runAt, unless it is a Date,"),
      delayMs: optionalMilliseconds(delay, "a delay"),
      key: optionalText(key),
      concurrencyKey: optionalText(concurrencyKey),
      after: Array.from(after ?? [], String),
      target: optionalText(target),
    };
    const transaction = optionalTransaction(tx);
    return native.jobsEnqueue(job, typeof transaction === "number" ? transaction : await transaction);
  },
  /** Cancels a job that waits or runs. */
  async cancel(id) {
    await native.jobsCancel(`${id}`);
  },
};
