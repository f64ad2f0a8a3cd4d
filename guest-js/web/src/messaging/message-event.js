// MessageEvent. https://html.spec.whatwg.org/#the-messageevent-interface (9.1)
import { Event } from "../events/event-target.js";
import { dictionary } from "../webidl/conversions.js";
import { defineInterface } from "../webidl/interfaces.js";

export class MessageEvent extends Event {
  #data;
  #origin;
  #lastEventId;
  #source;
  #ports;

  constructor(type, init = undefined) {
    if (arguments.length === 0) throw new TypeError("an event needs a type");
    super(type, init);
    const { data = null, lastEventId = "", origin = "", ports = [], source = null } = dictionary(init, "the init of a MessageEvent");
    this.#data = data;
    this.#lastEventId = `${lastEventId}`.toWellFormed();
    this.#origin = `${origin}`.toWellFormed();
    this.#ports = toPorts(ports);
    this.#source = toSource(source);
  }

  get data() {
    return this.#data;
  }

  get origin() {
    return this.#origin;
  }

  get lastEventId() {
    return this.#lastEventId;
  }

  get source() {
    return this.#source;
  }

  get ports() {
    return this.#ports;
  }

  initMessageEvent(type, bubbles = false, cancelable = false, data = null, origin = "", lastEventId = "", source = null, ports = []) {
    if (arguments.length === 0) throw new TypeError("an event needs a type");
    const isFree = this.eventPhase === Event.NONE;
    this.initEvent(type, bubbles, cancelable);
    if (!isFree) return;
    this.#data = data;
    this.#origin = `${origin}`.toWellFormed();
    this.#lastEventId = `${lastEventId}`.toWellFormed();
    this.#source = toSource(source);
    this.#ports = toPorts(ports);
  }
}

/** Whether a value is a MessagePort; the ports' module says so if it is there. */
let isPort = () => false;
export const setPortTest = (test) => void (isPort = test);

function toPorts(value) {
  const ports = [...value];
  if (!ports.every(isPort)) throw new TypeError("the ports of a MessageEvent must be MessagePorts");
  return Object.freeze(ports);
}

function toSource(value) {
  if (value === null || value === undefined) return null;
  if (!isPort(value)) throw new TypeError("the source of a MessageEvent must be a MessagePort or null");
  return value;
}

defineInterface(MessageEvent);
