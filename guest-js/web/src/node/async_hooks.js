// node:async_hooks: stores that follow the flow of control. https://nodejs.org/api/async_context.html
//
// The async context is a Map from AsyncLocalStorage to store, never changed after it is made, or undefined. The engine
// keeps it with every promise reaction and timer (src/native/async_context.rs).
import native from "elias:native";
import { checkFunction, invalidArgument, nodeError } from "./internal/errors.js";

const current = native.asyncContext;
const enter = native.setAsyncContext;

function runIn(context, callback, thisArg, args) {
  const former = current();
  enter(context);
  try {
    return Reflect.apply(callback, thisArg, args);
  } finally {
    enter(former);
  }
}

function without(context, storage) {
  if (context === undefined || !context.has(storage)) return context;
  const rest = new Map(context);
  rest.delete(storage);
  return rest.size === 0 ? undefined : rest;
}

export class AsyncLocalStorage {
  #default;
  #name;

  constructor({ defaultValue = undefined, name = "" } = {}) {
    this.#default = defaultValue;
    this.#name = `${name}`;
  }

  static bind(callback) {
    checkFunction(callback, "fn");
    const context = current();
    return function (...args) {
      return runIn(context, callback, this, args);
    };
  }

  static snapshot() {
    const context = current();
    return (callback, ...args) => runIn(context, callback, undefined, args);
  }

  get name() {
    return this.#name;
  }

  run(store, callback, ...args) {
    return runIn(new Map(current()).set(this, store), callback, undefined, args);
  }

  exit(callback, ...args) {
    return runIn(without(current(), this), callback, undefined, args);
  }

  getStore() {
    const context = current();
    return context !== undefined && context.has(this) ? context.get(this) : this.#default;
  }

  enterWith(store) {
    enter(new Map(current()).set(this, store));
  }

  disable() {
    enter(without(current(), this));
  }
}

let ids = 1;

export class AsyncResource {
  #context = current();
  #id = ++ids;
  #type;

  constructor(type, _options = undefined) {
    if (typeof type !== "string") throw invalidArgument("type", "of type string", type);
    this.#type = type;
  }

  get type() {
    return this.#type;
  }

  runInAsyncScope(callback, thisArg = undefined, ...args) {
    return runIn(this.#context, callback, thisArg, args);
  }

  bind(callback, thisArg = undefined) {
    checkFunction(callback, "fn");
    const resource = this;
    return Object.defineProperty(
      function (...args) {
        return resource.runInAsyncScope(callback, thisArg ?? this, ...args);
      },
      "length",
      { value: callback.length, configurable: true },
    );
  }

  static bind(callback, type = "bound-anonymous-fn", thisArg = undefined) {
    return new AsyncResource(type || "bound-anonymous-fn").bind(callback, thisArg);
  }

  asyncId() {
    return this.#id;
  }

  triggerAsyncId() {
    return 0;
  }

  emitDestroy() {
    return this;
  }
}

// An instance runs one execution: there are no resources to tell apart, and nobody is told of their lives.
export const executionAsyncId = () => 1;
export const triggerAsyncId = () => 0;
export const executionAsyncResource = () => resource;
const resource = {};

export function createHook(callbacks = {}) {
  for (const name of ["init", "before", "after", "destroy", "promiseResolve"]) {
    if (callbacks[name] !== undefined && typeof callbacks[name] !== "function") {
      throw nodeError(TypeError, "ERR_ASYNC_CALLBACK", `hook.${name} must be a function`);
    }
  }
  const hook = { enable: () => hook, disable: () => hook };
  return hook;
}

export const asyncWrapProviders = Object.freeze({ __proto__: null });

// queueMicrotask does not go through a promise.
const { queueMicrotask } = globalThis;
Object.defineProperty(globalThis, "queueMicrotask", {
  value: Object.defineProperty(
    (callback) => queueMicrotask(typeof callback === "function" ? native.bindAsyncContext(callback) : callback),
    "name",
    {
      value: "queueMicrotask",
    },
  ),
  writable: true,
  enumerable: true,
  configurable: true,
});

export default {
  AsyncLocalStorage,
  AsyncResource,
  executionAsyncId,
  triggerAsyncId,
  executionAsyncResource,
  createHook,
  asyncWrapProviders,
};
