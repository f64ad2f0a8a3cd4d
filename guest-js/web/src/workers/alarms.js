// Alarms: durable timers with a name.
import { checkName } from "./names.js";
import { instance, now, requireTurn } from "./turn.js";

/** Alarms that may be set at a time. */
const ALARMS_MAX = 1_000;

/** The longest time to an alarm, in milliseconds: 100,000 days. */
const DELAY_MAX = 8_640_000_000_000;

/** When each alarm is due, by name. */
const alarms = new Map();

/** Has `onAlarm` called in so many milliseconds, however long the host was down meanwhile. */
export function setAlarm(milliseconds, name) {
  const output = requireTurn("worker.after");
  checkName(name, "the name of an alarm");
  if (typeof milliseconds !== "number" || !(milliseconds >= 0 && milliseconds <= DELAY_MAX)) {
    throw new RangeError(`worker.after takes a number of milliseconds, not ${String(milliseconds)}`);
  }
  if (!alarms.has(name) && alarms.size >= ALARMS_MAX) {
    throw new RangeError(`${ALARMS_MAX} alarms are set, which is the most`);
  }
  if (!alarms.has(name) && !output.alarms.has(name)) output.newAlarms.add(name);
  const at = Math.ceil(now() + milliseconds);
  alarms.set(name, at);
  output.alarms.set(name, at);
}

/** Forgets an alarm; whether it was set. */
export function clearAlarm(name) {
  const output = requireTurn("worker.cancel");
  if (!alarms.delete(name)) return false;
  // The host need not hear of one that came and went in this turn: else a turn could clear any number of them.
  if (output.newAlarms.delete(name)) output.alarms.delete(name);
  else output.alarms.set(name, null);
  return true;
}

/** Forgets an alarm that is due. One that was set anew meanwhile is still to come. */
export function finishAlarm({ name, at }) {
  if (alarms.get(name) === at) alarms.delete(name);
}

/** The alarms that are set, `[name, at]` each. */
export const listAlarms = () => [...alarms];

/** Takes over the alarms of a former version, which the host has; one that this turn has set is in place of its own. */
export function restoreAlarms(list) {
  for (const [name, at] of list) {
    if (!alarms.has(name)) alarms.set(name, at);
    instance.output.newAlarms.delete(name);
  }
}
