import type { Component, Env, ExecutionContext, Json, MaybePromise } from "../index.js";

/**
 * Checks a value and gives what it is: a function that throws, a Standard Schema (zod, valibot, arktype), or an object
 * with a method `parse`.
 */
export type Schema<Value> =
  | ((value: any) => MaybePromise<Value>)
  | { parse(value: unknown): MaybePromise<Value> }
  | { readonly "~standard": { validate(value: unknown): MaybePromise<{ value: Value } | { issues: readonly unknown[] }> } };

/** What the handler of an endpoint is given. */
export interface EndpointInput<Params = Record<string, string>, Query = Record<string, string | string[]>, Body = any> {
  readonly method: string;
  readonly url: URL;
  readonly headers: Headers;
  /** The parts of the path that the endpoint names, percent-decoded. */
  readonly params: Params;
  /** The query's values by name; a list where a name occurs more than once. */
  readonly query: Query;
  /** The parsed body, if the request's content type is JSON. */
  readonly body: Body;
  /** The request itself; its body is used up if it was JSON. */
  readonly request: Request;
  readonly env: Env;
}

/** What a component is made with. */
export interface Dependent {
  /** Packages with their versions, such as "lodash@4.17.21": the build fails if others are bundled. */
  dependencies?: readonly `${string}@${string}`[];
}

/** An endpoint and its handler. */
export interface EndpointOptions<Params, Query, Body> extends Dependent {
  /** `"GET /users/:id"`: GET if no method is named; `:name` is one segment, `*name` at the end is all that is left. */
  endpoint: string | { method?: string; path: string };
  /** Checks the path's parameters; a request that fails is answered with 422. */
  params?: Schema<Params>;
  /** Checks the query. */
  query?: Schema<Query>;
  /** Checks the body, which must then be JSON. */
  body?: Schema<Body>;
  /** Answers: with a Response, or with a value that becomes JSON; undefined becomes 204. */
  handler(input: EndpointInput<Params, Query, Body>, ctx: ExecutionContext): MaybePromise<Response | Json | object | undefined | void>;
}

/** What makes an output of an input. */
export interface ProcessOptions<Input, Output> extends Dependent {
  /** Checks the input; one that fails is answered with 422, and a call with an exception. */
  input?: Schema<Input>;
  /** Checks the output; one that fails is a defect of the component. */
  output?: Schema<Output>;
  process(input: Input, ctx: ExecutionContext, env: Env): MaybePromise<Output>;
}

/** Other ways to say what a component handles. A module makes one component; it needs no default export then. */
export interface Forms {
  /**
   * Adds an endpoint. All of a module are one router, which answers 404, 405 and OPTIONS by itself.
   *
   *     ELIAS.createAPI({ endpoint: "GET /users/:id", handler: ({ params }) => ({ id: params.id }) });
   */
  createAPI<Params = Record<string, string>, Query = Record<string, string | string[]>, Body = any>(
    options: EndpointOptions<Params, Query, Body>,
  ): Component;

  /**
   * A component that makes an output of an input: by calls, and by HTTP POST with JSON.
   *
   *     ELIAS.createComponent({ name: "double", process: (n: number) => 2 * n });
   *
   * Without a name it has that of package.json.
   */
  createComponent<Input = any, Output = unknown>(options: { name?: string } & ProcessOptions<Input, Output>): Component<Input, Output>;

  /**
   * A named component; `implement` takes `process`, or the handlers of a default export.
   *
   *     ELIAS.component("greeter").implement({ fetch: () => new Response("hello") });
   *
   * Other implementations follow as `.stage2().implement({ ... })`, up to stage16. Each is built as a component of its own, and may also be
   * in a module of its own: `ELIAS.component("greeter").stage2().implement({ ... })`.
   */
  component(name: string): Stage<1>;

  /** An error that a handler throws to answer with a status and a problem document (RFC 9457). */
  readonly HttpError: typeof HttpError;
}

/** The implementation of a component with this number, which is to be given; or one after it, with this one left to another module. */
export type Stage<Number extends number> = LaterStages<Number> & {
  implement<Input = any, Output = unknown>(handlers: Component | ProcessOptions<Input, Output>): Component & LaterStages<Number>;
};

/** After `Number`: `stage2()` for the second implementation, up to `stage16()`. */
export type LaterStages<Number extends number> = { readonly [Next in After[Number & keyof After] as `stage${Next}`]: () => Stage<Next> };

interface After {
  1: 2 | After[2]; 2: 3 | After[3]; 3: 4 | After[4]; 4: 5 | After[5]; 5: 6 | After[6]; 6: 7 | After[7]; 7: 8 | After[8]; 8: 9 | After[9];
  9: 10 | After[10]; 10: 11 | After[11]; 11: 12 | After[12]; 12: 13 | After[13]; 13: 14 | After[14]; 14: 15 | After[15]; 15: 16; 16: never;
}

/** An error that a handler throws to answer with its `status`, from 400 to 599, and its message. */
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
