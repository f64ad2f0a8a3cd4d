// fetch. https://fetch.spec.whatwg.org/#fetch-method (5.6), #http-redirect-fetch (4.4)
import native from "elias:native";
import { registry } from "../internal/registry.js";
import { Body, Puller, pullBody } from "./body.js";
import { getFromList, headerListOf } from "./headers.js";
import { Request, blobOf, bodyOf, signalOf } from "./request.js";
import { isRedirectStatus, responseFromHost } from "./response.js";

const REDIRECTS_MAX = 20;
// Headers for the origin of the request, which a redirect to another origin does not get.
const ORIGIN_HEADERS = ["authorization", "cookie", "proxy-authorization"];
const BODY_HEADERS = ["content-encoding", "content-language", "content-location", "content-type", "content-length"];

/** The meaning of the host's stable error names; see `refuse` in the native half. */
const REASONS = {
  denied: (url) => `it is not allowed; to allow it, add "${url[10]}" to \`allow\` in [capabilities.http] of elias.toml`,
  "private-address": (url) =>
    `${url[5]} has no public address; to reach a private one, add its network to \`private\` in [capabilities.http] of elias.toml`,
  "bad-url": () => "the URL must have a valid host, and no user name or password",
  "dns-error": (url) => `the name ${url[5]} cannot be resolved`,
  "connection-refused": () => "the connection was refused",
  "connect-timeout": () => "the connection took too long",
  "connection-lost": () => "the connection was lost",
  "too-many-requests": () => "too many requests are open",
  "tls-error": () => "the server's certificate or its TLS is not accepted",
  timeout: () => "the response took too long",
  "request-too-large": () => "the request's body is larger than it may be",
  "response-too-large": () => "the response is larger than it may be",
  unreachable: () => "the server cannot be reached",
};

function explain(error, url) {
  const code = REASONS[error?.message] === undefined ? "network-error" : error.message;
  const failed = "the exchange with the server failed";
  // Anything but a stable name is an error of the engine itself.
  const reason = REASONS[code]?.(url) ?? (error?.message === code ? failed : `${failed}: ${error?.message}`);
  const explained = new TypeError(`fetch of ${url[10]}${url[7]} failed: ${reason}`);
  explained.code = code;
  return explained;
}

/** The body of a response that the host still has. */
class Incoming extends Puller {
  givesOwn = true;
  #id;
  #url;
  #cleanUp;
  /** Ends the read that is under way. */
  #fail = () => {};
  /** { error } when it was aborted. */
  #aborted = undefined;
  #ended = false;

  constructor(id, url, cleanUp) {
    super();
    this.#id = id;
    this.#url = url;
    this.#cleanUp = cleanUp;
  }

