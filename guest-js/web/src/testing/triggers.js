// `clock` and `triggers`: the schedules of elias.toml by a clock that the test moves, and the jobs and events of the
// component, run when the test says so. When a schedule is due, which subscription an event is for and when a job is tried
// again is decided by the host, as it is where the component is served.
import { app, decide, decideBatch } from "./app.js";
import { published, queued } from "./fake.js";
import { dueOf, eventOf, giveEvent } from "./journal.js";
import { vi } from "./vi.js";

/** Runs of one call of runJobs or deliverEvents: a job that enqueues itself would go on for ever. */
const RUNS_MAX = 1000;

/** The functions of elias-test:triggers/settings. */
let host;
export const setHost = (functions) => void (host = functions);

const ticks = [];
const deliveries = [];
/** The published events that were given to the subscriptions, and to the steps that wait. */
const spread = new Set();

function startClock() {
  if (!vi.isFakeTimers()) vi.useFakeTimers({ toFake: ["Date"] });
}

async function moveTo(time) {
  const left = time - Date.now();
  if (left > 0) await vi.advanceTimersByTimeAsync(left);
}

function millisecondsOf(time) {
  if (typeof time === "string") return host.duration(time);
  if (typeof time === "number" && time >= 0 && time < Infinity) return Math.ceil(time);
  throw new TypeError(`clock.advance takes a duration such as "1d", "1h 30m" or milliseconds, not ${time}`);
}

export const clock = Object.freeze({
  /** The time: milliseconds since 1970. */
  now: () => Date.now(),
  /** Sets the time, and stops it there. No schedule is fired. */
  set(time) {
    const date = new Date(time);
    if (Number.isNaN(date.getTime())) throw new RangeError(`clock.set takes a Date, milliseconds or an ISO 8601 text, not ${time}`);
    startClock();
    vi.setSystemTime(date);
  },
  /** Moves the time on, and fires the schedules that become due, each at its time. */
  async advance(by) {
    const milliseconds = millisecondsOf(by);
    startClock();
    const until = Date.now() + milliseconds;
    for (let last = Date.now(); ; ) {
      const due = host.nextTicks(last, until);
      if (due.length === 0) break;
      last = due[0].due;
      await moveTo(last);
      for (const { schedule, due: scheduledTime, input } of due) {
        ticks.push({ name: schedule, scheduledTime });
        await app.schedule(schedule, { at: scheduledTime, input: JSON.parse(input) });
      }
    }
    await moveTo(until);
  },
});

/** The state of a job or a delivery that is kept from attempt to attempt. */
const entryOf = (made) => Object.assign(made, { attempt: 1, state: "waiting", journal: [] });

/** Gives events whose time has come to the steps that wait for them, and makes their deliveries. */
function spreadEvents() {
  for (const made of published) {
    if (spread.has(made) || made.due > Date.now()) continue;
    spread.add(made);
    const event = eventOf(made.type, made.data, { id: made.id, ...(made.subject !== undefined && { subject: made.subject }) });
    const json = JSON.stringify(event);
    for (const { journal = [] } of [...queued, ...deliveries]) giveEvent(journal, event, (type, filter) => host.matches(type, filter, json));
    for (const { subscription, event: transformed, batch } of host.deliveries(json)) {
      const delivery = { id: `${made.id} ${subscription}`, subscription, batch, event: JSON.parse(transformed), due: Date.now() };
      deliveries.push(entryOf(delivery));
    }
  }
}

/** Whether what a job waits for is done; it falls with the jobs that it waits for. */
function isUnblocked(job) {
  const before = (job.after ?? []).map((id) => queued.find((known) => known.id === id));
  if (before.some((other) => other?.state === "dead" || other?.state === "cancelled")) job.state = "cancelled";
  return before.every((other) => other === undefined || other.state === "done");
}

