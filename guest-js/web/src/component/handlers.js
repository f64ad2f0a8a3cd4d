// The handlers `fetch` and `call` of the component's default export, and `ctx`: the engine calls these functions.
import native from "elias:native";
import { incomingRequest } from "../fetch/request.js";
import { isResponse, sendResponse } from "../fetch/response.js";
import { parse, stringify } from "../internal/primordials.js";
import { registry } from "../internal/registry.js";

/** The second argument of every handler that mentions no `env`. */
const noEnv = Object.freeze({});

/** The third argument of every handler. */
class ExecutionContext {
  #caller;

  /** On whose behalf the execution runs: asked once. */
  #known() {
    return (this.#caller ??= native.caller());
  }

  get tenantId() {
    return this.#known().tenantId;
  }

  get userId() {
    return this.#known().userId;
  }

  get organizationId() {
    return this.#known().organizationId;
  }

  /** The claims of the token that authenticated the request. */
  get claims() {
    const { claims } = this.#known();
    return claims === undefined ? undefined : parse(claims);
  }

  /** The IP address of the client, as text; undefined where no request over a network started the execution. */
  get clientAddress() {
    return native.clientAddress();
  }

  get executionId() {
    return native.execution().id;
  }

  /** When the host will end this execution, in milliseconds since the Unix epoch. */
  get deadline() {
    return Date.now() + native.execution().remainingMs;
  }

  /** Keeps the instance alive after the response until `promise` settles. */
  waitUntil(promise) {
    native.waitUntil(Promise.resolve(promise));
  }
}

// One context is enough, as an instance runs one execution; made here, it costs a request nothing.
const context = new ExecutionContext();

const isThenable = (value) => value !== null && typeof value === "object" && typeof value.then === "function";

/**
 * Awaits the promise and calls `finish` with its value. A script may have replaced `then` or `resolve`: await uses
 * neither.
 */
const later = async (promise, finish) => finish(await promise);

function respond(result) {
  if (!isResponse(result)) {
    throw new TypeError(`the fetch handler returned ${describe(result)}; it must return a Response`);
  }
  return sendResponse(result);
}

function describe(value) {
  if (value === null || value === undefined) return `${value}`;
  if (typeof value !== "object") return `a ${typeof value}`;
  const name = value.constructor?.name;
  return name ? `an object of class ${name}` : "an object";
}

/** Sends a result that the engine does not send by itself. */
const finish = (result) => (!isResponse(result) && isThenable(result) ? later(result, respond) : respond(result));

// The arguments with which the engine calls the handler. The function below handles a default export without one.
native.fetchHandler(incomingRequest, noEnv, context, finish);

native.register("fetch", (app) => {
  if (typeof app?.fetch !== "function") throw new TypeError("the default export of the component has no fetch handler");
  return finish(app.fetch(incomingRequest, registry.env ?? noEnv, context));
});

/** Gives the engine the result of a handler, as JSON. */
export function writeResult(result, name) {
  let json;
  try {
    json = result === undefined ? "null" : stringify(result);
  } catch (error) {
    throw new TypeError(`the result of the ${name} handler has no JSON form: ${error.message}`, { cause: error });
  }
  if (json === undefined) {
    throw new TypeError(`the result of the ${name} handler has no JSON form: it is ${describe(result)}`);
  }
  native.callOutput(json);
}

/** Calls the handler `name` with its message, and `finish` with the result, once that is there. */
export function runHandler(app, name, message, finish) {
  const result = app[name](message, registry.env ?? noEnv, context);
  return isThenable(result) ? later(result, finish) : finish(result);
}

native.register("call", (app) => {
  // A default export that is a function has a method `call` too, but not one that its author wrote.
  if (typeof app?.call !== "function" || app.call === Function.prototype.call) {
    throw new TypeError("the default export of the component has no call handler");
  }
  return runHandler(app, "call", parse(native.callInput()), (result) => writeResult(result, "call"));
});
