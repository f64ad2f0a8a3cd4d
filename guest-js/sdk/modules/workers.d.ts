// elias/workers: service workers, objects with a class and a name that live on between their messages.

/** An alarm that is due. */
export interface Alarm {
  readonly name: string;
  /** When it was due, in milliseconds since the Unix epoch. */
  readonly at: number;
}

/** What a worker was in another version of the component. */
export interface FormerVersion<Context extends object = Record<string, any>> {
  /** Which version that was, for people. */
  readonly version: string;
  /** The worker's context, which stays: it is the object that handlers are given. */
  readonly context: Context;
  /** Its own fields, without private ones. Objects of exported classes are of the class that is exported now. */
  readonly fields: Record<string, any>;
}

/** A socket of a worker. It stays with the worker until it is closed, however long the worker is out of memory. */
export interface Socket<Data extends object = Record<string, any>> {
  /** Identifies it among all sockets. */
  readonly id: string;
  /** What it is: an event stream is an {@link EventStream}. */
  readonly kind: "websocket" | "event-stream";
  /** An object of the author's. */
  data: Data;
  /**
   * Sends a text or bytes, once the turn is committed: at most 1,048,576 characters, bytes counted in base64.
   *
   * @param options Of an event stream alone, which sends texts.
   */
  send(message: string | ArrayBuffer | ArrayBufferView, options?: ServerSentEventOptions): void;
  /**
   * Closes it, once the turn is committed. `onClose` is not called for it.
   *
   * @param code 1000, or from 3000 to 4999. Default: 1000.
   * @param reason At most 123 bytes. Default: "".
   */
  close(code?: number, reason?: string): void;
}

/** The request by which a socket was opened. */
export interface SocketRequest {
  readonly url: string;
  readonly headers: Headers;
  /** The subprotocol that was agreed on; empty without one. */
  readonly protocol: string;
}

/** What an event of an event stream has beside its data. */
export interface ServerSentEventOptions {
  /** Its name, one line; clients call it `message` without one. */
  event?: string;
  /** Its id, one line: a client that connects again sends the last as `lastEventId`. */
  id?: string | number;
  /** After how many milliseconds the client is to connect again. */
  retry?: number;
}

/** A stream of server-sent events to a client: a socket that can only send. */
export interface EventStream<Data extends object = Record<string, any>> {
  /** Identifies it among all sockets. */
  readonly id: string;
  readonly kind: "event-stream";
  /** An object of the author's. */
  data: Data;
  /** Sends an event with these data, once the turn is committed: at most 1,048,576 characters with its fields. */
  send(data: string, options?: ServerSentEventOptions): void;
  /** Ends the stream, once the turn is committed. `onClose` is not called for it. The client connects again. */
  close(): void;
}

/** The request for an event stream. */
export interface EventStreamRequest {
  readonly url: string;
  readonly headers: Headers;
  /** The id of the last event that the client has, `Last-Event-ID`; empty without one. */
  readonly lastEventId: string;
}

/** Handlers that a class of workers may have. */
export interface WorkerEvents<Context extends object = Record<string, any>> {
  /** Handles a message that was sent with `send`; what it returns is the answer. */
  onMessage?(message: any, context: Context): unknown;
  /** Called when an alarm of `worker.after` is due. */
  onAlarm?(alarm: Alarm): void | Promise<void>;
  /**
   * Called in place of `onStart` where the worker comes from another version of the component by its state, and not
   * with its heap. Without it context and fields are taken over. If it throws, the former version goes on.
   */
  onUpgrade?(from: FormerVersion<Context>): void | Promise<void>;
  /** Whether the worker is well: it is unless this gives false, or throws. */
  onHealth?(): unknown;
  /** Called before the handshake of a socket is answered. If it throws, the client gets none. */
  onOpen?(socket: Socket, request: SocketRequest): void | Promise<void>;
  /** Handles a message of a socket, a text or bytes. A class without it takes no sockets. */
  onWebSocketMessage?(socket: Socket, message: string | Uint8Array): void | Promise<void>;
  /** Called when a client has asked for an event stream. If it throws, there is none. */
  onEventStream?(stream: EventStream, request: EventStreamRequest): void | Promise<void>;
  /** Called when the client has closed a socket, or the connection is lost, then with the code 1006. */
  onClose?(socket: Socket, code: number, reason: string): void | Promise<void>;
}

/** What `onWalk` says of a file that a worker serves. */
export interface ServedFile {
  /** Default: `"file"`. */
  type?: "file" | "directory";
  /** Bytes of a file. Default: 0, which is shown where the size is not known. */
  size?: number;
  /** When it was changed, in milliseconds since the Unix epoch. */
  modified?: number;
  /** Whether it can be written; of a directory, whether files can be made in it. Default: false. */
  writable?: boolean;
  /** The entries of a directory, at most 4,096: names of files, or what is known of each. */
  entries?: (string | (ServedFile & { name: string }))[];
}

