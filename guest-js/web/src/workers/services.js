// Services after the architecture "everything is a service worker" (EIASW): a handler with a name, which is a worker of
// that class and name. The object of a service is in every instance of the component, and its worker is in one of its
// own: what the object knows of the worker is what it has heard.
import { randomUuid } from "../crypto/uuid.js";
import { Worker, addClass, isTopLevel, removeClass } from "./classes.js";
import { Emitter } from "./emitter.js";
import { callOf } from "./references.js";
import { readable } from "./state.js";
import { instance } from "./turn.js";
import { emitEvent } from "./turns.js";

/** Handlers of workers that a service may have too; they get the context as their last argument. */
const FURTHER = ["onAlarm", "onHealth", "onOpen", "onWebSocketMessage", "onClose"];

/** Those of them that a service which does not run refuses, as it refuses messages. */
const OF_RUNNING = new Set(["onOpen", "onWebSocketMessage"]);

/** Events of a service that its registry passes on, as `service:NAME`. */
const EVENTS = ["starting", "started", "stopping", "stopped", "restarted", "message", "error"];

const contextOf = () => instance.worker.context;

/** The class of the worker of a service. `starts()` says whether it is started by its first message. */
function classOfService(name, handler, starts) {
  const requireRunning = ({ state }) => {
    if (state !== "running") throw new Error(`ServiceWorker ${name} is not running (state: ${state})`);
  };
  const made = class extends Worker {
    state = "stopped";

    async onStart() {
      if (starts()) await this.start();
    }

    /** Starts the service; false if it runs. */
    async start() {
      if (this.state === "running") return false;
      await handler.onStart?.(contextOf());
      this.state = "running";
      emitEvent("started", { name });
      return true;
    }

    /** Stops it; false if it does not run. */
    async stop() {
      if (this.state !== "running") return false;
      await handler.onStop?.(contextOf());
      this.state = "stopped";
      emitEvent("stopped", { name });
      return true;
    }

    /** Starts it anew; whether it ran. */
    async restart() {
      const ran = await this.stop();
      await this.start();
      emitEvent("restarted", { name });
      return ran;
    }

    /** Stops it and empties its context; whether it ran. */
    async forget() {
      const ran = await this.stop();
      const context = contextOf();
      for (const key of Reflect.ownKeys(context)) delete context[key];
      return ran;
    }

    /** Handles a message that its sender gave this id. */
    async deliver(id, message) {
      requireRunning(this);
      if (typeof handler.onMessage !== "function") throw new TypeError(`the service ${name} has no onMessage`);
      const answer = await handler.onMessage(message, contextOf(), { id });
      emitEvent("message", { name, id });
      return answer;
    }

    getState() {
      return { name, state: this.state, context: readable(contextOf(), `the context of ${name}`) };
    }

    // Of senders that know no service: the command line, the API, workers.get.
    onMessage(message) {
      return this.deliver(instance.handler.id, message);
    }

    async onStop() {
      await this.stop();
    }
  };
  for (const member of FURTHER) {
    if (typeof handler[member] !== "function") continue;
    made.prototype[member] = function (...args) {
      if (OF_RUNNING.has(member)) requireRunning(this);
      return handler[member](...args, contextOf());
    };
  }
  if (typeof handler.onUpgrade === "function") {
    made.prototype.onUpgrade = function ({ version, context, fields }) {
      this.state = fields.state;
      return handler.onUpgrade({ version, context }, context);
    };
  }
  return Object.defineProperty(made, "name", { value: name, configurable: true });
}

/** The events of a start and of a stop, where it has changed something. */
const STARTED = (changed) => (changed ? ["starting", "started"] : []);
const STOPPED = (changed) => (changed ? ["stopping", "stopped"] : []);

/** Has a value be awaited for another, which `ask` gives a promise of. */
const awaitable = (known, ask) =>
  Object.defineProperty(known, "then", { value: (resolve, reject) => void ask().then(resolve, reject) });

/** A service. */
export class ServiceWorker extends Emitter {
  #name;
  #state = "stopped";
  #context = {};
  #queueLength = 0;
  /** Whether the top level has started it. */
  #starts = false;

