/** A failed `fetch`. */
export interface FetchError extends TypeError {
  /** Why, as a name that stays the same; `docs/reference/capabilities/http.md` lists them. */
  readonly code: string;
}

/** `fetch` with less to write around it. The global `fetch` needs no import. */
export interface Http {
  fetch: typeof fetch;
  get(url: string | URL, options?: RequestInit): Promise<Response>;
  delete(url: string | URL, options?: RequestInit): Promise<Response>;
  /** Sends `value` as JSON. */
  post(url: string | URL, value: unknown, options?: RequestInit): Promise<Response>;
  put(url: string | URL, value: unknown, options?: RequestInit): Promise<Response>;
  patch(url: string | URL, value: unknown, options?: RequestInit): Promise<Response>;
  /** The JSON at a URL; a TypeError for an answer that is not 2xx. */
  json<T = unknown>(url: string | URL, options?: RequestInit): Promise<T>;
}

export const http: Http;
