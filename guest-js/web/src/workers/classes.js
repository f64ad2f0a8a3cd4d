// The classes of a component's service workers: those of the entry module's named exports that extend `Worker`, or that
// `worker({ ... })` made, and those of services, which have their names without being exported.
import { NAME_CHARACTERS_MAX, checkName } from "./names.js";
import { openSockets } from "./sockets.js";

/** The base of all workers. */
export class Worker {
  /** For the first turn of a new worker. */
  onStart(_context) {}

  /** For the last turn. */
  onStop(_reason) {}

  /** The sockets of the worker that are open. A class may have a field of this name. */
  get sockets() {
    return openSockets();
  }

  set sockets(value) {
    Object.defineProperty(this, "sockets", { value, writable: true, enumerable: true, configurable: true });
  }
}

/** Classes by their names, and the other way round. */
const classes = new Map();
const names = new Map();

/** The classes that have names without being exported. */
const services = new WeakSet();

/** Whether the top level is over, and all classes found. */
let areFound = false;

/** The functions that the entry module exports by name, and their names by the prototypes of what they construct. */
const exported = new Map();
const exportNames = new WeakMap();

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

/** Has a class of workers have a name without being exported; only the top level can, for the build lists the names. */
export function addClass(name, made, what) {
  checkName(name, `the name of ${what}`);
  if (areFound) throw new Error(`${what} can be made by the top level only: the build has to know of it`);
  if (classes.has(name)) throw new Error(`${what} ${name} is there already`);
  classes.set(name, made);
  names.set(made, name);
  services.add(made);
}

/** Takes a name back that `addClass` gave, at the top level. */
export function removeClass(name) {
  names.delete(classes.get(name));
  classes.delete(name);
}

/** Whether the top level runs, so that the build does not know yet which classes there are. */
export const isTopLevel = () => !areFound;

/** Keeps a function that the entry module exports, if objects that it constructs can be told by their prototype. */
function keepExport(name, value) {
  const prototype = typeof value === "function" && Object.getOwnPropertyDescriptor(value, "prototype")?.value;
  if (name === "" || typeof prototype !== "object" || prototype === null || prototype === Object.prototype) return;
  exported.set(name, value);
  if (!exportNames.has(prototype)) exportNames.set(prototype, name);
}

/** The function that is exported under this name, and constructs objects. */
export const exportNamed = (name) => exported.get(name);

/** The name of the exported class that an object is of, and not of one that extends it; undefined without one. */
export const exportOf = (object) => exportNames.get(Object.getPrototypeOf(object));

/** Keeps the worker classes among a module's exports; gives the names of all classes. The build calls this. */
export function findClasses(exports) {
  areFound = true;
  for (const name of Object.keys(exports)) {
    const value = exports[name];
    if (name !== "default") keepExport(name, value);
    if (!isWorkerClass(value)) continue;
    if (name === "default") {
      throw new TypeError(
        "the default export is a worker, which must be a named export: export class Cart extends worker.Worker { ... }",
      );
    }
    checkName(name, "the name of a worker's class");
    if ((classes.get(name) ?? value) !== value) {
      throw new TypeError(`the export ${name} has the name of a service, which has a class too`);
    }
    classes.set(name, value);
    if (!names.has(value)) names.set(value, name);
    if (unnamed.has(value)) Object.defineProperty(value, "name", { value: names.get(value), configurable: true });
  }
  return [...classes.keys()].sort();
}

/**
 * Keeps the worker classes among the exports of another version of the module, of which those that both versions have
 * are the same objects. Throws if it does not export a class that the running version does.
 */
export function exchangeClasses(exports) {
  for (const [name, value] of [...classes]) {
    if (exports[name] === value) continue;
    // The class of a service has its name without being exported, and is not made anew.
    if (name in exports || !services.has(value)) {
      throw new TypeError(`the new version does not export the class ${name}, or another value by that name`);
    }
  }
  exported.clear();
  findClasses(exports);
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
