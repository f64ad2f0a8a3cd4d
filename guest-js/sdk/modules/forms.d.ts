// elias/forms: other ways to declare the handlers of a component.
import type { Component, Env, ExecutionContext, Json, MaybePromise } from "../index.js";

/**
 * Validates a value and returns it, possibly converted: a function that throws, a Standard Schema (zod, valibot, arktype), or an
 * object with a method `parse`.
 */
export type Schema<Value> =
  | ((value: any) => MaybePromise<Value>)
  | { parse(value: unknown): MaybePromise<Value> }
  | { readonly "~standard": { validate(value: unknown): MaybePromise<{ value: Value } | { issues: readonly unknown[] }> } };

/** The input of an endpoint's handler. */
export interface EndpointInput<Params = Record<string, string>, Query = Record<string, string | string[]>, Body = any> {
  readonly method: string;
  readonly url: URL;
  readonly headers: Headers;
  /** The parameters of the path by name, percent-decoded. */
  readonly params: Params;
  /** The values of the query by name; a list if a name occurs more than once. */
  readonly query: Query;
  /** The parsed body, if the request's content type is JSON. */
  readonly body: Body;
  /** The request itself; its body is already read if it was JSON. */
  readonly request: Request;
  readonly env: Env;
}

/** The declared dependencies of a component. */
export interface Dependent {
  /** Packages with their versions, such as "lodash@4.17.21": the build fails if others are bundled. */
  dependencies?: readonly `${string}@${string}`[];
}

/** An endpoint and its handler. */
export interface EndpointOptions<Params, Query, Body> extends Dependent {
  /**
   * A method, by default GET, and a path: `"GET /users/:id"`. `:name` matches one segment, `*name` at the end all
   * remaining ones.
   */
  endpoint: string | { method?: string; path: string };
  /** Validates the parameters of the path; the response to an invalid request is 422. */
  params?: Schema<Params>;
  /** Validates the query. */
  query?: Schema<Query>;
  /** Validates the body, which must then be JSON. */
  body?: Schema<Body>;
  /** Handles a request. Returns a Response, or a value that is sent as JSON; undefined is sent as 204. */
  handler(input: EndpointInput<Params, Query, Body>, ctx: ExecutionContext): MaybePromise<Response | Json | object | undefined | void>;
}

/** A function from an input to an output, and the schemas of both. */
export interface ProcessOptions<Input, Output> extends Dependent {
  /** Validates the input. If it is invalid, the response is 422, and a call fails with an exception. */
  input?: Schema<Input>;
  /** Validates the output. If it is invalid, the execution fails with a TypeError. */
  output?: Schema<Output>;
  process(input: Input, ctx: ExecutionContext, env: Env): MaybePromise<Output>;
}

/** Other ways to declare the handlers of a component. A module declares one component, and then needs no default export. */
export interface Forms {
  /**
   * Adds an endpoint. All endpoints of a module form one router, which responds to OPTIONS, and with 404 and 405, by itself.
   *
   *     ELIAS.createAPI({ endpoint: "GET /users/:id", handler: ({ params }) => ({ id: params.id }) });
   */
  createAPI<Params = Record<string, string>, Query = Record<string, string | string[]>, Body = any>(
    options: EndpointOptions<Params, Query, Body>,
  ): Component;

  /**
   * Declares a component that maps an input to an output: by calls, and by HTTP POST with JSON.
   *
   *     ELIAS.createComponent({ name: "double", process: (n: number) => 2 * n });
   *
   * The default name is that of package.json.
   */
  createComponent<Input = any, Output = unknown>(options: { name?: string } & ProcessOptions<Input, Output>): Component<Input, Output>;

  /**
   * Declares a named component; `implement` takes `process`, or the handlers of a default export.
   *
   *     ELIAS.component("greeter").implement({ fetch: () => new Response("hello") });
   *
   * Further variants follow as `.stage2().implement({ ... })`, up to stage16. Each variant is built as a component of its own, and
   * may also be in a module of its own: `ELIAS.component("greeter").stage2().implement({ ... })`.
   */
  component(name: string): Stage<1>;

  /** An error that a handler throws to respond with a status and a problem document (RFC 9457). */
  readonly HttpError: typeof HttpError;
}

/** A variant of a component by its number. `implement` declares it; a later variant leaves it to another module. */
export type Stage<Number extends number> = LaterStages<Number> & {
  implement<Input = any, Output = unknown>(handlers: Component | ProcessOptions<Input, Output>): Component & LaterStages<Number>;
};

/** The variants after `Number`: `stage2()` for the second one, up to `stage16()`. */
export type LaterStages<Number extends number> = { readonly [Next in After[Number & keyof After] as `stage${Next}`]: () => Stage<Next> };

interface After {
  1: 2 | After[2]; 2: 3 | After[3]; 3: 4 | After[4]; 4: 5 | After[5]; 5: 6 | After[6]; 6: 7 | After[7]; 7: 8 | After[8]; 8: 9 | After[9];
  9: 10 | After[10]; 10: 11 | After[11]; 11: 12 | After[12]; 12: 13 | After[13]; 13: 14 | After[14]; 14: 15 | After[15]; 15: 16; 16: never;
}

/** An error that a handler throws to respond with its `status`, from 400 to 599, and its message. */
export class HttpError extends Error {
  constructor(status: number, message?: string, options?: ErrorOptions & { code?: string });
  readonly status: number;
  /** The problem document's `code`. */
  readonly code: string;
}

export const ELIAS: Forms;
export const createAPI: Forms["createAPI"];
export const createComponent: Forms["createComponent"];
export const component: Forms["component"];
