// The types of a component: its `export default`, and the arguments of its handlers.
//
//     import type { Component } from "elias";
//
//     export default {
//       fetch(request) {
//         return new Response(`hello from ${new URL(request.url).pathname}`);
//       },
//     } satisfies Component;
//
// In plain JavaScript, a comment on the object has the same effect: @type {import("elias").Component}.
//
// Request, Response, URL and the other web APIs are globals; their types come with TypeScript's "dom" library (in
// tsconfig.json: "lib": ["es2023", "dom", "dom.iterable"]).

import type { CloudEvent } from "./modules/events.js";

/** A value that JSON can express. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined };

/** A value, or a promise of it. A handler that returns the value itself costs less. */
export type MaybePromise<T> = T | Promise<T>;

/** The default export of a component: an object with at least one handler. */
export interface Component<Input = any, Output = unknown> {
  /**
   * Handles an HTTP request.
   *
   * @param request The incoming request; its headers are immutable. Its body is read from the client when a script reads it.
   * @returns The response. For any other value the request fails with a TypeError.
   */
  fetch?(request: Request, env: Env, ctx: ExecutionContext): MaybePromise<Response>;

  /**
   * Handles a call of a Rust program that embeds the component: JSON in, JSON out.
   *
   * @param input The parsed input. It is not validated.
   * @returns A value that JSON.stringify accepts; undefined is sent as null.
   */
  call?(input: Input, env: Env, ctx: ExecutionContext): MaybePromise<Output>;

  /**
   * Runs when a schedule is due: `[[triggers.schedule]]` of elias.toml.
   *
   * If it throws, the retry policy decides whether it runs again.
   */
  scheduled?(tick: ScheduledTick, env: Env, ctx: ExecutionContext): MaybePromise<void>;

  /**
   * Runs a job that `jobs.enqueue` put into the queue.
   *
   * If it throws, the retry policy of `[triggers.jobs.NAME]` in elias.toml decides whether it runs again.
   *
   * @returns The job's result: a value that JSON.stringify accepts; undefined is stored as null.
   */
  job?(job: Job, env: Env, ctx: ExecutionContext): MaybePromise<unknown>;

  /**
   * Handles an event to which `[[triggers.event]]` of elias.toml subscribes. A handler that returns acknowledges it.
   *
   * If it throws, the retry policy of the subscription decides whether the event is delivered again. Events are
   * delivered at least once: `event.id` tells a second delivery.
   */
  event?(event: DeliveredEvent, env: Env, ctx: ExecutionContext): MaybePromise<void>;

  /**
   * Handles several events at once, of a subscription with `batch` in elias.toml: those that are ready, or with
   * `batch = { size = 50, wait = "2s" }` those that came until there were 50 or two seconds had passed. A handler that returns acknowledges
   * those on which it did not decide with `retry` or `reject`. If it throws, each of them is delivered again, as the
   * retry policy of the subscription says. A batch has no durable steps.
   */
  events?(batch: EventBatch, env: Env, ctx: ExecutionContext): MaybePromise<void>;
}

/** A due time of a schedule. */
export interface ScheduledTick<Input = any> {
  /** The name of the schedule. */
  readonly name: string;
  /** When the run was due, in milliseconds since the Unix epoch. */
  readonly scheduledTime: number;
  /** Milliseconds from then to the start of this run. */
  readonly late: number;
  /** From 1; more if a former run for the same time failed. */
  readonly attempt: number;
  /** The schedule's `input` in elias.toml; null without one. */
  readonly input: Input;
}

/** The decisions of a handler about its message. The last decision counts, whether the handler then returns or throws. */
export interface Decisions {
  /**
   * Has the handler run again.
   *
   * @param afterMs In so many milliseconds. Default: as the retry policy says.
   * @param reason For people. Default: "".
   */
  retry(afterMs?: number, reason?: string): void;
  /** Gives up: the message is dead, for this reason, and the handler does not run again. */
  reject(reason?: string): void;
}

