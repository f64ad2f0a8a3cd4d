// elias/clients: the worker's end of elias/client. Calls, messages and subscriptions of many clients, each over one
// socket at a time; what a client has not received waits in the worker's heap, and is sent again when it comes back.
//
// A client sends lists as JSON, each with the number of the last that it received, and `hello` first and once:
//   ["hello", received, session or null, credentials]
//   ["call", received, number, method, arguments]       ["send", received, number, message]
//   ["subscribe", received, number, topic]              ["unsubscribe", received, number, topic]
//   ["skip", received, number]                          ["ack", received]
// The worker sends
//   ["welcome", session, number of the last that it handled]          ["refused", error]
//   ["answer", number, number of the client's, value]                 ["error", number, number of the client's, error]
//   ["event", number, topic, value]
// Credentials, arguments, values and errors are texts in the structured clone encoding.
import { decode, encode } from "elias/clone";

/** The subprotocol of this version. */
export const PROTOCOL = "elias.1";

/**
 * The codes with which a worker closes. After 4400 to 4499 the client does not come back, but for `BEHIND`, after which
 * it begins anew; after others it does.
 */
const MALFORMED = 4400;
const REFUSED = 4401;
const BEHIND = 4408;
const TAKEN_OVER = 4409;
const BUSY = 4503;

/** Characters of an encoded value. */
const VALUE_MAX = 1 << 20;

/** The codes of what a client sends, with the types of what follows the number of the last that it received. */
const SHAPES = {
  __proto__: null,
  hello: [(value) => value === null || typeof value === "string", (value) => typeof value === "string"],
  call: [Number.isSafeInteger, (value) => typeof value === "string", (value) => typeof value === "string"],
  send: [Number.isSafeInteger, (value) => typeof value === "string"],
  subscribe: [Number.isSafeInteger, (value) => typeof value === "string"],
  unsubscribe: [Number.isSafeInteger, (value) => typeof value === "string"],
  skip: [Number.isSafeInteger],
  ack: [],
};

function parse(text) {
  let list;
  try {
    list = JSON.parse(text);
  } catch {
    return undefined;
  }
  const shape = Array.isArray(list) ? SHAPES[list[0]] : undefined;
  const isWell = shape?.length === list?.length - 2 && Number.isSafeInteger(list[1]) && list[1] >= 0;
  return isWell && shape.every((is, at) => is(list[at + 2])) ? list : undefined;
}

/** Whether clients may call a method: its class lists it, and has it. */
const isCallable = (Class, object, method) =>
  Array.isArray(Class.methods) && Class.methods.includes(method) && typeof object[method] === "function";

/**
 * A class of workers that take clients, on top of `Base`, which is `worker.Worker` or one that extends it.
 *
 * Its own static members: `methods`, the names of those that clients may call; `topics`, of those that they may
 * subscribe to; `sessions` (1,000), `waiting` (1,000) and `waitingCharacters` (1,048,576): sessions at most, and
 * messages that wait for a client and their characters; `sessionMs` (300,000): for how long a session waits for its
 * client.
 */
