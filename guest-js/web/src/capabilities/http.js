// The module `elias/http`: `fetch`, and a function for each common method.
import { fetch } from "../fetch/fetch.js";

const send = (method) => (url, options = undefined) => fetch(url, { ...options, method });

function sendJson(method) {
  return (url, value, options = undefined) => {
    const headers = { "content-type": "application/json", ...options?.headers };
    return fetch(url, { ...options, method, headers, body: JSON.stringify(value) });
  };
}

export const http = {
  fetch,
  get: send("GET"),
  delete: send("DELETE"),
  post: sendJson("POST"),
  put: sendJson("PUT"),
  patch: sendJson("PATCH"),
  /** The JSON at a URL; a TypeError if the status is not 2xx. */
  async json(url, options = undefined) {
    const response = await fetch(url, options);
    if (!response.ok) {
      await response.body?.cancel();
      throw new TypeError(`${url} answered ${response.status}`);
    }
    return response.json();
  },
};
