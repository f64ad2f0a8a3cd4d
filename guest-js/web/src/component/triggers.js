// The handlers `scheduled`, `job`, `event` and `events` of the component's default export: the engine calls these
// functions.
import native from "elias:native";
import { newList, parse } from "../internal/primordials.js";
import { runHandler, writeResult } from "./handlers.js";

const { ceil, min } = Math;
const { defineProperties } = Object;
const { MAX_SAFE_INTEGER } = Number;

/** Milliseconds until the next attempt, from an argument of `retry`; undefined: as the retry policy says. */
function checkDelay(afterMs) {
  if (afterMs === undefined || afterMs === null) return undefined;
  if (typeof afterMs !== "number" || !(afterMs >= 0)) {
    throw new RangeError(`retry takes the milliseconds until the next attempt, not ${afterMs}`);
  }
  // JSON has no infinity, and the host reads whole numbers.
  return min(ceil(afterMs), MAX_SAFE_INTEGER);
}

/**
 * Gives a message the methods by which its handler decides about it. The last decision counts, and counts more than how
 * the handler ends. They are properties of the message, so that no attribute of an event takes their place.
 */
export function withDecisions(message, { retry, reject }) {
  return defineProperties(message, {
    retry: { __proto__: null, value: (afterMs = undefined, reason = "") => void retry(checkDelay(afterMs), `${reason}`) },
    reject: { __proto__: null, value: (reason = "") => void reject(`${reason}`) },
  });
}

const decisions = { retry: native.retryMessage, reject: native.rejectMessage };

/**
 * Gives the events of a batch their decisions; what was decided on each is in the list that is returned, null where
 * nothing was.
 */
export function withBatchDecisions({ events }) {
  const decided = newList();
  for (let at = 0; at < events.length; at += 1) {
    decided[at] = null;
    withDecisions(events[at], {
      retry: (afterMs = null, reason) => void (decided[at] = { retry: { afterMs, reason } }),
      reject: (reason) => void (decided[at] = { reject: { reason } }),
    });
  }
  return decided;
}

function register(name, prepare, finish) {
  native.register(name, (app) => {
    if (typeof app?.[name] !== "function") throw new TypeError(`the default export of the component has no ${name} handler`);
    return runHandler(app, name, prepare(parse(native.callInput())), finish);
  });
}

const ignore = () => {};
register("scheduled", (tick) => tick, ignore);
register("job", (job) => withDecisions(job, decisions), (result) => writeResult(result, "job"));
register("event", (event) => withDecisions(event, decisions), ignore);

native.register("events", (app) => {
  if (typeof app?.events !== "function") throw new TypeError("the default export of the component has no events handler");
  const batch = parse(native.callInput());
  const decided = withBatchDecisions(batch);
  return runHandler(app, "events", batch, () => writeResult(decided, "events"));
});
