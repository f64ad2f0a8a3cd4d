/** Calls, messages and subscriptions to a worker that takes clients, over one socket that comes back by itself. */

/** The end of a client for good. */
export class ClosedError extends Error {
  /** The status code of the close. */
  readonly code: number;
}

export interface ClientOptions {
  /**
   * What the worker's `authenticate` is given, for each connection: a value that structured clone can copy, or a
   * function that gives one.
   */
  credentials?: unknown | (() => unknown | Promise<unknown>);
  /** The class of sockets, where there is no global one. */
  WebSocket?: new (url: string, protocols: string[]) => unknown;
}

type Methods<Worker> = {
  readonly [Name in keyof Worker as Worker[Name] extends (...args: any[]) => unknown ? Name : never]:
    Worker[Name] extends (...args: infer Args) => infer Result ? (...args: Args) => Promise<Awaited<Result>> : never;
};

/**
 * A client of one worker. Events: `connecting`, `open`, `waiting` and `closed`, when the state changes; `reset` when
 * the worker does not know the session any more: values of topics may have been missed.
 */
export class Client<Worker = Record<string, (...args: any[]) => any>> extends EventTarget {
  /** Where it is: `waiting` before it connects again. */
  readonly state: "connecting" | "open" | "waiting" | "closed";
  /** Why it is closed. */
  readonly error?: Error;
  /** The worker's methods that clients may call. */
  readonly methods: Methods<Worker>;
  /** Calls a method that clients may call; gives what it returned. */
  call(method: string, ...args: unknown[]): Promise<any>;
  /** Sends a message; gives what `onMessage` returned. */
  send(message: unknown): Promise<any>;
  /** Has `listener` called with each value of a topic. Gives a function that ends that. */
  subscribe(topic: string, listener: (value: any) => void): Promise<() => Promise<void>>;
  /** Ends for good. What has no answer is rejected with a `ClosedError`. */
  close(code?: number, reason?: string): void;
}

/** A client of the worker at `url`, such as `wss://example.com/workers/Room/lobby`. It connects at once. */
export function connect<Worker = Record<string, (...args: any[]) => any>>(
  url: string | URL, options?: ClientOptions,
): Client<Worker>;
