// elias/workers: service workers, objects with a class and a name that live on between their messages.

/** An alarm that is due. */
export interface Alarm {
  readonly name: string;
  /** When it was due, in milliseconds since the Unix epoch. */
  readonly at: number;
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
  /** Handles a message that was sent with `send`; what it returns is the answer. */
  onMessage?(message: any, context: Context): unknown;
  /** Called when an alarm of `worker.after` is due. */
  onAlarm?(alarm: Alarm): void | Promise<void>;
  /** Called in the last turn. */
  onStop(reason: any): void | Promise<void>;
}

export interface Worker<Context extends object = Record<string, any>> extends FileHandlers {}

/** Handlers and methods of a worker's class; other values are the first values of fields. */
export interface WorkerHandlers<Context extends object = Record<string, any>> extends FileHandlers {
  onStart?(context: Context): void | Promise<void>;
  onMessage?(message: any, context: Context): unknown;
  onAlarm?(alarm: Alarm): void | Promise<void>;
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
  /** Tells the host of an event of the worker. The value is a copy, made by structured clone. */
  emit(event: string, value?: unknown): void;
}

/** The names of members that others cannot call. */
type NotCallable = "constructor" | "send" | "then" | "toJSON" | `on${Capitalize<string>}`;

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
 * Why a handler that is not a worker has no answer to a call. An exception of the worker is thrown as it is, by its name
 * and message, and has no such code.
 */
export interface WorkersError extends Error {
  readonly code: "invalid" | "too-large" | "quota-exceeded" | "not-found" | "mailbox-full" | "failed" | "unavailable";
}

/** The workers of the component. */
export interface Workers {
  /**
   * The worker of a class, or of the class that is exported by that name, which has this name.
   *
   *     const cart = workers.get(Cart, "user-42");
   *     await cart.add("A1", 2);
   *
   * Workers call each other in their turns; the component's other handlers need the grant `[capabilities.workers]`. An
   * exception of the one that is called rejects the promise, with its name and message; any other failure has a `code`.
   */
  get<Instance>(target: WorkerClass<Instance>, name: string): WorkerReference<Instance>;
  get(target: string, name: string): WorkerReference;
}

export const worker: WorkerFactory;
export const workers: Workers;
