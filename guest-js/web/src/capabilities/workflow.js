// The module `elias/workflow`: steps of a job, or of the delivery of an event, that are done once although the handler may
// run several times.
//
// The host's journal has the steps in the order in which they were begun. A step that is in it returns what was recorded,
// and is not done again. The promise of a step that waits durably stays pending: once nothing else is under way, the engine
// ends the run, and the host runs the handler again when the wait is over.
import native from "elias:native";
import { jsonOf, milliseconds, optionalMilliseconds } from "./arguments.js";

/** Outcomes of failed steps that the journal does not have yet: position and JSON. */
let failures = [];

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

/** What is recorded of an error: as much as a handler looks at to decide how it goes on. */
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

async function runStep(name, work, options = undefined) {
  checkName(name);
  if (typeof work !== "function") throw new TypeError(`the step "${name}" needs a function`);
  const { state, value, position } = await askJournal(() => native.workflowBegin(name, JSON.stringify(options?.input)));
  if (state === "recorded") {
    const outcome = JSON.parse(value);
    if (outcome.error !== undefined) throw recordedError(outcome.error);
    return outcome.value;
  }
  let result;
  try {
    result = await work();
  } catch (error) {
    failures.push([position, JSON.stringify({ error: describeError(error) })]);
    throw error;
  }
  const json = resultJson(name, result);
  await native.workflowFinish(position, json === undefined ? "{}" : `{"value":${json}}`);
  // A copy: what the next run gets.
  return json === undefined ? undefined : JSON.parse(json);
}

/** A promise that stays pending. */
function suspend() {
  native.suspend();
  return new Promise(() => {});
}

/** Does `work` once, and returns its result whenever the handler runs again. */
export const step = Object.assign(runStep, {
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