  async read() {
    if (this.#aborted !== undefined) throw this.#aborted.error;
    if (this.#ended) return null;
    try {
      const chunk = await new Promise((resolve, reject) => {
        this.#fail = reject;
        native.fetchRead(this.#id).then(resolve, reject);
      });
      if (chunk === null) this.#end();
      return chunk;
    } catch (error) {
      this.#end();
      throw this.#aborted === undefined ? explain(error, this.#url) : error;
    }
  }

  cancel() {
    native.fetchEnd(this.#id);
    this.#end();
  }

  abort(error) {
    if (this.#ended) return;
    this.#aborted = { error };
    this.#fail(error);
  }

  #end() {
    this.#ended = true;
    this.#cleanUp();
  }
}

export async function fetch(input, init = undefined, toHost = false) {
  if (arguments.length === 0) throw new TypeError("fetch needs a URL or a Request");
  const request = new Request(input, init);
  // In a test, its fakes respond.
  if (registry.fakeFetch !== undefined && toHost !== true && /^https?:/.test(request.url)) return registry.fakeFetch(request);
  if (request.integrity !== "") {
    // A request whose integrity is not checked must not look as if it had been.
    throw new TypeError("fetch does not check the option integrity; leave it out, and compare the digest of the body");
  }
  const signal = signalOf(request);
  let body = bodyOf(request);
  if (signal?.aborted) {
    // It may be locked, and then it is its reader's.
    body?.stream?.cancel(signal.reason).catch(() => {});
    throw signal.reason;
  }
  body?.take();
  let method = request.method;
  let url = native.parseUrl(request.url, undefined);
  if (url[1] === "data:") return fetchData(url, method);
  if (url[1] === "blob:") return fetchBlob(url, method, blobOf(request), request.headers.get("range"));
  let headers = Array.from(headerListOf(request.headers));
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

/** "Scheme fetch" (4.2) for data: and blob:, which need no network. */
function fetchData(url, method) {
  const data = native.dataUrl(url[0]);
  if (data === null) throw new TypeError("fetch failed: the data: URL is malformed");
  return localResponse(200, "OK", ["content-type", data[0]], data[1], method, url);
}

function fetchBlob(url, method, blob, range) {
  if (method !== "GET") throw new TypeError(`fetch of ${url[0]} failed: a blob: URL can only be read with GET`);
  if (blob === undefined) throw new TypeError(`fetch of ${url[0]} failed: it was revoked, or is of another instance`);
  const bytes = registry.bytesOfBlob(blob);
  const headers = ["content-length", `${bytes.length}`, "content-type", blob.type];
  if (range === null) return localResponse(200, "OK", headers, bytes, method, url);
  const [, first, last] = /^bytes[\t ]*=[\t ]*(\d*)[\t ]*-[\t ]*(\d*)$/.exec(range) ?? [];
  if ((first ?? "") === "" && (last ?? "") === "") throw new TypeError(`fetch of ${url[0]} failed: the range is malformed`);
  const start = first === "" ? Math.max(0, bytes.length - Number(last)) : Number(first);
  const end = first === "" || last === "" ? bytes.length - 1 : Math.min(Number(last), bytes.length - 1);
  if (start > end) throw new TypeError(`fetch of ${url[0]} failed: the range is not within its ${bytes.length} bytes`);
  const part = bytes.subarray(start, end + 1);
  const partial = ["content-length", `${part.length}`, "content-type", blob.type, "content-range", `bytes ${start}-${end}/${bytes.length}`];
  return localResponse(206, "Partial Content", partial, part, method, url);
}

function localResponse(status, statusText, headers, bytes, method, url) {
  const body = method === "HEAD" ? null : new Body(bytes, undefined);
  return responseFromHost(status, headers, body, url[0], false, statusText);
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
    // Servers ask for a length where the method leads them to expect a body (Fetch 4.6, "contentLength").
    else if (body === null && (method === "POST" || method === "PUT")) headers = [...without(headers, ["content-length"]), "content-length", "0"];
    id = native.fetchStart(method, parts, headers, whole, body !== null && !body.whole);
  } catch (error) {
    throw explain(error, url);
  }
  let cleanUp = () => {};
  let endBody = () => {};
  let refused;
  const incoming = new Incoming(id, url, () => cleanUp());
  const head = new Promise((resolve, reject) => {
    const fail = (error) => {
      native.fetchEnd(id);
      cleanUp();
      reject(error);
    };
    if (signal !== undefined) {
      const abort = () => {
        fail(signal.reason);
        endBody(signal.reason);
        incoming.abort(signal.reason);
      };
      signal.addEventListener("abort", abort);
      cleanUp = () => signal.removeEventListener("abort", abort);
    }
    native.fetchResponse(id).then(resolve, (error) => fail((refused = error)));
    if (body !== null && !body.whole) send(id, body, (end) => (endBody = end)).catch(fail);
  });
  try {
    const [status, ...list] = await head;
    return [Number(status), list, incoming];
  } catch (error) {
    // Explained here and not in the callback, so that the stack says who waits for this.
    throw error !== undefined && error === refused ? explain(error, url) : error;
  }
}

async function send(id, body, started) {
  await pullBody(body, (chunk) => native.fetchWrite(id, chunk), started);
  native.fetchFinish(id);
}

Object.defineProperty(globalThis, "fetch", { value: fetch, writable: true, enumerable: true, configurable: true });
registry.fetch = fetch;
