// elias/test: the module for test files. `elias test` runs them in the engine, each test in an instance of its own.
//
//     import { app, describe, expect, it } from "elias/test";
//
//     describe("the page", () => {
//       it("is there", async () => {
//         expect((await app.fetch("/")).status).toBe(200);
//       });
//     });

import type { CloudEvent } from "./events.js";

type MaybePromise<T> = T | Promise<T>;

/** The argument of a test's function. */
export interface TestContext {
  readonly task: { readonly name: string };
  readonly expect: typeof expect;
  onTestFinished(callback: (context: TestContext) => MaybePromise<void>): void;
  /** Ends the test and marks it as skipped. */
  skip(): never;
}

/** The options of a test. */
export interface TestOptions {
  /** The timeout in milliseconds. Default: 5000, at most the limit `deadline-ms`. */
  timeout?: number;
  skip?: boolean;
  only?: boolean;
  todo?: boolean;
  /** Whether the test is expected to fail. */
  fails?: boolean;
}

type TestFunction = (context: TestContext) => MaybePromise<unknown>;

interface Each<Body> {
  <T extends readonly unknown[]>(cases: readonly T[]): (name: string, run: (...values: T) => MaybePromise<unknown>, options?: number | TestOptions) => void;
  <T>(cases: readonly T[]): (name: string, run: (value: T) => MaybePromise<unknown>, options?: number | TestOptions) => void;
  (strings: TemplateStringsArray, ...values: unknown[]): (name: string, run: (value: any) => MaybePromise<unknown>, options?: number | TestOptions) => void;
}

export interface Test {
  (name: string | Function, run?: TestFunction, options?: number | TestOptions): void;
  (name: string | Function, options: TestOptions, run?: TestFunction): void;
  readonly skip: Test;
  readonly only: Test;
  readonly todo: Test;
  readonly fails: Test;
  readonly concurrent: Test;
  readonly sequential: Test;
  skipIf(condition: unknown): Test;
  runIf(condition: unknown): Test;
  /** Declares a test for each case; `%s`, `%i`, `%j`, `%#` and `$key` in the name are replaced by its values. */
  readonly each: Each<TestFunction>;
  for<T>(cases: readonly T[]): (name: string, run: (value: T, context: TestContext) => MaybePromise<unknown>, options?: number | TestOptions) => void;
}

export interface Suite {
  (name: string | Function, body?: () => void, options?: TestOptions): void;
  readonly skip: Suite;
  readonly only: Suite;
  readonly todo: Suite;
  readonly concurrent: Suite;
  readonly sequential: Suite;
  skipIf(condition: unknown): Suite;
  runIf(condition: unknown): Suite;
  readonly each: Each<() => void>;
}

export const it: Test;
export const test: Test;
export const describe: Suite;
export const suite: Suite;

type Hook = (run: (context: TestContext) => MaybePromise<void | (() => MaybePromise<void>)>, timeout?: number) => void;

/** Runs before the first test of its suite. Since each test has an instance of its own, it runs before each of them. */
export const beforeAll: Hook;
export const afterAll: Hook;
export const beforeEach: Hook;
export const afterEach: Hook;
/** Calls `callback` when the test is over, whether or not it passed. */
export function onTestFinished(callback: (context: TestContext) => MaybePromise<void>): void;

