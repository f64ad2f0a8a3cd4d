// Turns of a service worker, as the engine has them run. `wit/triggers/triggers.wit` has the messages.
import native from "elias:native";
import { registry } from "../internal/registry.js";
import { decode, encode } from "../messaging/clone-encoding.js";
import { finishAlarm } from "./alarms.js";
import { callerOf, countCalls, settleCall } from "./calls.js";
import { classNamed, findClasses, methodOf } from "./classes.js";
import { checkName } from "./names.js";
import { closeSocket, forgetSockets, openSocket, opensEventStream, receive } from "./sockets.js";
import { exportState, inspectState, startOf, upgrade } from "./state.js";
import { swap } from "./swap.js";
import { beginOutput, countValue, endOutput, instance, requireTurn } from "./turn.js";

/** Tells whoever listens to the worker of an event. */
export function emitEvent(event, value) {
  const output = requireTurn("worker.emit");
  checkName(event, "the name of an event");
  output.emitted.push({ event, value: countValue(output.emitted, encode(value, `the value of the event ${event}`)) });
}

/** What the handler of a turn gives. */
const HANDLERS = {
  __proto__: null,
  start() {
    const { worker } = instance;
    worker.object = new (classNamed(worker.className))();
    return worker.object.onStart(worker.context);
  },
  call({ method, args }) {
    const { className, object } = instance.worker;
    const list = decode(args);
    if (!Array.isArray(list)) throw new TypeError("the arguments of a call must be a list");
    return Reflect.apply(methodOf(object, className, method), object, list);
  },
  message({ message }) {
    const { object, context } = workerWith("onMessage");
    return object.onMessage(decode(message), context);
  },
  alarm({ alarm: { name, at } }) {
    finishAlarm({ name, at });
    return workerWith("onAlarm").object.onAlarm({ name, at });
  },
  stop: ({ reason }) => instance.worker.object.onStop(reason),
  health: () => instance.worker.object.onHealth?.(),
  export: exportState,
  upgrade,
  swap,
  open(turn) {
    if (opensEventStream(turn)) return workerWith("onEventStream").object.onEventStream(...openSocket(turn));
    // Whoever opens it learns here that nothing would come of its messages.
    const { object } = workerWith("onWebSocketMessage");
    const opened = openSocket(turn);
    return object.onOpen?.(...opened);
  },
  "socket-message"(turn) {
    const received = receive(turn);
    return received && workerWith("onWebSocketMessage").object.onWebSocketMessage(...received);
  },
  async close(turn) {
    const closed = closeSocket(turn);
    try {
      if (closed) await instance.worker.object.onClose?.(...closed);
    } catch (error) {
      // A turn that fails is undone, and the socket would be the worker's for ever.
      native.reportException(error);
    }
  },
};

/** Handlers whose value is the answer, as it is encoded. */
const ANSWERS = {
  __proto__: null,
  call: (value) => encode(value, "the answer"),
  message: (value) => encode(value, "the answer"),
  health: (value) => encode(value, "the answer"),
  export: (text) => text,
};

/** The worker, whose class has a method of this name. */
function workerWith(name) {
  const { worker } = instance;
  if (typeof worker.object[name] === "function") return worker;
  throw new TypeError(`the worker class ${worker.className} has no ${name}`);
}

/** Runs the handler of a turn. A promise of its end, unless it gave a primitive value: that needs none. */
function runHandler(turn) {
  const { handler } = instance;
  const value = HANDLERS[turn.kind](turn);
  if ((typeof value === "object" && value !== null) || typeof value === "function") return settle(handler, value);
  handler.value = value;
  return undefined;
}

async function settle(handler, value) {
  handler.value = await value;
}

