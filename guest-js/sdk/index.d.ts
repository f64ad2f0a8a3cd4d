// The types of a component: what its `export default` may have, and what its handlers are given.
//
//     import type { Component } from "elias";
//
//     export default {
//       fetch(request) {
//         return new Response(`hello from ${new URL(request.url).pathname}`);
//       },
//     } satisfies Component;
//
// In plain JavaScript the same is checked with a comment on the object: @type {import("elias").Component}.
//
// Request, Response, URL and the other web APIs are globals; their types come with TypeScript's "dom" library (in
// tsconfig.json: "lib": ["es2023", "dom", "dom.iterable"]).

/** A value that JSON can express. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined };

/** A handler may answer at once or later; at once is cheaper. */
export type MaybePromise<T> = T | Promise<T>;

/** The default export of a component. It has a handler for each of the triggers it serves, and at least one. */
export interface Component<Input = any, Output = unknown> {
  /**
   * Answers an HTTP request.
   *
   * @param request The incoming request; its headers are immutable, and its body is there when it is read.
   * @returns The response. Anything else fails the request with a TypeError.
   */
  fetch?(request: Request, env: Env, ctx: ExecutionContext): MaybePromise<Response>;

  /**
   * Answers a call: JSON in, JSON out.
   *
   * @param input The parsed input. Nothing has checked its shape.
   * @returns A value that JSON.stringify takes; undefined is sent as null.
   */
  call?(input: Input, env: Env, ctx: ExecutionContext): MaybePromise<Output>;

  /**
   * Runs on a cron schedule.
   *
   * @remarks Not served yet: a component with it builds, but no trigger calls it.
   */
  scheduled?(tick: ScheduledTick, env: Env, ctx: ExecutionContext): MaybePromise<void>;
}

/** What a scheduled handler is told about the run. */
export interface ScheduledTick {
  /** The cron expression that fired. */
  readonly cron: string;
  /** When the run was due, in milliseconds since the Unix epoch. */
  readonly scheduledTime: number;
}

/**
 * The values of `[capabilities.config]` in elias.toml, by key. Declare the keys of your own component:
 *
 *     declare module "elias" { interface Env { greeting: string } }
 */
export interface Env {
  readonly [key: string]: string | number | boolean | undefined;
}

/** What a handler can ask of, and tell, the execution it runs in. */
export interface ExecutionContext {
  /** Identifies this execution in logs, metrics and error responses. */
  readonly executionId: string;

  /** When the host ends this execution, in milliseconds since the Unix epoch: compare with Date.now(). */
  readonly deadline: number;

  /** Whose component this is, if the host serves several tenants. */
  readonly tenantId: string | undefined;

  /** On whose behalf it runs, if the host knows. */
  readonly userId: string | undefined;

  /** The organization of that user, if the host knows. */
  readonly organizationId: string | undefined;

  /**
   * The IP address of the client that sent the request, such as "203.0.113.7" or "2001:db8::1": of the connection, or what the
   * proxies say that the host was told to trust. Undefined for calls.
   */
  readonly clientAddress: string | undefined;

  /** The claims of the token that authenticated the request, if the component asks for one in `[gateway.auth]`. */
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
export { ELIAS, HttpError, component, createAPI, createComponent } from "./modules/forms.js";
export { http } from "./modules/http.js";
export { log } from "./modules/log.js";

/** All capabilities by name: `sdk.db`, `sdk.http`. A component imports only those that it uses. */
declare const sdk: {
  readonly cache: import("./modules/cache.js").Cache;
  readonly config: import("./modules/config.js").Config;
  readonly db: import("./modules/db.js").Database;
  readonly ELIAS: import("./modules/forms.js").Forms;
  readonly HttpError: typeof import("./modules/forms.js").HttpError;
  readonly component: import("./modules/forms.js").Forms["component"];
  readonly createAPI: import("./modules/forms.js").Forms["createAPI"];
  readonly createComponent: import("./modules/forms.js").Forms["createComponent"];
  readonly http: import("./modules/http.js").Http;
  readonly log: import("./modules/log.js").Log;
  readonly sql: typeof import("./modules/db.js").sql;
};
export default sdk;