/** The jobs or deliveries that are due, in the order in which they are to be run. */
function dueOnes(entries) {
  spreadEvents();
  for (const entry of entries) {
    if (entry.state === undefined) entryOf(entry);
    if (entry.isCancelled && entry.state === "waiting") entry.state = "cancelled";
    if (entry.isSuspended && entry.state === "waiting") entry.due = dueOf(entry.journal);
  }
  const due = entries.filter((entry) => entry.state === "waiting" && entry.due <= Date.now() && entry.target === undefined && isUnblocked(entry));
  return due.filter(({ state }) => state === "waiting").sort((one, other) => (other.priority ?? 0) - (one.priority ?? 0));
}

/** The outcome of a handler that an exception left. */
const failed = (error) => ({ outcome: "retry", reason: `${error?.message ?? error}`, error });

/** Runs one that is due once; gives what became of it. */
async function runOnce(entry, handler, name, message) {
  entry.isSuspended = false;
  let end;
  try {
    end = await decide(handler, message, {}, entry.journal);
  } catch (error) {
    end = failed(error);
  }
  return settle(entry, handler, name, end);
}

/** Notes what became of a run of one; gives it as a test looks at it. */
function settle(entry, handler, name, end) {
  const { id, attempt } = entry;
  if (end.outcome === "suspended") {
    entry.isSuspended = true;
  } else if (end.outcome === "retry") {
    const delay = host.retryDelay(handler, name, attempt);
    if (delay === undefined) {
      end = { ...end, outcome: "dead" };
    } else {
      entry.due = Date.now() + (end.after ?? delay);
      entry.attempt += 1;
    }
  }
  if (end.outcome === "done" || end.outcome === "dead") entry.state = end.outcome;
  if (end.outcome === "done") entry.result = end.result;
  if (end.reason !== undefined) entry.reason = end.reason;
  return { id, name, attempt, ...end };
}

async function runAll(entries, run) {
  const runs = [];
  for (let due = dueOnes(entries); due.length > 0; due = dueOnes(entries)) {
    if (runs.length >= RUNS_MAX) throw new Error(`${RUNS_MAX} runs have ended, and there are more that are due at the same time`);
    runs.push(...(await run(due)));
  }
  return runs;
}

/** Runs the first job that is due. */
async function runJob([job]) {
  const { id, name, input, key = null, attempt, enqueuedAt } = job;
  return [await runOnce(job, "job", name, { id, name, input: JSON.parse(JSON.stringify(input)), attempt, key, enqueuedAt })];
}

const eventMessage = ({ event, attempt }) => ({ ...JSON.parse(JSON.stringify(event)), attempt });

/** Makes the first delivery that is due; with those of its subscription that fit into its batch, if that has batches. */
async function deliver(due) {
  const [{ subscription, batch: most }] = due;
  if (most === 1) return [await runOnce(due[0], "event", subscription, eventMessage(due[0]))];
  const batch = due.filter((delivery) => delivery.subscription === subscription).slice(0, most);
  let ends;
  try {
    ends = await decideBatch({ subscription, events: batch.map(eventMessage) });
  } catch (error) {
    ends = batch.map(() => failed(error));
  }
  return batch.map((delivery, at) => settle(delivery, "event", subscription, ends[at]));
}

/** A job or a delivery as a test looks at it. */
function shown({ journal, due, isSuspended, isCancelled, runAt, delay, ...entry }) {
  const { attempt = 1, state = "waiting" } = entry;
  return { ...entry, attempt, state: isCancelled && state === "waiting" ? "cancelled" : state, runAt: due };
}

export const triggers = Object.freeze({
  /** The ticks that `clock.advance` fired, oldest first. */
  get ticks() {
    return [...ticks];
  },
  /** The jobs that were enqueued, oldest first, and what became of them. */
  get jobs() {
    return queued.map(shown);
  },
  /** The events that were published, oldest first. */
  get events() {
    return published.map(({ due, delay, ...event }) => ({ ...event, time: due }));
  },
  /** Runs the jobs that are due, and those that these enqueue; gives what became of each run. */
  runJobs: () => runAll(queued, runJob),
  /** Delivers the events that are due to the subscriptions of elias.toml; gives what became of each delivery. */
  deliverEvents: () => runAll(deliveries, deliver),
});
