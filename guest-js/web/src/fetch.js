// fetch. https://fetch.spec.whatwg.org/#fetch-method (5.6), #http-redirect-fetch (4.4)
import native from "elias:native";
import { Body, Puller, pullBody } from "./body.js";
import { getFromList, headerListOf } from "./headers.js";
import { registry } from "./registry.js";
import { Request, bodyOf, signalOf } from "./request.js";
import { responseFromHost } from "./response.js";

const REDIRECTS_MAX = 20;
const isRedirectStatus = (s) => s === 301 || s === 302 || s === 303 || s === 307 || s === 308;
// What belongs to the origin that a request was for, and not to where it is redirected.
const ORIGIN_HEADERS = ["authorization", "cookie", "proxy-authorization"];
const BODY_HEADERS = ["content-encoding", "content-language", "content-location", "content-type", "content-length"];

/** What the host's stable names mean; see `refuse` in the native half. */
const REASONS = {
  denied: (url) => `it is not allowed; to allow it, add "${url[10]}" to \`allow\` in [capabilities.http] of elias.toml`,
  "private-address": (url) =>
    `${url[5]} has no public address; to reach a private one, add its network to \`private\` in [capabilities.http] of elias.toml`,
  "bad-url": () => "the URL has a user name or password, or a host that is no host",
  "dns-error": (url) => `the name ${url[5]} cannot be resolved`,
  "connection-refused": () => "the connection was refused",
  "connect-timeout": () => "the connection took too long",
  "connection-lost": () => "the connection was lost",
  "too-many-requests": () => "too many requests are open",
  "tls-error": () => "the server's certificate or its TLS is not accepted",
  timeout: () => "the answer took too long",
  "request-too-large": () => "the request's body is larger than it may be",
  "response-too-large": () => "the response is larger than it may be",
  unreachable: () => "the server cannot be reached",
};

function explain(error, url) {
  const code = REASONS[error?.message] === undefined ? "network-error" : error.message;
  const reason = REASONS[code]?.(url) ?? "the exchange with the server failed";
  const explained = new TypeError(`fetch of ${url[10]}${url[7]} failed: ${reason}`);
  explained.code = code;
  return explained;
}

/** The body of a response that the host still has. */
class Incoming extends Puller {
  #id;
  #url;
  #cleanUp;

  constructor(id, url, cleanUp) {
    super();
    this.#id = id;
    this.#url = url;
    this.#cleanUp = cleanUp;
  }

  async read() {
    try {
      const chunk = await native.fetchRead(this.#id);
      if (chunk === null) this.#cleanUp();
      return chunk;
    } catch (error) {
      this.#cleanUp();
      throw explain(error, this.#url);
    }
  }

  cancel() {
    native.fetchEnd(this.#id);
    this.#cleanUp();
  }
}

export async function fetch(input, init = undefined) {
  if (arguments.length === 0) throw new TypeError("fetch needs a URL or a Request");
  const request = new Request(input, init);
  const signal = init?.signal === undefined ? signalOf(request) : (init.signal ?? undefined);
  if (signal?.aborted) throw signal.reason;
  let body = bodyOf(request);
  body?.take();
  let method = request.method;
  let url = native.parseUrl(request.url, undefined);
  let headers = headerListOf(request.headers).slice();
  if (getFromList(headers, "accept") === null) headers.push("accept", "*/*");
  if (getFromList(headers, "user-agent") === null) headers.push("user-agent", "ELIAS");
  for (let redirects = 0; ; redirects++) {
    const [status, list, incoming] = await exchange(method, url, headers, body, signal);
    const location = isRedirectStatus(status) && request.redirect !== "manual" ? getFromList(list, "location") : null;
    if (location === null) {
      const empty = method === "HEAD" || status === 204 || status === 205 || status === 304;
      if (empty) incoming.cancel();
      return responseFromHost(status, list, empty ? null : new Body(incoming, undefined), url[0], redirects > 0);
    }
    incoming.cancel();
    if (request.redirect === "error") throw new TypeError(`fetch of ${url[0]} failed: it was redirected`);
    if (redirects === REDIRECTS_MAX) throw new TypeError(`fetch failed: more than ${REDIRECTS_MAX} redirects`);
    const next = native.parseUrl(location, url[0]);
    if (next === null || (next[1] !== "http:" && next[1] !== "https:")) {
      throw new TypeError(`fetch of ${url[0]} failed: it was redirected to ${JSON.stringify(location)}`);
    }
    if (((status === 301 || status === 302) && method === "POST") || (status === 303 && method !== "GET" && method !== "HEAD")) {
      method = "GET";
      body = null;
      headers = without(headers, BODY_HEADERS);
    } else if (body !== null && !body.whole) {
      throw new TypeError(`fetch of ${url[0]} failed: it was redirected, and its streamed body cannot be sent again`);
    }
    if (next[10] !== url[10]) headers = without(headers, ORIGIN_HEADERS);
    url = next;
  }
}

function without(list, names) {
  const kept = [];
  for (let at = 0; at < list.length; at += 2) {
    if (!names.includes(list[at].toLowerCase())) kept.push(list[at], list[at + 1]);
  }
  return kept;
}

/** One request, and the status, the header list and the body of its response. */
async function exchange(method, url, headers, body, signal) {
  if (url[1] !== "http:" && url[1] !== "https:") throw new TypeError(`fetch cannot use the scheme ${url[1]}`);
  const whole = body === null ? null : body.whole ? body.source : null;
  const parts = [url[1], url[4], url[7] + url[8]];
  let id;
  try {
    if (body?.whole) headers = [...without(headers, ["content-length"]), "content-length", `${body.bytes.length}`];
    id = native.fetchStart(method, parts, headers, whole, body !== null && !body.whole);
  } catch (error) {
    throw explain(error, url);
  }
  let cleanUp = () => {};
  const head = new Promise((resolve, reject) => {
    if (signal !== undefined) {
      const abort = () => {
        native.fetchEnd(id);
        reject(signal.reason);
      };
      signal.addEventListener("abort", abort);
      cleanUp = () => signal.removeEventListener("abort", abort);
    }
    native.fetchResponse(id).then(resolve, (error) => {
      native.fetchEnd(id);
      cleanUp();
      reject(explain(error, url));
    });
    if (body !== null && !body.whole) {
      send(id, body).catch((error) => {
        native.fetchEnd(id);
        cleanUp();
        reject(error);
      });
    }
  });
  const [status, ...list] = await head;
  return [Number(status), list, new Incoming(id, url, cleanUp)];
}

async function send(id, body) {
  await pullBody(body, (chunk) => native.fetchWrite(id, chunk));
  native.fetchFinish(id);
}

Object.defineProperty(globalThis, "fetch", { value: fetch, writable: true, enumerable: true, configurable: true });
registry.fetch = fetch;
