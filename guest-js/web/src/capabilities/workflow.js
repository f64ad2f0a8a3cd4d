// The module `elias/workflow`: steps of a job, of the delivery of an event, or of a turn of a service worker, that are
// done once although the handler may run several times.
//
// The host's journal has the steps in the order in which they were begun. A step that is in it returns what was recorded,
// and is not done again. The promise of a step that waits durably stays pending: once nothing else is under way, the engine
// ends the run, and the host runs the handler again when the wait is over.
import native from "elias:native";
import { registry } from "../internal/registry.js";
import { jsonOf, milliseconds, optionalMilliseconds, optionalTransaction } from "./arguments.js";
import { db } from "./db.js";

/** Outcomes of failed steps that the journal does not have yet: position and JSON. */
let failures = [];
// Positions are those of one turn, where a service worker has steps.
registry.forgetSteps = () => {
  failures = [];
};

/**
 * Puts the next step's question to the journal. It is asked at once, since the order of the questions is that of the steps.
 *
 * Failures are recorded here, when the handler goes on to another step and so has dealt with them. Where a step's error
 * leaves the handler, the step is not in the journal, and the next attempt does it again.
 */
async function askJournal(question) {
  const recorded = failures.map(([position, outcome]) => native.workflowFinish(position, outcome));
  failures = [];
  const [answer] = await Promise.all([question(), ...recorded]);
  return answer;
}

function checkName(name) {
  if (typeof name !== "string" || name === "") throw new TypeError("a step needs a name, which is a string");
}

/** The JSON of a step's result. What the next run would get as something else, such as a Map or a Response, is refused. */
function resultJson(name, result) {
  return JSON.stringify(result, (_, value) => {
    const isLost = typeof value === "function" || typeof value === "symbol" || typeof value === "bigint";
    const prototype = value !== null && typeof value === "object" ? Object.getPrototypeOf(value) : null;
    if (!isLost && (prototype === null || prototype === Object.prototype || Array.isArray(value))) return value;
    const what = isLost ? `a ${typeof value}` : `an object of class ${value.constructor?.name}`;
    throw new TypeError(`the result of the step "${name}" has no JSON form: there is ${what} in it; return plain data instead`);
  });
}

/** The record of an error: as much as a handler looks at to decide how it goes on. */
function describeError(error) {
  if (!(error instanceof Error)) return { name: "Error", message: `thrown: ${String(error)}` };
  return { name: `${error.name}`, message: `${error.message}`, code: typeof error.code === "string" ? error.code : undefined };
}

function recordedError({ name, message, code }) {
  const error = new Error(message);
  Object.defineProperty(error, "name", { value: name, writable: true, configurable: true });
  if (code !== undefined) error.code = code;
  return error;
}

/** The JSON of the outcome of a step that returned. */
function outcomeOf(name, result) {
  const json = resultJson(name, result);
  return json === undefined ? "{}" : `{"value":${json}}`;
}

/** The value that a step returned, or the error that it threw, by its recorded outcome. */
function replay(json) {
  const outcome = JSON.parse(json);
  if (outcome.error !== undefined) throw recordedError(outcome.error);
  return outcome.value;
}

/** The failure of a step for the journal, once the handler goes on to another step. */
const recordFailure = (position, error) => void failures.push([position, JSON.stringify({ error: describeError(error) })]);

/** Begins the next step; `input` is a JSON text, or undefined. */
function beginStep(name, work, input) {
  checkName(name);
  if (typeof work !== "function") throw new TypeError(`the step "${name}" needs a function`);
  return askJournal(() => native.workflowBegin(name, input));
}

async function runStep(name, work, options = undefined) {
  const { state, value, position } = await beginStep(name, work, JSON.stringify(options?.input));
  if (state === "recorded") return replay(value);
  let result;
  try {
    result = await work();
  } catch (error) {
    recordFailure(position, error);
    throw error;
  }
  const outcome = outcomeOf(name, result);
  await native.workflowFinish(position, outcome);
  // A copy: what the next run gets.
  return replay(outcome);
}

/** Does `work` in a transaction of `elias/db`, or of what is over it: Drizzle has `transaction(work)`, Kysely a builder. */
function transact(over, work) {
  const begun = over.transaction(work);
  return typeof begun?.execute === "function" ? begun.execute(work) : begun;
}

/**
 * A step whose effect is in the component's database: its outcome is written there in the same transaction, so that a run
 * whose journal does not have the step yet finds it.
 */
async function runTransaction(name, work, options = undefined) {
  const input = JSON.stringify(options?.input);
  const { state, value, position } = await beginStep(name, work, input);
  if (state === "recorded") return replay(value);
  let failure;
  const transaction = transact(options?.db ?? db, async (tx) => {
    const id = await optionalTransaction(tx);
    const known = await native.workflowBeginIn(id, position, name, input);
    if (known.state === "recorded") return known.value;
    let result;
    try {
      result = await work(tx);
    } catch (error) {
      failure = { error };
      throw error;
    }
    const outcome = outcomeOf(name, result);
    await native.workflowFinishIn(id, position, name, input, outcome);
    return outcome;
  });
  let outcome;
  try {
    outcome = await transaction;
  } catch (error) {
    // Of a commit that failed nobody knows whether it took place: only what `work` threw is the step's failure.
    if (failure !== undefined) recordFailure(position, failure.error);
    throw error;
  }
  await native.workflowFinish(position, outcome);
  return replay(outcome);
}

/** A promise that stays pending. */
function suspend() {
  native.suspend();
  return new Promise(() => {});
}

/** Does `work` once, and returns its result whenever the handler runs again. */
export const step = Object.assign(runStep, {
  /** Does `work` in a transaction of the database: exactly once, with what it does in that transaction. */
  transaction: runTransaction,
  /** Waits for so many milliseconds from the first time that it is called; meanwhile no instance is needed. */
  async sleep(name, time) {
    checkName(name);
    const ms = milliseconds(time, "the time to sleep");
    const { state } = await askJournal(() => native.workflowSleep(name, ms));
    if (state === "wait") await suspend();
  },
  /** Waits for an event of this type and returns it; undefined after the timeout. Meanwhile no instance is needed. */
  async waitFor(type, options = undefined) {
    const { name = type, where, timeout } = options ?? {};
    checkName(name);
    const filter = where === undefined ? "{}" : jsonOf(where, "a filter");
    const timeoutMs = optionalMilliseconds(timeout, "a timeout");
    const { state, value } = await askJournal(() => native.workflowWaitFor(name, `${type}`, filter, timeoutMs));
    if (state === "wait") await suspend();
    return state === "happened" ? JSON.parse(value) : undefined;
  },
});