/** vitest's matchers. https://vitest.dev/api/expect.html */
export interface Matchers<R = void> {
  readonly not: Matchers<R>;
  readonly resolves: Matchers<Promise<void>>;
  readonly rejects: Matchers<Promise<void>>;
  toBe(expected: unknown): R;
  toEqual(expected: unknown): R;
  toStrictEqual(expected: unknown): R;
  toBeTruthy(): R;
  toBeFalsy(): R;
  toBeNull(): R;
  toBeUndefined(): R;
  toBeDefined(): R;
  toBeNullable(): R;
  toBeNaN(): R;
  toBeTypeOf(expected: string): R;
  toBeInstanceOf(expected: Function): R;
  toBeOneOf(expected: readonly unknown[]): R;
  toBeCloseTo(expected: number, digits?: number): R;
  toBeGreaterThan(expected: number | bigint): R;
  toBeGreaterThanOrEqual(expected: number | bigint): R;
  toBeLessThan(expected: number | bigint): R;
  toBeLessThanOrEqual(expected: number | bigint): R;
  toContain(expected: unknown): R;
  toContainEqual(expected: unknown): R;
  toHaveLength(expected: number): R;
  toHaveProperty(path: string | readonly (string | number)[], value?: unknown): R;
  toMatch(expected: string | RegExp): R;
  toMatchObject(expected: object | readonly unknown[]): R;
  toSatisfy(predicate: (value: any) => boolean, message?: string): R;
  toThrow(expected?: unknown): R;
  toThrowError(expected?: unknown): R;
  toHaveBeenCalled(): R;
  toHaveBeenCalledOnce(): R;
  toHaveBeenCalledTimes(count: number): R;
  toHaveBeenCalledWith(...values: unknown[]): R;
  toHaveBeenCalledExactlyOnceWith(...values: unknown[]): R;
  toHaveBeenLastCalledWith(...values: unknown[]): R;
  toHaveBeenNthCalledWith(call: number, ...values: unknown[]): R;
  toHaveReturned(): R;
  toHaveReturnedTimes(count: number): R;
  toHaveReturnedWith(value: unknown): R;
  toHaveLastReturnedWith(value: unknown): R;
  toHaveNthReturnedWith(call: number, value: unknown): R;
  toHaveResolved(): R;
  toHaveResolvedWith(value: unknown): R;
  /** Compares with the snapshot in `__snapshots__` beside the test. */
  toMatchSnapshot(hint?: string): R;
  toMatchSnapshot(properties: object, hint?: string): R;
  toMatchInlineSnapshot(snapshot?: string): R;
  toMatchInlineSnapshot(properties: object, snapshot?: string): R;
  toThrowErrorMatchingSnapshot(hint?: string): R;
  toThrowErrorMatchingInlineSnapshot(snapshot?: string): R;
}

interface Asymmetric {
  any(type: unknown): any;
  anything(): any;
  arrayContaining<T>(expected: readonly T[]): any;
  closeTo(expected: number, digits?: number): any;
  objectContaining(expected: object): any;
  stringContaining(expected: string): any;
  stringMatching(expected: string | RegExp): any;
}

export const expect: Asymmetric & {
  (value: unknown, message?: string): Matchers;
  readonly not: Asymmetric;
  /** Continues after a failure, which is reported when the test ends. */
  soft(value: unknown, message?: string): Matchers;
  /** Calls `ask` until the assertion holds, or the timeout is over. */
  poll(ask: () => unknown, options?: { timeout?: number; interval?: number; message?: string }): Matchers<Promise<void>>;
  extend(matchers: Record<string, (this: any, received: any, ...values: any[]) => MaybePromise<{ pass: boolean; message: () => string }>>): void;
  /** Sets the number of assertions that the test must make. */
  assertions(count: number): void;
  hasAssertions(): void;
  unreachable(message?: string): never;
};

/** The assertions of Chai. */
export const assert: any;
export const should: any;

export interface Mock<F extends (...values: any[]) => any = (...values: any[]) => any> {
  (...values: Parameters<F>): ReturnType<F>;
  new (...values: Parameters<F>): any;
  readonly mock: {
    readonly calls: Parameters<F>[];
    readonly lastCall: Parameters<F> | undefined;
    readonly results: { type: "return" | "throw" | "incomplete"; value: any }[];
    readonly instances: unknown[];
    readonly contexts: unknown[];
    readonly invocationCallOrder: number[];
  };
  mockImplementation(implementation: F): this;
  mockImplementationOnce(implementation: F): this;
  mockReturnValue(value: ReturnType<F>): this;
  mockReturnValueOnce(value: ReturnType<F>): this;
  mockResolvedValue(value: Awaited<ReturnType<F>>): this;
  mockResolvedValueOnce(value: Awaited<ReturnType<F>>): this;
  mockRejectedValue(error: unknown): this;
  mockRejectedValueOnce(error: unknown): this;
  mockReturnThis(): this;
  mockName(name: string): this;
  getMockName(): string;
  getMockImplementation(): F | undefined;
  mockClear(): this;
  mockReset(): this;
  mockRestore(): void;
}

