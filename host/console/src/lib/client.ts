// The admin API under /v1, by the types of its OpenAPI document.

import createClient from "openapi-fetch";
import type { components, paths } from "../api/schema";
import { API, isDevelopment } from "./base";
import { session } from "./session.svelte";
import type { Reason } from "./why";

export type Schemas = components["schemas"];
export type Environment = Schemas["Environment"];

/** A page of a list. */
export interface Page<Row> {
  items: Row[];
  next?: string | null;
  names?: Record<string, string>;
  /** Why the list as a whole is not as it should be. */
  reasons?: (Reason | undefined)[];
}

/** A request that the server refused, or that did not reach it (`code` is `unreachable` then). */
export class ApiError extends Error {
  readonly code: string;
  readonly status: number;

  constructor(code: string, status: number, detail: string) {
    super(detail);
    this.name = "ApiError";
    this.code = code;
    this.status = status;
  }
}

/** The error of whatever was thrown. */
export function apiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  // `fetch` throws a TypeError if no response came.
  if (error instanceof TypeError) return new ApiError("unreachable", 0, error.message);
  return new ApiError("console", 0, error instanceof Error ? error.message : String(error));
}

// The key makes one request of a POST that is sent again, after a new sign-in for one.
async function send(request: Request): Promise<Response> {
  if (request.method === "POST" && !request.headers.has("idempotency-key")) {
    request.headers.set("idempotency-key", crypto.randomUUID());
  }
  // A development server takes changes by this header, which no page of another origin can add.
  if (isDevelopment) request.headers.set("elias-console", "1");
  for (;;) {
    const again = request.clone();
    const response = await fetch(request);
    if (response.status !== 401) return response;
    await session.renewed();
    request = again;
  }
}

export const api = createClient<paths>({ baseUrl: (globalThis.location?.origin ?? "") + API, fetch: send });

interface Result<Data> {
  data?: Data | undefined;
  error?: unknown;
  response: Response;
}

/** The content of a response, or an {@link ApiError}. */
export async function take<Data>(result: Promise<Result<Data>>): Promise<Data> {
  const { data, error, response } = await result.catch((failure: unknown) => {
    throw apiError(failure);
  });
  if (!response.ok) {
    const problem = (typeof error === "object" ? error : undefined) as Partial<Schemas["ProblemDocument"]> | undefined;
    throw new ApiError(
      problem?.code ?? "bad-answer",
      response.status,
      problem?.detail ?? `${response.status} ${response.statusText}`,
    );
  }
  return data as Data;
}

/** Headers that make a change fail with `stale` if the record was changed since it was read. */
export function ifMatch(revision: number): { "if-match": string } {
  return { "if-match": `"${revision}"` };
}

/** A stream of the admin API, such as the log of a service, from after the event `last` on if that is given. */
export async function stream(address: string, signal: AbortSignal, last: string): Promise<Response> {
  const headers = { accept: "text/event-stream", ...(last === "" ? {} : { "last-event-id": last }) };
  return send(new Request(API + address, { headers, signal }));
}

/** A request to a path that is not of the admin API: the content of its response, or an {@link ApiError}. */
export async function call<Data = void>(method: "GET" | "POST" | "DELETE", address: string): Promise<Data> {
  const request = new Request(new URL(address, globalThis.location.href), { method });
  const content = send(request).then(async (response) => {
    const text = await response.text();
    const body: unknown = text === "" ? undefined : JSON.parse(text);
    return response.ok ? { data: body as Data, response } : { error: body, response };
  });
  return take<Data>(content);
}

/** An address below `/v1` from its parts, for what the client made of the OpenAPI document does not read: streams. */
export const address = (...parts: string[]): string =>
  `/v1${parts.map((part) => `/${encodeURIComponent(part)}`).join("")}`;

/** All pages of a list up to `most` rows, for choices. */
export async function all<Row>(load: (after: string | undefined) => Promise<Page<Row>>, most = 1_000): Promise<Row[]> {
  const rows: Row[] = [];
  let after: string | undefined;
  do {
    const page = await load(after);
    rows.push(...page.items);
    after = page.next ?? undefined;
  } while (after !== undefined && rows.length < most);
  return rows;
}
