// elias/client: calls, messages and subscriptions to a worker that takes clients (elias/clients), over one socket that
// comes back by itself. For browsers and Node.js 22; `clients.js` has the protocol.
import { decode, encode } from "./clone.js";

/** The subprotocol of this version. */
const PROTOCOL = "elias.1";

/** Delays before a connection is tried again, in milliseconds: half of it to all of it, at random. */
const DELAY_MIN = 250;
const DELAY_MAX = 30_000;

/** Messages that were received and not acknowledged by any other message. */
const ACK_EVERY = 32;

/** Calls, messages and subscriptions without an answer at most, and their characters. */
const UNANSWERED_MAX = 1_000;
const CHARACTERS_MAX = 8 << 20;

/** The client is too far behind: it begins anew. */
const BEHIND = 4408;

/** The host closes with these for one request, which would end each connection that it is sent over. */
const TOO_LARGE = 1009;
const FAILED = 1011;

const bytesOf = ({ list }) => new TextEncoder().encode(JSON.stringify(list)).length;

const lengthOf = (parts) => parts.reduce((sum, part) => sum + part.length, 0);

/** The end of a connection for good. */
export class ClosedError extends Error {
  constructor(message, code = 1000) {
    super(message);
    this.name = "ClosedError";
    this.code = code;
  }
}

/** A client of one worker. */
export class Client extends EventTarget {
  #url;
  #options;
  #socket;
  #state = "connecting";
  #session = null;
  /** The number of the last message of the worker. */
  #received = 0;
  #unacknowledged = 0;
  /** The number of the last request, and those without an answer, in order. */
  #sent = 0;
  #unanswered = new Map();
  #characters = 0;
  /** The functions that each topic's values are given. */
  #listeners = new Map();
  #attempts = 0;
  /** The code with which the last connection was closed that was open. */
  #closedWith;
  #timer;

  /** See `connect`. */
  constructor(url, options = {}) {
    super();
    this.#url = `${url}`;
    this.#options = options;
    if (typeof this.#WebSocket !== "function") throw new TypeError("there is no WebSocket here: give one as an option");
    this.#open();
  }

  get #WebSocket() {
    return this.#options.WebSocket ?? globalThis.WebSocket;
  }

  /** `connecting`, `open`, `waiting` before it is tried again, or `closed`. */
  get state() {
    return this.#state;
  }

  /** Calls a method of the worker that clients may call; gives what it returned. */
  call(method, ...args) {
    return this.#request("call", `${method}`, encode(args, "the arguments"));
  }

  /** Sends the worker a message; gives what `onMessage` returned. */
  send(message) {
    return this.#request("send", encode(message, "the message"));
  }

  /** The worker's methods as functions: `client.methods.add(1)`. */
  get methods() {
    // A promise would have `then`.
    const isMethod = (name) => typeof name === "string" && name !== "then";
    const get = (_, name) => (isMethod(name) ? (...args) => this.call(name, ...args) : undefined);
    return new Proxy(Object.create(null), { get });
  }

