// The classes of a component's service workers: those of the entry module's named exports that extend `Worker`, or that
// `worker({ ... })` made.

/** The base of all workers. */
export class Worker {
  /** For the first turn of a new worker. */
  onStart(_context) {}

  /** For the last turn. */
  onStop(_reason) {}
}

/** The most characters of the name of a class, a worker, an alarm, a method or an event. */
const NAME_CHARACTERS_MAX = 256;

/** A name, checked; `what` says whose it is. */
export function checkName(name, what) {
  if (typeof name !== "string" || name === "" || name.length > NAME_CHARACTERS_MAX) {
    throw new TypeError(`${what} must be a string of 1 to ${NAME_CHARACTERS_MAX} characters`);
  }
  return name;
}

/** Classes by the names of their exports, and the other way round. */
const classes = new Map();
const names = new Map();

/** The classes that `worker({ ... })` made, which get their names when they are exported. */
const unnamed = new WeakSet();

const isWorkerClass = (value) => typeof value === "function" && value.prototype instanceof Worker;

/** The class of an object of handlers and methods. Its other values are the first values of the worker's fields. */
export function classOf(handlers) {
  if (typeof handlers !== "object" || handlers === null) {
    throw new TypeError("worker takes an object of handlers, such as { onMessage(message, context) { ... } }");
  }
  const fields = [];
  const made = class extends Worker {
    constructor() {
      super();
      for (const [key, value] of fields) this[key] = value;
    }
  };
  for (const key of Reflect.ownKeys(handlers)) {
    const descriptor = Object.getOwnPropertyDescriptor(handlers, key);
    if (key === "constructor") throw new TypeError("an object of handlers has no constructor; use onStart, or a class");
    if (typeof descriptor.value === "function" || !("value" in descriptor)) {
      Object.defineProperty(made.prototype, key, { ...descriptor, enumerable: false, configurable: true });
    } else {
      fields.push([key, descriptor.value]);
    }
  }
  unnamed.add(made);
  return made;
}

/** Keeps the worker classes among a module's exports; gives their names. The build calls this once. */
export function findClasses(exports) {
  for (const name of Object.keys(exports)) {
    const value = exports[name];
    if (!isWorkerClass(value)) continue;
    if (name === "default") {
      throw new TypeError(
        "the default export is a worker, which must be a named export: export class Cart extends worker.Worker { ... }",
      );
    }
    checkName(name, "the name of a worker's class");
    classes.set(name, value);
    if (!names.has(value)) names.set(value, name);
    if (unnamed.has(value)) Object.defineProperty(value, "name", { value: names.get(value), configurable: true });
  }
  return [...classes.keys()];
}

/** The class that is exported under this name. */
export function classNamed(name) {
  const found = classes.get(name);
  if (found === undefined) throw new TypeError(`the component exports no worker class ${name}`);
  return found;
}

/** The name of a class, which may be given by its name. */
export function nameOf(target) {
  if (typeof target === "string") return target;
  const name = names.get(target);
  if (name !== undefined) return name;
  if (!isWorkerClass(target)) throw new TypeError("workers.get needs a worker's class, or the name of one");
  const shown = target.name || "(anonymous)";
  throw new TypeError(`the class ${shown} is not a named export of the entry module, so it has no workers`);
}

/** Names that are the engine's to call. What serves files is called by the host as a method is. */
const HANDLER = /^on(?!(?:Walk|Read|Write)$)[A-Z]/;

/**
 * The method of a worker that a call may name: of its class, or of one that this extends up to `Worker`. Handlers,
 * constructors, accessors, private methods and what every object has are not among them.
 */
export function methodOf(object, className, method) {
  if (typeof method === "string" && method !== "constructor" && !HANDLER.test(method)) {
    let at = Object.getPrototypeOf(object);
    for (; at !== null && at !== Worker.prototype; at = Object.getPrototypeOf(at)) {
      const descriptor = Object.getOwnPropertyDescriptor(at, method);
      if (descriptor === undefined) continue;
      if (typeof descriptor.value === "function") return descriptor.value;
      break;
    }
  }
  const shown = String(method).slice(0, NAME_CHARACTERS_MAX);
  throw new TypeError(`no such method: ${className} has no ${shown} that can be called`);
}