/** Has the worker of the instance be the one that a turn is for. */
function requireWorker({ kind, class: className, name, now, state, of }) {
  const { worker } = instance;
  if (kind === "start" || kind === "upgrade") {
    if (worker !== undefined) throw new Error(`the worker ${worker.className} ${worker.name} was started already`);
    checkName(name, "the name of a worker");
    const startedAt = kind === "start" ? now : startOf(state);
    instance.worker = { className, name, startedAt, object: undefined, context: {} };
  } else if (worker === undefined) {
    throw new Error(`the worker ${className} ${name} was not started`);
  } else if (kind === "copy" && className === worker.className && of === worker.name) {
    checkName(name, "the name of a worker");
    worker.name = name;
  } else if (className !== worker.className || name !== worker.name) {
    throw new Error(`this is the worker ${worker.className} ${worker.name}, not ${className} ${name}`);
  }
}

/** Begins a turn. The promise of the handler that is under way in it, if there is one. */
function begin() {
  const turn = JSON.parse(native.callInput());
  const { kind, id, class: className, name } = turn;
  requireWorker(turn);
  const { handler } = instance;
  // A rejection that nothing handles fails the turn, but for the answer to a call of a handler that is done.
  const isStrict = kind !== "reply" || (handler !== undefined && callerOf(turn.call) === handler.id);
  native.beginTurn(turn.now, Math.max(0, turn.now - instance.worker.startedAt), isStrict);
  beginOutput(id);
  if (kind === "reply") {
    settleCall(turn);
  } else if (kind === "timer") {
    native.fireTimer(turn.timer);
  } else if (kind === "inspect") {
    instance.output.answer = inspectState();
  } else if (kind === "copy") {
    if (handler !== undefined) throw new Error(`the worker ${className} ${turn.of} waits, and cannot be copied`);
    forgetSockets();
    instance.output.answer = instance.worker.code;
  } else if (HANDLERS[kind] === undefined) {
    throw new TypeError(`a turn of an unknown kind: ${kind}`);
  } else if (handler !== undefined) {
    throw new Error(`the worker ${className} ${name} waits in the turn ${handler.id}, and takes no ${kind}`);
  } else {
    instance.handler = { id, kind, promise: undefined, value: undefined };
    instance.handler.promise = runHandler(turn);
  }
  return instance.handler?.promise;
}

/** The changes of timers in a turn that sets and clears none: most are such. */
const NO_CHANGES = '{"set":[],"cleared":[]}';

/**
 * Ends a turn, after which nothing of the host is under way; `isSettled` says whether the handler is done, `timers` how
 * many timers are set, and `changes` is a JSON object of those that the turn set and cleared. The turn's result as
 * JSON, without lists that are empty, or undefined if the handler awaits what nothing can settle.
 */
function finish(isSettled, timers, changes) {
  if (!isSettled && countCalls() === 0 && timers === 0) return undefined;
  const { handler, output } = instance;
  let { answer = null } = output;
  const id = handler?.id ?? output.id;
  if (isSettled && handler !== undefined) {
    answer = ANSWERS[handler.kind]?.(handler.value) ?? null;
    instance.handler = undefined;
  }
  const { sends, alarms, emitted, sockets } = output;
  registry.forgetEnv?.();
  registry.forgetSteps?.();
  const result = { state: isSettled ? "done" : "waiting", id, answer };
  if (sends.length > 0) result.sends = sends;
  if (alarms.size > 0 || changes !== NO_CHANGES) {
    result.timers = { ...JSON.parse(changes), alarm: [...alarms].map(([name, at]) => ({ name, at })) };
  }
  if (emitted.length > 0) result.emitted = emitted;
  if (sockets.length > 0) result.sockets = sockets;
  const json = JSON.stringify(result);
  endOutput();
  return json;
}

native.workerTurns(findClasses, begin, finish);

// What turns make is made here once: its shapes are then in the image, and no turn has to make them anew.
native.keepShapes(true);
for (const turn of ['"kind":"message","message":""', '"kind":"call","method":"","args":""']) {
  JSON.parse(`{"class":"","name":"","id":"","now":0,${turn}}`);
}
instance.handler = { id: "", kind: "", promise: undefined, value: undefined };
instance.handler = undefined;
void { state: "", id: "", answer: null };
native.keepShapes(false);