/** Spies, and fake timers. https://vitest.dev/api/vi.html */
export const vi: {
  fn<F extends (...values: any[]) => any>(implementation?: F): Mock<F>;
  spyOn<T extends object, K extends keyof T>(object: T, key: K, access?: "get" | "set"): T[K] extends (...values: any[]) => any ? Mock<T[K]> : Mock;
  isMockFunction(value: unknown): value is Mock;
  mocked<T>(value: T): T extends (...values: any[]) => any ? Mock<T> : T;
  clearAllMocks(): typeof vi;
  resetAllMocks(): typeof vi;
  restoreAllMocks(): typeof vi;
  useFakeTimers(options?: { now?: number | Date; toFake?: string[] }): typeof vi;
  useRealTimers(): typeof vi;
  isFakeTimers(): boolean;
  setSystemTime(time: number | string | Date): typeof vi;
  getMockedSystemTime(): Date | null;
  getRealSystemTime(): number;
  getTimerCount(): number;
  advanceTimersByTime(milliseconds: number): typeof vi;
  advanceTimersByTimeAsync(milliseconds: number): Promise<typeof vi>;
  advanceTimersToNextTimer(): typeof vi;
  advanceTimersToNextTimerAsync(): Promise<typeof vi>;
  runAllTimers(): typeof vi;
  runAllTimersAsync(): Promise<typeof vi>;
  runOnlyPendingTimers(): typeof vi;
  runOnlyPendingTimersAsync(): Promise<typeof vi>;
  clearAllTimers(): typeof vi;
  stubGlobal(name: string, value: unknown): typeof vi;
  unstubAllGlobals(): typeof vi;
  waitFor<T>(callback: () => MaybePromise<T>, options?: number | { timeout?: number; interval?: number }): Promise<T>;
  waitUntil<T>(callback: () => MaybePromise<T>, options?: number | { timeout?: number; interval?: number }): Promise<T>;
};
export const vitest: typeof vi;

interface HandlerArguments {
  /** Replaces the component's `env`. */
  env?: object;
  /** Members that override those of the component's `ctx`. */
  ctx?: object;
}

/** The component under test: the project's entry, called as the host calls it. */
export const app: {
  /** Sends it a request, given as a path, a URL or a Request. */
  fetch(input: string | URL | Request, init?: RequestInit, given?: HandlerArguments): Promise<Response>;
  /** Calls it: JSON in, JSON out. */
  call(input?: unknown, given?: HandlerArguments): Promise<any>;
  /** Fires a schedule; `at` is when it was due, by default now. Waits for the handler `scheduled`. */
  schedule(name: string, given?: HandlerArguments & TickArguments): Promise<void>;
  /**
   * Runs a job in the handler `job`, once. An exception that leaves the handler is thrown. Steps are done as they come, with an
   * empty journal; their sleeps are over at once.
   */
  job(name: string, input?: unknown, given?: HandlerArguments & JobArguments): Promise<Outcome & { result?: any }>;
  /** Delivers an event to the handler `event`, once; `given` also takes attributes of the event. Otherwise as `job`. */
  event(type: string, data?: unknown, given?: HandlerArguments & Partial<CloudEvent> & { attempt?: number }): Promise<Outcome>;
  /** Delivers events at once to the handler `events`; gives the outcome of each. An exception is thrown. */
  events(
    list: (Partial<CloudEvent> & { type: string; attempt?: number })[],
    given?: HandlerArguments & { subscription?: string },
  ): Promise<Outcome[]>;
  /** Waits for the promises that it passed to `ctx.waitUntil`. */
  settled(): Promise<void>;
};

interface JobArguments {
  /** Default: "test-job". */
  id?: string;
  key?: string | null;
  /** Default: 1. */
  attempt?: number;
  /** Default: now. */
  enqueuedAt?: Date | number;
}

/** The decision of a handler about its message: it returned, or it called `retry` or `reject`. */
interface Outcome {
  readonly outcome: "done" | "retry" | "dead";
  /** For `retry`: in milliseconds; undefined for the retry policy's. */
  readonly after?: number;
  /** For `retry` and `dead`. */
  readonly reason?: string;
}

type FakeResponse = Response | string | object | null | undefined;

/** The clock: `Date` follows it from the first call of `set` or `advance` on, and stands still in between. */
export const clock: {
  /** In milliseconds since the Unix epoch. */
  now(): number;
  /** Sets the time, and fires no schedule. */
  set(time: Date | number | string): void;
  /**
   * Moves the time on by a duration such as `"1d"`, `"1h 30m"` or milliseconds, and fires the schedules of elias.toml that become
   * due, each at its time. Waits for the handler `scheduled`; an exception that leaves it is thrown. Timers of
   * `vi.useFakeTimers` run too.
   */
  advance(by: string | number): Promise<void>;
};

/**
 * The triggers of the component, by the clock. Jobs and events wait until the test has them run: with delays, retries and limits of
 * attempts as elias.toml has them, without jitter, and with their steps kept from attempt to attempt.
 */
