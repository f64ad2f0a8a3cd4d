// The state of a worker as a text, by which it moves into another version of its component; and as one for readers.
// Unlike a heap it has what can be cloned alone: the context, the object's own fields, alarms and sockets.
import { decode, encode } from "../messaging/clone-encoding.js";
import { listAlarms, restoreAlarms } from "./alarms.js";
import { lastCallNumber, numberCallsAfter } from "./calls.js";
import { classNamed, exportNamed, exportOf } from "./classes.js";
import { Socket, emptySocket, openSockets, restoreSockets } from "./sockets.js";
import { instance } from "./turn.js";

/** The most characters of a state. */
const STATE_MAX = 16 << 20;

/** The name of the class of sockets. No export has it, since the names of exports are not empty in a bundle. */
const SOCKET = "";

/**
 * The state of the worker. Throws a DataCloneError for what cannot be cloned, with its path, such as
 * `fields.items.get("a").callback`.
 */
export function exportState() {
  const { object, context, startedAt } = instance.worker;
  const [alarms, sockets] = [listAlarms(), openSockets()];
  const root = { startedAt, lastCall: lastCallNumber(), alarms, sockets, context, fields: object };
  // The fields are those of an object that is there when they are read.
  const classOf = (value) => (value === object ? undefined : value instanceof Socket ? SOCKET : exportOf(value));
  return encode(root, "", { max: STATE_MAX, classOf });
}

/** When the worker started that this is the state of, in milliseconds since 1970. */
export function startOf(state) {
  const start = /^\[1,\[2\],\{"startedAt":(\d+),/.exec(state);
  if (start === null) throw new TypeError("the turn has no state of a worker: its kind is upgrade");
  return Number(start[1]);
}

/**
 * Makes the worker's object from the state that one of another version had. What `onUpgrade` gives, if there is one;
 * else the fields of the state are assigned to the new object, and those are kept that only its constructor makes.
 */
export function upgrade({ version, state }) {
  const { worker } = instance;
  const object = new (classNamed(worker.className))();
  const takesOver = typeof object.onUpgrade === "function";
  const instanceOf = (name) => {
    if (name === SOCKET) return emptySocket();
    const found = exportNamed(name);
    if (found !== undefined) return Object.create(found.prototype);
    if (takesOver) return {};
    throw new TypeError(
      `the worker has objects of the class ${name}, which the component does not export any more; ` +
        "onUpgrade(from) gets them as plain objects",
    );
  };
  const from = decode(state, { max: STATE_MAX, instanceOf, fields: takesOver ? undefined : object });
  worker.object = object;
  worker.context = from.context;
  numberCallsAfter(from.lastCall);
  restoreAlarms(from.alarms);
  restoreSockets(from.sockets);
  if (takesOver) return object.onUpgrade({ version, context: from.context, fields: from.fields });
}

/** A copy of a value for readers: what cannot be cloned is a text, such as `[Function add]`. */
export const readable = (value, what) => decode(encode(value, what, { isReadable: true }));

/** What a reader is shown of the worker: what cannot be cloned is a text, such as `[Function add]`. */
export function inspectState() {
  const { className, name, object, context } = instance.worker;
  const root = { class: className, name, fields: object, context };
  return encode(root, "the state of the worker", { max: STATE_MAX, isReadable: true });
}