  /** Has `listener` called with each value of a topic, from now on. Gives a function that ends that. */
  async subscribe(topic, listener) {
    if (typeof listener !== "function") throw new TypeError("a listener must be a function");
    const name = `${topic}`;
    const isFirst = !this.#listeners.has(name);
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners);
    // The same function may be given twice.
    const entry = { listener };
    listeners.add(entry);
    const end = async () => {
      if (!listeners.delete(entry) || listeners.size > 0 || this.#listeners.get(name) !== listeners) return;
      this.#listeners.delete(name);
      if (this.#state !== "closed") await this.#request("unsubscribe", name);
    };
    try {
      if (isFirst) await this.#request("subscribe", name);
    } catch (error) {
      listeners.delete(entry);
      if (listeners.size === 0 && this.#listeners.get(name) === listeners) this.#listeners.delete(name);
      throw error;
    }
    return end;
  }

  /** Ends for good. What has no answer is rejected with a `ClosedError`. */
  close(code = 1000, reason = "") {
    this.#socket?.close(code, reason);
    this.#end(new ClosedError("the client was closed", code));
  }

  #open() {
    this.#setState("connecting");
    const socket = new this.#WebSocket(this.#url, [PROTOCOL]);
    this.#socket = socket;
    const isCurrent = () => this.#socket === socket;
    socket.onopen = () => isCurrent() && void this.#hello(socket);
    socket.onmessage = ({ data }) => isCurrent() && this.#take(data);
    socket.onclose = ({ code, reason }) => isCurrent() && this.#lost(code, reason);
    // `onclose` follows, and says no less.
    socket.onerror = () => {};
  }

  async #hello(socket) {
    const { credentials } = this.#options;
    try {
      const value = typeof credentials === "function" ? await credentials() : credentials;
      const text = encode(value ?? null, "the credentials");
      if (this.#socket === socket) socket.send(JSON.stringify(["hello", this.#received, this.#session, text]));
    } catch (error) {
      if (this.#socket !== socket) return;
      socket.close(1000);
      this.#end(error);
    }
  }

  #take(data) {
    const [kind, ...rest] = JSON.parse(data);
    if (kind === "welcome") return this.#welcome(...rest);
    if (kind === "refused") return this.#end(decode(rest[0]));
    const [number, of, text] = rest;
    if (number <= this.#received) return undefined;
    this.#received = number;
    this.#unacknowledged += 1;
    if (kind === "event") this.#emit(of, decode(text));
    else this.#settle(of, kind === "answer", decode(text));
    if (this.#unacknowledged >= ACK_EVERY) this.#transmit(["ack"]);
    return undefined;
  }

  #welcome(session, handled) {
    if (session !== this.#session) {
      // The worker does not know the former session any more: what it had is gone. Requests that it may have handled
      // are not sent twice.
      if (this.#session !== null) this.#beginAnew();
      this.#session = session;
    } else {
      this.#giveUpCause(handled);
    }
    this.#attempts = 0;
    this.#setState("open");
    for (const [number, { list }] of this.#unanswered) if (number > handled) this.#transmit(list);
  }

  /** Rejects the request for which the connection before was closed, and has the worker pass over its number. */
  #giveUpCause(handled) {
    const code = this.#closedWith;
    if (code !== FAILED && code !== TOO_LARGE) return;
    const sent = [...this.#unanswered].filter(([number, { wasSent }]) => wasSent && number > handled);
    if (sent.length === 0) return;
    // Requests are handled in their order. The limit of the host is not known, but that the longest is above it.
    const [first] = sent;
    const longer = (one, other) => (bytesOf(other[1]) > bytesOf(one[1]) ? other : one);
    const [number, entry] = code === FAILED ? first : sent.reduce(longer);
    const why = code === FAILED ? "the worker failed to handle this" : "this is larger than the host takes";
    entry.settle.reject(new ClosedError(why, code));
    entry.list = ["skip", number];
  }

  #beginAnew() {
    this.#received = 0;
    this.#sent = 0;
    this.#unacknowledged = 0;
    const lost = [...this.#unanswered.values()];
    this.#unanswered.clear();
    this.#characters = 0;
    for (const { list, wasSent, settle } of lost) {
      const [kind, , ...rest] = list;
      if (wasSent && kind !== "subscribe" && kind !== "unsubscribe") {
        settle.reject(new ClosedError("the worker does not know the session any more: it may have handled this"));
      } else if (kind !== "subscribe") {
        this.#enter(kind, rest, settle);
      }
    }
    const unsettled = lost.filter(({ list }) => list[0] === "subscribe");
    for (const topic of this.#listeners.keys()) {
      const before = unsettled.filter(({ list }) => list[2] === topic).map(({ settle }) => settle);
      const settle = {
        resolve: () => before.forEach(({ resolve }) => resolve()),
        reject: (error) => {
          before.forEach(({ reject }) => reject(error));
          if (before.length === 0) this.#listeners.delete(topic);
        },
      };
      this.#enter("subscribe", [topic], settle);
    }
    this.dispatchEvent(new Event("reset"));
  }

  #request(kind, ...rest) {
    if (this.#state === "closed") return Promise.reject(new ClosedError("the client is closed"));
    if (this.#unanswered.size >= UNANSWERED_MAX || this.#characters + lengthOf(rest) > CHARACTERS_MAX) {
      return Promise.reject(new RangeError("too many calls and messages have no answer yet"));
    }
    return new Promise((resolve, reject) => {
      const entry = this.#enter(kind, rest, { resolve, reject });
      if (this.#state === "open") this.#transmit(entry.list);
    });
  }

  #enter(kind, rest, settle) {
    this.#sent += 1;
    const characters = lengthOf(rest);
    const entry = { list: [kind, this.#sent, ...rest], characters, settle, wasSent: false };
    this.#unanswered.set(this.#sent, entry);
    this.#characters += characters;
    return entry;
  }

  #transmit([kind, ...rest]) {
    const entry = this.#unanswered.get(rest[0]);
    if (entry) entry.wasSent = true;
    this.#unacknowledged = 0;
    this.#socket.send(JSON.stringify([kind, this.#received, ...rest]));
  }

  #settle(number, isAnswer, value) {
    const entry = this.#unanswered.get(number);
    if (entry === undefined) return;
    this.#unanswered.delete(number);
    this.#characters -= entry.characters;
    if (isAnswer) entry.settle.resolve(value);
    else entry.settle.reject(value);
  }

  #emit(topic, value) {
    for (const { listener } of this.#listeners.get(topic) ?? []) {
      try {
        listener(value);
      } catch (error) {
        // A listener that throws keeps nothing from the others.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }

  #lost(code, reason) {
    this.#socket = undefined;
    if (this.#state === "closed") return;
    if (this.#state === "open") this.#closedWith = code;
    if (code >= 4400 && code <= 4499 && code !== BEHIND) {
      this.#end(new ClosedError(reason || `the worker closed the socket with ${code}`, code));
      return;
    }
    const delay = Math.min(DELAY_MAX, DELAY_MIN * 2 ** Math.min(this.#attempts, 10)) * (0.5 + Math.random() / 2);
    this.#attempts += 1;
    this.#setState("waiting");
    const { setTimeout = globalThis.setTimeout } = this.#options;
    this.#timer = setTimeout(() => this.#open(), delay);
  }

  #end(error) {
    if (this.#state === "closed") return;
    const { clearTimeout = globalThis.clearTimeout } = this.#options;
    clearTimeout(this.#timer);
    this.#socket = undefined;
    const waiting = [...this.#unanswered.values()];
    this.#unanswered.clear();
    this.#listeners.clear();
    this.error = error;
    this.#setState("closed");
    for (const { settle } of waiting) settle.reject(error);
  }

  #setState(state) {
    if (this.#state === state) return;
    this.#state = state;
    this.dispatchEvent(new Event(state));
  }
}

/**
 * A client of the worker at `url`, such as `wss://example.com/workers/Room/lobby`. It connects at once, and comes back
 * when the connection is lost, with what had no answer and what it had subscribed to. Options:
 * - `credentials`: what the worker's `authenticate` is given: a value, or a function, called for each connection;
 * - `WebSocket`: the class, where there is no global one.
 */
export const connect = (url, options) => new Client(url, options);
