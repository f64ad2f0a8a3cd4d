// The sockets of a worker: handles that live on with its heap, while the host has the connections.
import { base64Of, bufferOf } from "../encoding/base64-bytes.js";
import { Headers } from "../fetch/headers.js";
import { refuseToEncode } from "../messaging/clone-encoding.js";
import { isArrayBuffer } from "../webidl/bytes.js";
import { checkName } from "./names.js";
import { requireTurn } from "./turn.js";

/** Sockets that may be open at a time, and so messages of a turn: one to each. */
const SOCKETS_MAX = 10_000;
const MESSAGES_MAX = 10_000;

/** The most characters of a message, bytes in base64, and of all that a turn sends. */
const MESSAGE_MAX = 1 << 20;
const SIZE_MAX = 8 << 20;

/** The most bytes of the reason of a close, as RFC 6455 has it. */
const REASON_BYTES_MAX = 123;

/** Those that are open, by id. */
const open = new Map();

/** The kind of sockets that can only send: streams of server-sent events. */
const EVENT_STREAM = "event-stream";

/** A socket. `data` is the author's, and stays with it. */
export class Socket {
  constructor(id, kind) {
    this.id = id;
    this.data = {};
    if (kind === EVENT_STREAM) this.kind = kind;
    keepId(this);
  }

  /**
   * Sends a text, or bytes: an ArrayBuffer or a view of one. To an event stream it sends an event with this text, and
   * with the name, the id and the time to connect again that `options` has. It leaves when the turn is committed.
   */
  send(message, options) {
    const output = requireOpen(this, "socket.send");
    if (this.kind === EVENT_STREAM) add(output, { socket: this.id, text: eventOf(message, options) });
    else if (typeof message === "string") add(output, { socket: this.id, text: message.toWellFormed() });
    else add(output, { socket: this.id, bytes: base64Of(bytesOf(message)) });
  }

  /** Closes it when the turn is committed. From here on it is none of the worker's, so that `onClose` is not called. */
  close(code = 1000, reason = "") {
    const output = requireOpen(this, "socket.close");
    if (code !== 1000 && !(Number.isInteger(code) && code >= 3000 && code <= 4999)) {
      throw new RangeError(`the code of a close is 1000, or from 3000 to 4999, not ${String(code)}`);
    }
    const text = `${reason}`.toWellFormed();
    if (utf8Length(text) > REASON_BYTES_MAX) {
      throw new RangeError(`the reason of a close has at most ${REASON_BYTES_MAX} bytes`);
    }
    add(output, { socket: this.id, close: { code, reason: text } });
    open.delete(this.id);
  }
}

// On the prototype, so that sockets of former versions have it: `websocket` or `event-stream`.
Object.defineProperty(Socket.prototype, "kind", { value: "websocket", writable: true, configurable: true });

/** An event as the text/event-stream of the HTML standard has it. */
function eventOf(data, { event, id, retry } = {}) {
  if (typeof data !== "string") throw new TypeError("an event stream sends strings");
  let text = "";
  if (event !== undefined) text += `event: ${lineOf(event, "the name of an event")}\n`;
  if (id !== undefined) {
    const line = lineOf(id, "the id of an event");
    if (line.includes("\0")) throw new TypeError("the id of an event has no NUL");
    text += `id: ${line}\n`;
  }
  if (retry !== undefined) {
    if (!Number.isSafeInteger(retry) || retry < 0) throw new RangeError("retry is a number of milliseconds");
    text += `retry: ${retry}\n`;
  }
  for (const line of data.toWellFormed().split(/\r\n|\r|\n/)) text += `data: ${line}\n`;
  return `${text}\n`;
}

function lineOf(value, what) {
  const line = `${value}`.toWellFormed();
  if (/[\r\n]/.test(line)) throw new TypeError(`${what} is one line`);
  return line;
}

/** Has a socket keep its id, by which the host knows it, and be no value of messages. */
function keepId(socket) {
  Object.defineProperty(socket, "id", { writable: false, configurable: false });
  refuseToEncode(socket, `the socket ${socket.id}`);
}

function requireOpen(socket, what) {
  const output = requireTurn(what);
  if (open.get(socket.id) !== socket) throw new Error(`${what}: the socket is closed`);
  return output;
}

function bytesOf(message) {
  if (isArrayBuffer(message)) return new Uint8Array(message);
  if (!ArrayBuffer.isView(message)) throw new TypeError("socket.send takes a string, an ArrayBuffer or a view of one");
  return new Uint8Array(message.buffer, message.byteOffset, message.byteLength);
}

function utf8Length(text) {
  let length = 0;
  for (const character of text) {
    const code = character.codePointAt(0);
    length += 1 + (code > 0x7f) + (code > 0x7ff) + (code > 0xffff);
  }
  return length;
}

function add(output, message) {
  const { length } = message.text ?? message.bytes ?? "";
  if (length > MESSAGE_MAX) {
    throw new RangeError(`a message to a socket has at most ${MESSAGE_MAX} characters, bytes counted in base64`);
  }
  if (output.sockets.length >= MESSAGES_MAX) {
    throw new RangeError(`a turn sends at most ${MESSAGES_MAX} messages to sockets`);
  }
  output.socketSize += length;
  if (output.socketSize > SIZE_MAX) throw new RangeError(`a turn sends at most ${SIZE_MAX} characters to sockets`);
  output.sockets.push(message);
}

/** The sockets that are open, in the order in which they were opened. */
export const openSockets = () => [...open.values()];

/** The socket that a turn opens, and the request that it came with, as `onOpen` takes them. */
export function openSocket({ socket: id, request: { url, headers, protocol, kind } }) {
  checkName(id, "the id of a socket");
  if (open.has(id)) throw new Error(`the socket ${id} is open already`);
  if (open.size >= SOCKETS_MAX) throw new RangeError(`${SOCKETS_MAX} sockets are open, which is the most`);
  const socket = new Socket(id, kind);
  open.set(id, socket);
  const request = { url, headers: new Headers(headers) };
  if (kind === EVENT_STREAM) return [socket, { ...request, lastEventId: request.headers.get("last-event-id") ?? "" }];
  return [socket, { ...request, protocol: protocol ?? "" }];
}

/** Whether a turn opens a stream of events. */
export const opensEventStream = ({ request }) => request.kind === EVENT_STREAM;

/** The socket of a message, and the message; undefined if the worker has closed it. */
export function receive({ socket: id, text, bytes }) {
  const socket = open.get(id);
  return socket && [socket, typeof text === "string" ? text : new Uint8Array(bufferOf(bytes))];
}

/** The socket that the other side has closed, which is open no more; undefined if the worker has closed it itself. */
export function closeSocket({ socket: id, code, reason }) {
  const socket = open.get(id);
  open.delete(id);
  return socket && [socket, code, reason];
}

/** A socket of a former version of the worker, without its members, which follow. */
export function emptySocket() {
  const socket = Object.create(Socket.prototype);
  refuseToEncode(socket, "a socket");
  return socket;
}

/** Forgets all sockets: those of a copied worker are the other one's. */
export const forgetSockets = () => open.clear();

/** Takes over the sockets of a former version, which the host has. */
export function restoreSockets(list) {
  for (const socket of list) {
    keepId(socket);
    open.set(socket.id, socket);
  }
}
