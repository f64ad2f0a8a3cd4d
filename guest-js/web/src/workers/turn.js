// The worker of this instance, and the turn of it that runs. All of it outlives a turn: it is a part of the heap that
// the host keeps.
import native from "elias:native";

/** The most messages, and the most events, of a turn; and the most characters of their values. */
const MESSAGES_MAX = 1_000;
const VALUES_MAX = 8 << 20;

export const instance = {
  /**
   * The worker, undefined before it starts: `className`, `name`, `startedAt`, `object`, `context`; and `code`, the name
   * of the code that it was swapped into, undefined before.
   */
  worker: undefined,
  /** The handler that is under way: the `id` and `kind` of its turn, its `promise`, and the `value` that this gave. */
  handler: undefined,
  /**
   * What the turn that runs tells the host, and the names of alarms that the host does not know of yet; undefined
   * between turns, and where there is no worker.
   */
  output: undefined,
};

/** The output of each turn: most tell nothing, so that there is nothing to make anew. */
const output = {
  id: "", answer: undefined, sends: [], alarms: new Map(), newAlarms: new Set(), emitted: [], size: 0, sockets: [],
  socketSize: 0,
};

/** Begins a turn with this id, which has told nothing yet. */
export function beginOutput(id) {
  output.id = id;
  instance.output = output;
}

/** Ends it: nothing of what it has told stays in the heap. */
export function endOutput() {
  instance.output = undefined;
  output.id = "";
  output.answer = undefined;
  output.size = 0;
  output.socketSize = 0;
  if (output.sends.length > 0) output.sends = [];
  if (output.emitted.length > 0) output.emitted = [];
  if (output.sockets.length > 0) output.sockets = [];
  if (output.alarms.size > 0) output.alarms.clear();
  if (output.newAlarms.size > 0) output.newAlarms.clear();
}

/** Whether a turn of a worker runs. */
export const isTurn = () => instance.output !== undefined;

/** The name of the worker; undefined where there is none. */
export const currentName = () => instance.worker?.name;

/** What the turn that runs tells the host; `what` is an operation that needs one. */
export function requireTurn(what) {
  if (instance.output !== undefined) return instance.output;
  throw new Error(
    `${what} is for service workers, in a turn of theirs: in this version neither the top level nor the handlers of ` +
      "the default export (fetch, call, job and others) can use it",
  );
}

/** Counts a value that the turn adds to a list of its output, and gives it. */
export function countValue(list, text) {
  const { output } = instance;
  output.size += text.length;
  if (list.length >= MESSAGES_MAX) {
    throw new RangeError(`a turn sends at most ${MESSAGES_MAX} messages, and as many events`);
  }
  if (output.size > VALUES_MAX) throw new RangeError(`a turn sends at most ${VALUES_MAX} characters`);
  return text;
}

/** Milliseconds since 1970, by the turn's own time. */
export const now = () => instance.worker.startedAt + native.now();