  constructor(name, handler) {
    super();
    if (typeof handler !== "object" || handler === null) {
      throw new TypeError("a service takes an object of handlers, such as { onMessage(message, context) { ... } }");
    }
    addClass(name, classOfService(name, handler, () => this.#starts), "the service");
    this.#name = name;
  }

  get name() {
    return this.#name;
  }

  /** The worker's object, where this is the instance of the worker. */
  get #own() {
    return instance.worker?.className === this.#name ? instance.worker.object : undefined;
  }

  /** `stopped`, `running` or `error`: in its own worker as it is, elsewhere as it was heard last. */
  get state() {
    return this.#own?.state ?? this.#state;
  }

  /** The context: in its own worker itself, elsewhere a copy, as it was heard last. */
  get context() {
    return this.#own === undefined ? this.#context : contextOf();
  }

  #call(method, args = [], id = undefined) {
    if (isTopLevel()) throw new Error("the top level runs when the component is built, and cannot ask a service");
    return callOf(this.#name, this.#name, method, args, id);
  }

  #tell(event, more) {
    this.emit(event, { name: this.#name, ...more });
  }

  /** Has the worker change; what its method gave, by which `eventsOf` says what is to be told. */
  async #change(method, state, eventsOf) {
    if (isTopLevel()) {
      this.#starts = state === "running";
      this.#state = state;
      return true;
    }
    let given;
    try {
      given = await this.#call(method);
    } catch (error) {
      this.#state = "error";
      this.#tell("error", { error });
      throw error;
    }
    this.#state = state;
    for (const event of eventsOf(given)) this.#tell(event);
    return given;
  }

  /** Starts it, if it does not run; whether it did not. */
  startIfStopped() {
    return this.#change("start", "running", STARTED);
  }

  /** Starts it. At the top level: has it be started by the first message. */
  async start() {
    if (!(await this.startIfStopped())) throw new Error(`ServiceWorker ${this.#name} is already running`);
    return true;
  }

  /** Stops it; its context stays. */
  async stop() {
    await this.#change("stop", "stopped", STOPPED);
    return true;
  }

  async restart() {
    await this.#change("restart", "running", (ran) => [...STOPPED(ran), ...STARTED(true), "restarted"]);
    return true;
  }

  /** Stops it for good: the context is empty afterwards. */
  async forget() {
    if (isTopLevel()) removeClass(this.#name);
    await this.#change("forget", "stopped", STOPPED);
    this.#context = {};
  }

  /** Sends a message. A promise of the answer, which has the message's UUID as `id`. */
  send(message) {
    const id = isTopLevel() ? "" : randomUuid();
    return Object.defineProperty(this.#deliver(id, message), "id", { value: id, enumerable: true });
  }

  async #deliver(id, message) {
    this.#queueLength += 1;
    try {
      const answer = await this.#call("deliver", [id, message], id);
      this.#state = "running";
      this.#tell("message", { id });
      return answer;
    } catch (error) {
      this.#tell("error", { id, error });
      throw error;
    } finally {
      this.#queueLength -= 1;
    }
  }

  /** What is known of the service. Awaited, it is what its worker says now. */
  getState() {
    const known = () => {
      return { name: this.#name, state: this.state, queueLength: this.#queueLength, context: { ...this.context } };
    };
    return awaitable(known(), async () => {
      if (this.#own === undefined) ({ state: this.#state, context: this.#context } = await this.#call("getState"));
      return known();
    });
  }
}

/** Services by their names. */
export class ServiceRegistry extends Emitter {
  #services = new Map();

  /** Makes a service. The top level alone can, since the build has to know of it. */
  register(name, handler) {
    if (this.#services.has(name)) throw new Error(`Service ${name} is already registered`);
    const service = new ServiceWorker(name, handler);
    for (const event of EVENTS) service.on(event, (value) => this.emit(`service:${event}`, value));
    this.#services.set(name, service);
    this.emit("registered", { name });
    return service;
  }

  /** Stops a service, and forgets it and its context. */
  async unregister(name) {
    await this.#require(name).forget();
    this.#services.delete(name);
    this.emit("unregistered", { name });
    return true;
  }

  get(name) {
    return this.#services.get(name);
  }

  #require(name) {
    const service = this.#services.get(name);
    if (service === undefined) throw new Error(`Service ${String(name)} is not registered`);
    return service;
  }

  async start(name) {
    return this.#require(name).start();
  }

  async stop(name) {
    return this.#require(name).stop();
  }

  async restart(name) {
    return this.#require(name).restart();
  }

  /** Starts those that do not run. */
  async startAll() {
    return Promise.all([...this.#services.values()].map((service) => service.startIfStopped()));
  }

  /** Stops those that run. */
  async stopAll() {
    return Promise.all([...this.#services.values()].map((service) => service.stop()));
  }

  /** As the service's own `send`. */
  send(name, message) {
    try {
      return this.#require(name).send(message);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  list() {
    return [...this.#services.keys()];
  }

  getState(name) {
    return this.#require(name).getState();
  }

  /** The states of all services, by name. Awaited, they are those that the workers say now. */
  status() {
    const statesOf = (of) => [...this.#services].map(([name, service]) => of(name, service));
    const known = Object.fromEntries(statesOf((name, service) => [name, service.getState()]));
    return awaitable(known, async () => {
      return Object.fromEntries(await Promise.all(statesOf(async (name, service) => [name, await service.getState()])));
    });
  }
}
