// node:diagnostics_channel. https://nodejs.org/api/diagnostics_channel.html
import { checkFunction, invalidArgType } from "./internal/errors.js";

const channels = new Map();

export class Channel {
  #subscribers = [];
  #stores = new Map();

  constructor(name) {
    this.name = name;
  }

  get hasSubscribers() {
    return this.#subscribers.length > 0 || this.#stores.size > 0;
  }

  subscribe(listener) {
    checkFunction(listener, "subscription");
    this.#subscribers = [...this.#subscribers, listener];
  }

  unsubscribe(listener) {
    const at = this.#subscribers.indexOf(listener);
    if (at < 0) return false;
    this.#subscribers = this.#subscribers.toSpliced(at, 1);
    return true;
  }

  bindStore(store, transform = (data) => data) {
    this.#stores.set(store, transform);
  }

  unbindStore(store) {
    return this.#stores.delete(store);
  }

  publish(message) {
    for (const listener of this.#subscribers) {
      try {
        listener(message, this.name);
      } catch (error) {
        // A listener's failure is not the publisher's.
        Promise.reject(error);
      }
    }
  }

  runStores(data, callback, thisArg = undefined, ...args) {
    let run = () => {
      this.publish(data);
      return Reflect.apply(callback, thisArg, args);
    };
    for (const [store, transform] of this.#stores) {
      const inner = run;
      run = () => store.run(transform(data), inner);
    }
    return run();
  }
}

export function channel(name) {
  if (typeof name !== "string" && typeof name !== "symbol") throw invalidArgType("channel", ["string", "symbol"], name);
  if (!channels.has(name)) channels.set(name, new Channel(name));
  return channels.get(name);
}

export const hasSubscribers = (name) => channels.get(name)?.hasSubscribers ?? false;
export const subscribe = (name, listener) => channel(name).subscribe(listener);
export const unsubscribe = (name, listener) => channel(name).unsubscribe(listener);

const EVENTS = ["start", "end", "asyncStart", "asyncEnd", "error"];

export class TracingChannel {
  constructor(nameOrChannels) {
    for (const event of EVENTS) {
      this[event] =
        typeof nameOrChannels === "string" ? channel(`tracing:${nameOrChannels}:${event}`) : nameOrChannels[event];
    }
  }

  get hasSubscribers() {
    return EVENTS.some((event) => this[event].hasSubscribers);
  }

  subscribe(listeners) {
    for (const event of EVENTS) if (listeners[event]) this[event].subscribe(listeners[event]);
  }

  unsubscribe(listeners) {
    return EVENTS.every((event) => !listeners[event] || this[event].unsubscribe(listeners[event]));
  }

  #fail(context, error) {
    context.error = error;
    this.error.publish(context);
  }

  traceSync(callback, context = {}, thisArg = undefined, ...args) {
    return this.start.runStores(context, () => {
      try {
        return (context.result = Reflect.apply(callback, thisArg, args));
      } catch (error) {
        this.#fail(context, error);
        throw error;
      } finally {
        this.end.publish(context);
      }
    });
  }

  tracePromise(callback, context = {}, thisArg = undefined, ...args) {
    const settled = (key, value) => {
      if (key === "error") this.#fail(context, value);
      else context.result = value;
      this.asyncStart.publish(context);
      this.asyncEnd.publish(context);
    };
    return this.start.runStores(context, () => {
      try {
        return Promise.resolve(Reflect.apply(callback, thisArg, args)).then(
          (result) => {
            settled("result", result);
            return result;
          },
          (error) => {
            settled("error", error);
            throw error;
          },
        );
      } catch (error) {
        this.#fail(context, error);
        throw error;
      } finally {
        this.end.publish(context);
      }
    });
  }

  traceCallback(callback, position = -1, context = {}, thisArg = undefined, ...args) {
    const at = position < 0 ? args.length + position : position;
    const original = args[at];
    checkFunction(original, "callback");
    const tracing = this;
    args[at] = function (error, result) {
      if (error) tracing.#fail(context, error);
      else context.result = result;
      tracing.asyncStart.runStores(context, () => {
        try {
          return Reflect.apply(original, this, arguments);
        } finally {
          tracing.asyncEnd.publish(context);
        }
      });
    };
    return this.traceSync(callback, context, thisArg, ...args);
  }
}

export function tracingChannel(nameOrChannels) {
  if (typeof nameOrChannels !== "string" && (typeof nameOrChannels !== "object" || nameOrChannels === null)) {
    throw invalidArgType("nameOrChannels", ["string", "Object"], nameOrChannels);
  }
  return new TracingChannel(nameOrChannels);
}

export default { Channel, TracingChannel, channel, hasSubscribers, subscribe, unsubscribe, tracingChannel };