/** Handlers by which a worker serves files of its own, which 9P shows in its directory `files`. */
export interface FileHandlers {
  /**
   * What a file is; nothing if there is none.
   *
   * @param path The names on the way to it; empty for the root.
   */
  onWalk?(path: string[]): ServedFile | null | undefined | Promise<ServedFile | null | undefined>;
  /** A part of a file: at most `count` bytes from `offset` on, none at the end; or all of it as a string. */
  onRead?(path: string[], offset: number, count: number): unknown;
  /**
   * Writes on a file, and makes it if there is none; gives how many bytes it took, all without a number.
   *
   * @param options.truncate Whether what the file held is to be forgotten first.
   */
  onWrite?(path: string[], bytes: Uint8Array, offset: number, options: { truncate: boolean }): unknown;
}

/**
 * The base of the classes of workers. Those that the entry module exports by a name are found by the build; the name of
 * the export is that of the class.
 *
 *     export class Cart extends worker.Worker {
 *       items = new Map();
 *       async add(sku, n) { this.items.set(sku, n); return this.items.size; }
 *     }
 *
 * Fields, Maps, closures and all else in memory stay from one turn to the next; nothing has to be stored by hand.
 */
export declare class Worker<Context extends object = Record<string, any>> {
  /** Called once, in the first turn of a new worker. `context` stays with the worker. */
  onStart(context: Context): void | Promise<void>;
  /** Called in the last turn. */
  onStop(reason: any): void | Promise<void>;
  /** The open sockets. A class may have a field of this name; then `workers.sockets(this)` gives them. */
  readonly sockets: Socket[];
}

export interface Worker<Context extends object = Record<string, any>> extends WorkerEvents<Context>, FileHandlers {}

/** Handlers and methods of a worker's class; other values are the first values of fields. */
export interface WorkerHandlers<Context extends object = Record<string, any>>
  extends WorkerEvents<Context>, FileHandlers {
  onStart?(context: Context): void | Promise<void>;
  onStop?(reason: any): void | Promise<void>;
  [member: string]: any;
}

/** A class of workers. */
export type WorkerClass<Instance = object> = abstract new () => Instance;

/** The classes of workers, and what a worker may do in its turns. */
export interface WorkerFactory {
  /** Makes a class of an object of handlers and methods: `export const cart = worker({ onMessage(message) { } })`. */
  <Handlers extends WorkerHandlers>(handlers: Handlers & ThisType<Handlers>): WorkerClass<Handlers>;
  /** The base of the classes of workers. */
  readonly Worker: typeof Worker;
  /** The name of the worker that runs; undefined outside of workers. */
  readonly name: string | undefined;
  /**
   * Has `onAlarm` called in so many milliseconds, also if the host stops meanwhile. An alarm replaces the one of the
   * same name; a worker has at most 1,000.
   */
  after(milliseconds: number, name: string): void;
  /** Clears an alarm; whether it was set. */
  cancel(name: string): boolean;
  /**
   * Emits an event when the turn is committed. The value is a copy, made by structured clone. On a platform it is in
   * the log of events, with its name as the type, if the component has the grant `events`.
   */
  emit(event: string, value?: unknown): void;
}

/** The names of members that others cannot call. */
type NotCallable = "constructor" | "send" | "sockets" | "then" | "toJSON" | `on${Capitalize<string>}`;

/** The method as others call it, with a promise of the result; never for what is no method. */
type RemoteMethod<Member> = Member extends (...args: infer Args) => infer Result
  ? (...args: Args) => Promise<Awaited<Result>>
  : never;

/** The methods of a worker as others call them: each gives a promise of the result, which is a copy. */
export type WorkerReference<Instance = Record<string, (...args: any[]) => any>> = {
  /** Sends a message to `onMessage`; a promise of its answer. */
  send(message?: unknown): Promise<any>;
} & {
  readonly [Key in Exclude<keyof Instance, NotCallable>]: RemoteMethod<Instance[Key]>;
};

/**
 * Why a handler that is not a worker has no answer to a call. An exception of the worker is thrown as it is, by its
 * name and message, and has no such code.
 */
export interface WorkersError extends Error {
  readonly code: "invalid" | "too-large" | "quota-exceeded" | "not-found" | "mailbox-full" | "failed" | "unavailable";
}

/** Which member of a group gets a message. */
export interface WorkerOptions {
  /** Messages with this key go to the same member. With the group's name and a slash it has at most 256 characters. */
  key?: string;
}

/** The workers of the component. */
export interface Workers {
  /**
   * The worker of a class, or of the class that is exported by that name, which has this name.
   *
   *     const cart = workers.get(Cart, "user-42");
   *     await cart.add("A1", 2);
   *
   * If elias.toml declares a group of this name, each message goes to one of its members; with a key always to the
   * same one.
   *
   *     await workers.get(Resizer, "pool", { key: imageId }).resize(image);
   *
   * Workers call each other in their turns; the component's other handlers need the grant `[capabilities.workers]`. An
   * exception of the one that is called rejects the promise, with its name and message; any other failure has a `code`.
   */
  get<Instance>(target: WorkerClass<Instance>, name: string, options?: WorkerOptions): WorkerReference<Instance>;
  get(target: string, name: string, options?: WorkerOptions): WorkerReference;
  /** The open sockets of the worker that runs, which is given by its object: `workers.sockets(this)`. */
  sockets(worker: object): Socket[];
}

export const worker: WorkerFactory;
export const workers: Workers;
