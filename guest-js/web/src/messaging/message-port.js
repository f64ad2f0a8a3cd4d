// MessageChannel, MessagePort and BroadcastChannel, within one instance. https://html.spec.whatwg.org/#channel-messaging (9.4),
// #broadcasting-to-other-browsing-contexts (9.5)
//
// A message is cloned when it is posted, as there is no other realm that could be without what the clone needs.
import native from "elias:native";
import { Event, EventTarget, defineEventHandler, fire } from "../events/event-target.js";
import { DOMException } from "../webidl/dom-exception.js";
import { defineInterface } from "../webidl/interfaces.js";
import { MessageEvent, setPortTest } from "./message-event.js";
import { addTransferable, cloneWithTransfer, toTransfer, uncloneable } from "./structured-clone.js";

/** The state of a port apart from its object, which changes when the port is transferred. */
class PortState {
  owner;
  other = null;
  #messages = [];
  #enabled = false;

  receive(message) {
    this.#messages.push(message);
    if (this.#enabled) this.#schedule();
  }

  start() {
    if (this.#enabled) return;
    this.#enabled = true;
    for (const _ of this.#messages) this.#schedule();
  }

  /** A new owner has to start it anew. */
  moveTo(port) {
    this.owner = port;
    this.#enabled = false;
  }

  disentangle() {
    const { other } = this;
    if (other === null) return;
    this.other = other.other = null;
    native.queueTask(() => fire(other.owner, new Event("close")));
  }

  #schedule() {
    native.queueTask(() => {
      if (!this.#enabled || this.#messages.length === 0) return;
      const { data, ports } = this.#messages.shift();
      fire(this.owner, new MessageEvent("message", { data, ports }));
    });
  }
}

// The argument for which the constructor does not throw. It is not exported, so no script has it.
const INTERNAL = Symbol("internal");

let isPort;
let stateOf;
let setState;

export class MessagePort extends EventTarget {
  /** Undefined when it was closed or transferred. */
  #state = undefined;

  static {
    isPort = (value) => typeof value === "object" && value !== null && #state in value;
    stateOf = (port) => port.#state;
    setState = (port, state) => void (port.#state = state);
  }

  constructor(token = undefined) {
    if (token !== INTERNAL) throw new TypeError("Illegal constructor; use new MessageChannel()");
    super();
  }

  postMessage(message, options = undefined) {
    const state = this.#state;
    if (arguments.length === 0) throw new TypeError("postMessage needs a message");
    const transfer = toTransfer(options);
    if (transfer.includes(this)) throw uncloneable("a port that is sent through itself");
    // A port that is sent to itself takes the message with it.
    const isDoomed = state?.other != null && transfer.includes(state.other.owner);
    const target = state?.other;
    const { value, transferred } = cloneWithTransfer(message, transfer);
    if (target != null && !isDoomed) target.receive({ data: value, ports: transferred.filter(isPort) });
  }

  start() {
    this.#state?.start();
  }

  close() {
    const state = this.#state;
    this.#state = undefined;
    state?.disentangle();
  }
}

defineEventHandler(MessagePort.prototype, "message", { whenSet: (port) => stateOf(port)?.start() });
defineEventHandler(MessagePort.prototype, "messageerror");
defineEventHandler(MessagePort.prototype, "close");

function newPort() {
  const port = new MessagePort(INTERNAL);
  const state = new PortState();
  state.owner = port;
  setState(port, state);
  return port;
}

setPortTest(isPort);
addTransferable({
  is: isPort,
  isDetached: (port) => stateOf(port) === undefined,
  shell: () => new MessagePort(INTERNAL),
  move(from, to) {
    const state = stateOf(from);
    setState(from, undefined);
    setState(to, state);
    state.moveTo(to);
  },
});

export class MessageChannel {
  #port1 = newPort();
  #port2 = newPort();

  constructor() {
    const [one, two] = [stateOf(this.#port1), stateOf(this.#port2)];
    one.other = two;
    two.other = one;
  }

  get port1() {
    return this.#port1;
  }

  get port2() {
    return this.#port2;
  }
}

/** The open channels of the instance, in the order in which they were made. */
const channels = new Set();

export class BroadcastChannel extends EventTarget {
  #name;
  #closed = false;

  constructor(name) {
    if (arguments.length === 0) throw new TypeError("a BroadcastChannel needs a name");
    super();
    this.#name = `${name}`;
    channels.add(this);
  }

  get name() {
    return this.#name;
  }

  postMessage(message) {
    if (arguments.length === 0) throw new TypeError("postMessage needs a message");
    if (this.#closed) throw new DOMException("the BroadcastChannel is closed", "InvalidStateError");
    // Of `location`, where a script has defined one.
    const origin = globalThis.location?.origin ?? "";
    for (const channel of channels) {
      if (channel === this || channel.#name !== this.#name) continue;
      const { value } = cloneWithTransfer(message, []);
      native.queueTask(() => {
        if (!channel.#closed) fire(channel, new MessageEvent("message", { data: value, origin }));
      });
    }
    // Nobody may be listening: what cannot be cloned is an error all the same.
    if (channels.size === 1) cloneWithTransfer(message, []);
  }

  close() {
    this.#closed = true;
    channels.delete(this);
  }
}

defineEventHandler(BroadcastChannel.prototype, "message");
defineEventHandler(BroadcastChannel.prototype, "messageerror");

for (const cls of [MessagePort, MessageChannel, BroadcastChannel]) defineInterface(cls);
