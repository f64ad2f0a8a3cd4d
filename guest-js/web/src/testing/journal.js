// The steps of the handlers that tests run. A handler that is called by itself has an empty journal, and its sleeps are
// over at once; jobs and deliveries that a test has run from their queue keep theirs from attempt to attempt, and sleep by
// the clock.
import native from "elias:native";

let events = 0;
/** A CloudEvent of a test. */
export const eventOf = (type, data = null, given = {}) => ({
  specversion: "1.0",
  id: `test-event-${++events}`,
  source: "test",
  type: `${type}`,
  time: new Date().toISOString(),
  datacontenttype: "application/json",
  data: JSON.parse(JSON.stringify(data)),
  ...given,
});

/** Events for which steps wait. */
let arrivals = [];
export const arrive = (type, data, attributes) => void arrivals.push(eventOf(type, data, attributes));

/** Whether an event's type matches a pattern: `*` is one part, `**` any number of them. */
function matchesType(pattern, type) {
  const parts = pattern.split(".").map((part) => ({ "*": "[^.]+", "**": ".+" })[part] ?? part.replaceAll(/[^\w-]/g, "\\$&"));
  return new RegExp(`^${parts.join("\\.")}$`).test(type);
}

/** Takes the first event at hand of this type. */
function takeArrival(type) {
  const event = arrivals.find((arrived) => matchesType(type, arrived.type));
  arrivals = arrivals.filter((arrived) => arrived !== event);
  return event;
}

/** How many steps the handler that runs has begun; undefined where it has no journal. */
let steps;
/** The steps that are kept, of the handler that runs; undefined if nothing is kept. */
let kept;
/** The positions of the steps that this run has begun. */
let begun = new Set();
let suspend = () => {};

function requireJournal() {
  if (steps !== undefined) return;
  throw Object.assign(new Error("steps need a job or an event: this handler has no journal"), { code: "not-in-a-job" });
}

/** The step at the next position: what is asked for, or what is kept there. */
function nextStep(asked) {
  requireJournal();
  const position = steps++;
  if (kept === undefined) return { position, known: asked };
  const known = (kept[position] ??= asked);
  if (known.name !== asked.name || known.kind !== asked.kind) {
    const message = `the ${asked.kind} "${asked.name}" is at position ${position}, where the journal has the ${known.kind} "${known.name}"`;
    throw Object.assign(new Error(message), { code: "nondeterministic-step" });
  }
  return { position, known };
}

native.workflowBegin = async (name) => {
  const { position, known } = nextStep({ kind: "step", name });
  if (known.outcome !== undefined) return { state: "recorded", value: known.outcome };
  begun.add(position);
  return { state: "run", position };
};
native.workflowFinish = async (position, outcome) => {
  // A failure that left the handler is recorded by nobody: the next attempt begins the step anew.
  if (kept !== undefined && begun.has(position)) kept[position].outcome = outcome;
  return { state: "finished" };
};
// A test does not end between the commit of a step's transaction and the step's record: the journal has it always.
native.workflowBeginIn = async (_, position) => ({ state: "run", position });
native.workflowFinishIn = async () => ({ state: "finished" });
native.workflowSleep = async (name, ms) => {
  const { known } = nextStep({ kind: "sleep", name, until: Date.now() + ms });
  known.isOver ||= kept === undefined || known.until <= Date.now();
  return { state: known.isOver ? "elapsed" : "wait" };
};
native.workflowWaitFor = async (name, type, filter, timeoutMs) => {
  const until = timeoutMs === undefined ? Infinity : Date.now() + timeoutMs;
  const { known } = nextStep({ kind: "wait", name, type, filter, until });
  const event = known.isOver ? undefined : takeArrival(type);
  if (event !== undefined) Object.assign(known, { isOver: true, event });
  known.isNews = false;
  if (known.event !== undefined) return { state: "happened", value: JSON.stringify(known.event) };
  known.isOver ||= kept === undefined ? timeoutMs !== undefined : known.until <= Date.now();
  if (known.isOver) return { state: "timed-out" };
  if (kept !== undefined) return { state: "wait" };
  throw new TypeError(`the step "${name}" waits for ever: the test has no event ${type}. Give one first: fake.events.arrive("${type}", data)`);
};
native.suspend = () => suspend();

/** The result of a run that waits. */
export const SUSPENDED = Symbol("suspended");

/** Calls `run` with a journal: an empty one, or `journal`, an array in which the steps are kept. Gives its result. */
export async function withJournal(run, journal = undefined) {
  steps = 0;
  kept = journal;
  begun = new Set();
  const suspended = new Promise((resolve) => {
    suspend = () => resolve(SUSPENDED);
  });
  try {
    return await Promise.race([run(), suspended]);
  } finally {
    steps = undefined;
    kept = undefined;
  }
}

/** When a handler that waits is to be run again: milliseconds since 1970. At once if what it waits for is at hand. */
export function dueOf(journal) {
  if (journal.some(({ isNews }) => isNews)) return 0;
  const waits = journal.filter(({ kind, isOver }) => kind !== "step" && !isOver);
  if (waits.some(({ kind, type }) => kind === "wait" && arrivals.some((event) => matchesType(type, event.type)))) return 0;
  return Math.min(...waits.map(({ until }) => until));
}

/** Gives an event to the waits of a journal that it is for. */
export function giveEvent(journal, event, matches) {
  for (const wait of journal) {
    if (wait.kind === "wait" && !wait.isOver && matches(wait.type, wait.filter)) Object.assign(wait, { isOver: true, isNews: true, event });
  }
}