export const clientsOf = (Base) => class extends Base {
  static methods = [];
  static topics = [];
  static sessions = 1_000;
  static waiting = 1_000;
  static waitingCharacters = 1 << 20;
  static sessionMs = 300_000;

  /** What is kept of each client, by its session. */
  clientSessions = new Map();

  /**
   * Who a client is, by its credentials: a value, which `this.client.user` is in calls of its. Throws to refuse it.
   * Without a method of the class's own everyone is let in.
   */
  authenticate(_credentials) {
    return null;
  }

  /** The client whose call or message is being handled: `{ session, user }`. */
  client = undefined;

  onOpen(socket, request) {
    if (request.protocol !== PROTOCOL) throw new TypeError(`the subprotocol must be ${PROTOCOL}`);
    socket.data.session = undefined;
  }

  async onWebSocketMessage(socket, text) {
    const list = typeof text === "string" ? parse(text) : undefined;
    if (list === undefined) return this.#close(socket, MALFORMED, "the message is malformed");
    const [kind, received, ...rest] = list;
    if (kind === "hello") return this.#hello(socket, received, ...rest);
    const session = this.clientSessions.get(socket.data.session);
    if (session === undefined) return this.#close(socket, MALFORMED, "the first message must be hello");
    forget(session, received);
    if (kind === "ack") return undefined;
    const [number] = rest;
    // One that was sent again, for its answer had not come: the answer waits or is under way. Or one after another that
    // failed, and was undone: the socket is being closed, and the client sends it again.
    if (number !== session.handled + 1) return undefined;
    session.handled = number;
    return this.#handle(session, kind, ...rest);
  }

  onClose(socket) {
    this.#detach(socket);
  }

  /** Sends a value to all clients that have subscribed to a topic, those among them that come back. */
  publish(topic, value) {
    const text = encode(value, `the value of ${topic}`, { max: VALUE_MAX });
    const now = Date.now();
    for (const [id, session] of this.clientSessions) {
      if (session.socket === null && now - session.left > this.constructor.sessionMs) this.clientSessions.delete(id);
      else if (session.topics.has(topic)) this.#push(session, ["event", topic, text]);
    }
  }

  async #hello(socket, received, id, credentials) {
    // Each would leave a session behind: one connection would have all that there may be.
    if (socket.data.session !== undefined) return this.#close(socket, MALFORMED, "hello is said once");
    let user;
    try {
      user = await this.authenticate(decode(credentials));
    } catch (error) {
      socket.send(JSON.stringify(["refused", encodeError(error)]));
      return this.#close(socket, REFUSED, "the credentials are refused");
    }
    const known = this.clientSessions.get(id);
    // Whoever found a session of another user does not get what waits there.
    const isOwn = known !== undefined && encode(known.user) === encode(user);
    const session = isOwn ? known : this.#newSession(user);
    if (session === undefined) return socket.close(BUSY, "there are too many sessions");
    // A client that came back by another connection than the one that is still thought to be there.
    if (session.socket !== null) this.#close(session.socket, TAKEN_OVER, "another connection took over");
    session.socket = socket;
    socket.data.session = session.id;
    if (isOwn) forget(session, received);
    socket.send(JSON.stringify(["welcome", session.id, session.handled]));
    for (const text of session.waiting) socket.send(text);
    return undefined;
  }

  #newSession(user) {
    const { sessions, sessionMs } = this.constructor;
    const now = Date.now();
    for (const [id, { socket, left }] of this.clientSessions) {
      if (socket === null && now - left > sessionMs) this.clientSessions.delete(id);
    }
    if (this.clientSessions.size >= sessions) return undefined;
    const session = {
      id: crypto.randomUUID(), user, socket: null, left: now, topics: new Set(),
      handled: 0, sent: 0, waiting: [], characters: 0,
    };
    this.clientSessions.set(session.id, session);
    return session;
  }

  async #handle(session, kind, number, what, args) {
    let answer;
    this.client = { session: session.id, user: session.user };
    try {
      answer = ["answer", number, encode(await this.#run(session, kind, what, args), "the answer", { max: VALUE_MAX })];
    } catch (error) {
      answer = ["error", number, encodeError(error)];
    } finally {
      this.client = undefined;
    }
    this.#push(session, answer);
  }

  #run(session, kind, what, args) {
    switch (kind) {
      case "call": {
        if (!isCallable(this.constructor, this, what)) throw new TypeError(`clients cannot call ${what}`);
        const list = decode(args);
        if (!Array.isArray(list)) throw new TypeError("the arguments of a call must be a list");
        return this[what](...list);
      }
      case "send":
        if (typeof this.onMessage !== "function") throw new TypeError("the worker takes no messages");
        return this.onMessage(decode(what), this.client);
      case "subscribe":
        if (!this.constructor.topics.includes(what)) throw new TypeError(`unknown topic ${what}`);
        return void session.topics.add(what);
      case "skip":
        return undefined;
      default:
        return void session.topics.delete(what);
    }
  }

  /** Has a message wait for a client until it says that it has it. */
  #push(session, [kind, ...rest]) {
    session.sent += 1;
    const text = JSON.stringify([kind, session.sent, ...rest]);
    session.waiting.push(text);
    session.characters += text.length;
    const { waiting, waitingCharacters } = this.constructor;
    if (session.waiting.length > waiting || session.characters > waitingCharacters) {
      // Also from the socket: the turn may have more for this client, and a closed one is not closed twice.
      if (session.socket !== null) this.#close(session.socket, BEHIND, "the client is too far behind");
      this.clientSessions.delete(session.id);
    } else {
      session.socket?.send(text);
    }
  }

  #close(socket, code, reason) {
    this.#detach(socket);
    socket.close(code, reason);
  }

  /** A socket is none of a session's any more. */
  #detach(socket) {
    const session = this.clientSessions.get(socket.data.session);
    socket.data.session = undefined;
    if (session?.socket !== socket) return;
    session.socket = null;
    session.left = Date.now();
  }
};

/** Forgets what a client has received. */
function forget(session, received) {
  const first = session.sent - session.waiting.length;
  const gone = session.waiting.splice(0, Math.max(0, Math.min(received, session.sent) - first));
  for (const text of gone) session.characters -= text.length;
}

/** An error as a client gets it: its name and message. */
function encodeError(error) {
  const told = new Error(error instanceof Error ? error.message : String(error));
  if (error instanceof Error) Object.defineProperty(told, "name", { value: String(error.name), configurable: true });
  told.stack = undefined;
  return encode(told);
}
