// The module `elias/workers`: service workers, objects with a name that live on between their messages.
import { clearAlarm, setAlarm } from "../workers/alarms.js";
import { Worker, classOf } from "../workers/classes.js";
import { referenceTo } from "../workers/references.js";
import { openSockets } from "../workers/sockets.js";
import { currentName, instance } from "../workers/turn.js";
import { emitEvent } from "../workers/turns.js";

/** Makes a worker's class of an object of handlers; its members are for the worker that runs. */
export const worker = Object.defineProperties((handlers) => classOf(handlers), {
  Worker: { value: Worker, enumerable: true },
  /** The name of the worker that runs; undefined outside of workers. */
  name: { get: currentName, enumerable: true },
  after: { value: (milliseconds, name) => setAlarm(milliseconds, name), enumerable: true },
  cancel: { value: (name) => clearAlarm(name), enumerable: true },
  emit: { value: (event, value) => emitEvent(event, value), enumerable: true },
});

export const workers = {
  /**
   * The worker of a class, or of the class with a name, that has this name: its methods call, and `send` sends. If that
   * is the name of a group, one of its members gets each message; with a key always the same.
   */
  get(target, name, options) {
    return referenceTo(target, name, options);
  },

  /** The open sockets of the worker whose turn runs, which is given by its object. */
  sockets(object) {
    if (object === undefined || object !== instance.worker?.object) {
      throw new TypeError("workers.sockets takes the object of the worker that runs: this");
    }
    return openSockets();
  },
};
