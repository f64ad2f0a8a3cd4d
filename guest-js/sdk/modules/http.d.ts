// elias/http: `fetch`, and a function for each common method.

/** A failed `fetch`. */
export interface FetchError extends TypeError {
  /** The reason, as a stable name; `docs/reference/capabilities/http.md` lists them. */
  readonly code: string;
}

/** `fetch`, and a function for each common method. The global `fetch` needs no import. */
export interface Http {
  fetch: typeof fetch;
  get(url: string | URL, options?: RequestInit): Promise<Response>;
  delete(url: string | URL, options?: RequestInit): Promise<Response>;
  /** Sends `value` as JSON; so do `put` and `patch`. */
  post(url: string | URL, value: unknown, options?: RequestInit): Promise<Response>;
  put(url: string | URL, value: unknown, options?: RequestInit): Promise<Response>;
  patch(url: string | URL, value: unknown, options?: RequestInit): Promise<Response>;
  /** Fetches a URL and parses its JSON; throws a TypeError if the status is not 2xx. */
  json<T = unknown>(url: string | URL, options?: RequestInit): Promise<T>;
}

export const http: Http;