export const triggers: {
  /** The ticks that `clock.advance` fired, oldest first. */
  readonly ticks: { name: string; scheduledTime: number }[];
  /** The jobs that were enqueued, oldest first, and what became of them. */
  readonly jobs: TestJob[];
  /** The events that were published, oldest first. */
  readonly events: { id: string; type: string; data: any; subject?: string; key?: string; time: number }[];
  /**
   * Runs the jobs that are due, those of a higher priority first, and those that these enqueue. Gives what became of each run. An
   * exception that leaves the handler is a `retry` or `dead` with `error`.
   */
  runJobs(): Promise<TestRun[]>;
  /**
   * Delivers the published events to the subscriptions that they match, to one with `batch` those that are due at once; `name` is the
   * subscription, and each event has its own entry. Otherwise as `runJobs`.
   */
  deliverEvents(): Promise<TestRun[]>;
};

interface TestJob {
  readonly id: string;
  readonly name: string;
  readonly input: any;
  readonly priority?: number;
  readonly key?: string;
  readonly concurrencyKey?: string;
  readonly after: string[];
  /** The component that runs it; `runJobs` leaves jobs of others alone. */
  readonly target?: string;
  readonly enqueuedAt: number;
  /** When it may run next, in milliseconds since the Unix epoch; `Infinity` while a step waits for an event. */
  readonly runAt: number;
  /** The number of the attempt that is next, or was the last. */
  readonly attempt: number;
  readonly state: "waiting" | "done" | "dead" | "cancelled";
  readonly result?: any;
  /** Why the last attempt that did not succeed failed. */
  readonly reason?: string;
}

interface TestRun {
  readonly id: string;
  readonly name: string;
  readonly attempt: number;
  /** `suspended`: a step sleeps, or waits for an event. */
  readonly outcome: "done" | "retry" | "dead" | "suspended";
  readonly result?: any;
  readonly reason?: string;
  readonly error?: any;
}

/**
 * Fakes of the component's capabilities. Jobs and events are recorded, and neither run nor delivered except by `triggers`.
 * Databases and caches are real, and empty when a test begins.
 */
export const fake: {
  readonly http: {
    /**
     * Responds to every `fetch` that matches the pattern: `"GET https://host/path"`, where `*` matches any characters and a pattern
     * without a query matches any query; a URL alone; a RegExp for the URL; or a function. The newest match responds. A request
     * that matches none fails.
     */
    (pattern: string | RegExp | ((request: Request) => boolean), respond: FakeResponse | ((request: Request) => MaybePromise<FakeResponse>)): void;
    /** Responds to one request only. */
    once(pattern: string | RegExp | ((request: Request) => boolean), respond: FakeResponse | ((request: Request) => MaybePromise<FakeResponse>)): void;
    /** Sends requests that match no fake to the network, within the grants of elias.toml. */
    network(): void;
    /** The requests that the component made, oldest first. */
    readonly requests: Request[];
  };
  readonly jobs: {
    /** The jobs that the component enqueued, oldest first. A second job with the same key is not made. */
    readonly enqueued: FakeJob[];
    /** The ids of the jobs that it cancelled. */
    readonly cancelled: string[];
  };
  readonly events: {
    /** The events that the component published, oldest first. A second event with the same key is not published. */
    readonly published: { id: string; type: string; data: any; subject?: string; key?: string; delay?: number }[];
    /**
     * Has an event at hand for a `step.waitFor` of its type; without one, the step times out. The filter `where` is not
     * applied.
     */
    arrive(type: string, data?: unknown, attributes?: Partial<CloudEvent>): void;
  };
  /** Sets values of `env`, which override those of elias.toml. */
  config(values: Record<string, unknown>): void;
  readonly log: {
    /** The lines that the component wrote. */
    readonly lines: { level: "trace" | "debug" | "info" | "warn" | "error"; message: string; fields: Record<string, unknown> }[];
  };
};

interface TickArguments {
  at?: Date | number;
  late?: number;
  attempt?: number;
  /** Default: null. */
  input?: unknown;
}

interface FakeJob {
  readonly id: string;
  readonly name: string;
  readonly input: any;
  readonly priority?: number;
  /** In milliseconds since the Unix epoch. */
  readonly runAt?: number;
  /** In milliseconds. */
  readonly delay?: number;
  readonly key?: string;
  readonly concurrencyKey?: string;
  readonly after: string[];
  readonly target?: string;
}

/** For the runner: creates the component that it calls. */
export function tests(component: unknown, host?: object): object;