/** A job. */
export interface Job<Input = any> extends Decisions {
  /** As `jobs.enqueue` returned it; the same in all attempts. */
  readonly id: string;
  readonly name: string;
  /** The input. It is not validated. */
  readonly input: Input;
  /** From 1. */
  readonly attempt: number;
  /** The unique key, or null. */
  readonly key: string | null;
  /** In milliseconds since the Unix epoch. */
  readonly enqueuedAt: number;
}

/** An event that is delivered to a subscription. */
export interface DeliveredEvent<Data = any> extends CloudEvent<Data>, Decisions {
  /** From 1. */
  readonly attempt: number;
}

/** Events that are delivered to a subscription at once. */
export interface EventBatch<Data = any> {
  /** The name of the subscription. */
  readonly subscription: string;
  /** The events, each with its own `retry`, `reject` and `attempt`. */
  readonly events: readonly DeliveredEvent<Data>[];
}

/**
 * The values of `[capabilities.config]` in elias.toml, by key. Declare the keys of your own component:
 *
 *     declare module "elias" { interface Env { greeting: string } }
 */
export interface Env {
  readonly [key: string]: string | number | boolean | undefined;
}

/** The execution in which a handler runs. */
export interface ExecutionContext {
  /** Identifies this execution in logs, metrics and error responses. */
  readonly executionId: string;

  /** The time when the host ends this execution, in milliseconds since the Unix epoch, as Date.now(). */
  readonly deadline: number;

  /** The tenant that owns the component, if the host serves several tenants. */
  readonly tenantId: string | undefined;

  /** The user on whose behalf the execution runs, if the host knows. */
  readonly userId: string | undefined;

  /** The organization of that user, if the host knows. */
  readonly organizationId: string | undefined;

  /**
   * The IP address of the client that sent the request, such as "203.0.113.7" or "2001:db8::1": that of the connection,
   * or the one that a trusted proxy forwarded. Undefined for calls.
   */
  readonly clientAddress: string | undefined;

  /** The claims of the token that authenticated the request, if `[gateway.auth]` requires one. */
  readonly claims: Record<string, unknown> | undefined;

  /**
   * Keeps the instance alive after the response until `promise` settles or the deadline passes.
   * A rejection is logged; the response is not affected.
   */
  waitUntil(promise: unknown): void;
}

export { cache } from "./modules/cache.js";
export { config } from "./modules/config.js";
export { db, sql } from "./modules/db.js";
export { events } from "./modules/events.js";
export type { CloudEvent } from "./modules/events.js";
export { flags } from "./modules/flags.js";
export { ELIAS, HttpError, component, createAPI, createComponent } from "./modules/forms.js";
export { http } from "./modules/http.js";
export { jobs } from "./modules/jobs.js";
export { log } from "./modules/log.js";
export { trace } from "./modules/trace.js";
export { worker, workers } from "./modules/workers.js";
export { step } from "./modules/workflow.js";

/** All capabilities by name: `sdk.db`, `sdk.http`. A component imports only those that it uses. */
declare const sdk: {
  readonly cache: import("./modules/cache.js").Cache;
  readonly config: import("./modules/config.js").Config;
  readonly db: import("./modules/db.js").Database;
  readonly events: import("./modules/events.js").Events;
  readonly flags: import("./modules/flags.js").Flags;
  readonly ELIAS: import("./modules/forms.js").Forms;
  readonly HttpError: typeof import("./modules/forms.js").HttpError;
  readonly component: import("./modules/forms.js").Forms["component"];
  readonly createAPI: import("./modules/forms.js").Forms["createAPI"];
  readonly createComponent: import("./modules/forms.js").Forms["createComponent"];
  readonly http: import("./modules/http.js").Http;
  readonly jobs: import("./modules/jobs.js").Jobs;
  readonly log: import("./modules/log.js").Log;
  readonly sql: typeof import("./modules/db.js").sql;
  readonly step: import("./modules/workflow.js").Step;
  readonly trace: import("./modules/trace.js").Trace;
  readonly worker: import("./modules/workers.js").WorkerFactory;
  readonly workers: import("./modules/workers.js").Workers;
};
export default sdk;
