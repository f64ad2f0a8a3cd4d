// A fake of the host functions, made with Node's own web APIs before ours replace them.
import { MIMEType, inspect } from "node:util";
import "./originals.mjs";

const { URL, URLSearchParams, TextEncoder, TextDecoder, setTimeout, setInterval, clearTimeout } = globalThis.originals;
const NodeBuffer = Buffer;
const encoder = new TextEncoder();
const PARTS = ["href", "protocol", "username", "password", "host", "hostname", "port", "pathname", "search", "hash", "origin"];
const partsOf = (url) => PARTS.map((part) => url[part]);


// As they are before a test damages them.
const uncurryThis = (method) => Function.prototype.call.bind(method);
const exec = uncurryThis(RegExp.prototype.exec);
const slice = uncurryThis(String.prototype.slice);
const toLowerCase = uncurryThis(String.prototype.toLowerCase);
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const NO_VALUE = /[\0\r\n\u0100-\uffff]/;
const isSpace = (character) => character === " " || character === "\t" || character === "\r" || character === "\n";

/** As the engine has them. */
function nativePairIterators(name, prototype, pairsOf) {
  const states = new WeakMap();
  const iterate = (target, select) => {
    pairsOf(target);
    const iterator = Object.create(prototype);
    states.set(iterator, { target, select, index: 0 });
    return iterator;
  };
  const methods = {
    next() {
      const state = states.get(this);
      if (state === undefined) throw new TypeError(`not a ${name} Iterator`);
      const pairs = pairsOf(state.target);
      const at = state.index;
      if (at >= pairs.length) return { value: undefined, done: true };
      state.index = at + 2;
      return { value: state.select(pairs[at], pairs[at + 1]), done: false };
    },
    entries() {
      return iterate(this, (key, value) => [key, value]);
    },
    keys() {
      return iterate(this, (key) => key);
    },
    values() {
      return iterate(this, (_, value) => value);
    },
  };
  return methods;
}

const native = {
  // Inputs that a test sets, and outputs that it looks at.
  incoming: { method: "GET", url: "http://localhost/", headers: [], chunks: [] },
  input: "null",
  handlers: {},
  calls: [],
  logs: [],
  /** Set by a test to make the reader of the response slow: called for each chunk. */
  onWrite: () => {},

  register: (kind, handler) => void (native.handlers[kind] = handler),
  nativeConsoleMethod: (script) => script,
  nativeLogMethod: (script) => script,
  logIndented: () => {},
  logScripted: () => {},
  dbControl: () => {},
  dbEnd: () => {},
  beginSpan: () => 0,
  endSpan: () => {},
  log: (level, message, json) => void native.logs.push({ level, message, json }),
  onUncaught: (hook) => void (native.uncaught = hook),
  reportException(error) {
    if (!native.uncaught?.("error", error)) native.logs.push({ level: 4, message: `Uncaught ${error}`, json: "[]" });
  },
  queueTask: (run) => void setTimeout(run, 0),
  setTimer: (run, delay, repeat) => Number((repeat ? setInterval : setTimeout)(run, delay)),
  clearTimer: (id) => clearTimeout(id),
  now: () => Number(process.hrtime.bigint()) / 1e6,
  utf8Encode: (text) => new Uint8Array(encoder.encode(text)),
  utf8EncodeInto: (text, target) => Object.values(encoder.encodeInto(text, target)),
  utf8Decode: (bytes, fatal, ignoreBOM) => new TextDecoder("utf-8", { fatal, ignoreBOM }).decode(bytes),
  textEncode: (text, encoding) => Uint8Array.from(NodeBuffer.from(text, encoding)),
  textDecode: (bytes, encoding) => NodeBuffer.from(bytes).toString(encoding),
  randomFill: (bytes) => void bytes.forEach((_, at) => (bytes[at] = (at * 37 + 11) & 0xff)),
  parseUrl: (input, base) => (URL.canParse(input, base) ? partsOf(new URL(input, base)) : null),
  serializeUrl: (input, base) => (URL.canParse(input, base) ? new URL(input, base).href : null),
  urlPart: (href, part) => new URL(href)[PARTS[part]],
  urlParams: (href) => [...new URL(href).searchParams].flat(),
  headerName: (name) => (exec(TOKEN, name) === null ? undefined : toLowerCase(name)),
  headerValue(value) {
    let start = 0;
    let end = value.length;
    while (start < end && isSpace(value[start])) start++;
    while (start < end && isSpace(value[end - 1])) end--;
    const trimmed = slice(value, start, end);
    return exec(NO_VALUE, trimmed) === null ? trimmed : undefined;
  },
  // The engine calls handlers, and makes and sends plain responses, without a script.
  responseConstructor: (cls) => Object.defineProperty(cls, "name", { value: "Response" }),
  nativeUrlConstructor: (cls) => cls,
  nativePairIterators,
  nativeUrlMember: (script) => script,
  fetchHandler: () => {},
  fetchEnv: () => {},
  keepShapes: () => {},
  setUrl(href, part, value) {
    const url = new URL(href);
    url[part] = value;
    return url.href === href ? null : partsOf(url);
  },
  mimeType(header) {
    try {
      const mime = new MIMEType(header);
      return [`${mime}`, mime.essence, mime.params.get("charset"), mime.params.get("boundary")];
    } catch {
      return null;
    }
  },
  /** Only for what is well formed; malformed bodies are tested with the engine. */
  parseMultipart(bytes, boundary) {
    const text = Buffer.from(bytes).toString("latin1");
    return text.split(`--${boundary}`).slice(1, -1).flatMap((part) => {
      const end = part.indexOf("\r\n\r\n");
      const header = Buffer.from(part.slice(0, end), "latin1").toString();
      const value = (pattern) => pattern.exec(header)?.[1] ?? null;
      const body = Uint8Array.from(Buffer.from(part.slice(end + 4, -2), "latin1"));
      return [value(/ name="(.*?)"/), value(/filename="(.*?)"/), value(/Content-Type: (.*)/i), body];
    });
  },
  dataUrl(url) {
    const [, type, data] = /^data:(.*?),(.*)$/.exec(url) ?? [];
    return type === undefined ? null : [type || "text/plain;charset=US-ASCII", native.utf8Encode(decodeURIComponent(data))];
  },
  formDecode: (text) => [...new URLSearchParams(`&${text}`)].flat(),
  formEncode(flat) {
    const params = new URLSearchParams();
    for (let at = 0; at < flat.length; at += 2) params.append(flat[at], flat[at + 1]);
    return params.toString();
  },
  nativeRequestGetter: (script) => script,
  requestMethod: () => native.incoming.method,
  requestUrl: () => native.incoming.url,
  requestHeaders: () => native.incoming.headers,
  requestHeader(name) {
    const lower = native.headerName(name);
    if (lower === undefined) return undefined;
    let value = null;
    const { headers } = native.incoming;
    for (let at = 0; at < headers.length; at += 2) {
      if (headers[at] === lower) value = value === null ? headers[at + 1] : `${value}, ${headers[at + 1]}`;
    }
    return value;
  },
  // A body is read in chunks here.
  requestBodyNow: () => undefined,
  async requestBodyRead() {
    const chunk = native.incoming.chunks.shift() ?? null;
    if (chunk instanceof Error) throw chunk;
    return typeof chunk === "string" ? native.utf8Encode(chunk) : chunk;
  },
  requestBodyCancel: () => void native.calls.push(["cancel"]),
  requestHasBody: () => native.incoming.chunks.length > 0,
  responseWhole: (status, headers, body) => void native.calls.push(["whole", status, Array.from(headers), body]),
  responseStream(status, headers) {
    native.calls.push(["stream", status, Array.from(headers)]);
    return native.incoming.method !== "HEAD";
  },
  async responseWrite(chunk) {
    native.calls.push(["write", native.utf8Decode(chunk, false, false)]);
    await native.onWrite();
  },
  responseEnd: () => void native.calls.push(["end"]),
  responseFail: (error) => void native.calls.push(["fail", String(error)]),
  callInput: () => native.input,
  callOutput: (json) => void native.calls.push(["output", json]),
  waitUntil: (promise) => void native.calls.push(["waitUntil", promise]),
  retryMessage: (after, reason) => void native.calls.push(["retry", after, reason]),
  rejectMessage: (reason) => void native.calls.push(["reject", reason]),
  workerTurns: (find, begin, finish) => void (native.worker = { find, begin, finish }),
  beginTurn: (...values) => void (native.turn = values),
  fireTimer: () => {},
  swapCode: (code, source) => native.swapped(code, source),
  async workersCall(...call) {
    native.calls.push(["workersCall", ...call]);
    return native.workerAnswer;
  },
  suspend: () => void native.calls.push(["suspend"]),
  /** Node tells no script what is behind a proxy, but that nothing is: Array.isArray throws for a revoked one. */
  proxyTarget(value) {
    try {
      Array.isArray(value);
      return undefined;
    } catch {
      return [null];
    }
  },
  /** Node shows what a promise came to, and gives it to no script: a text stands for it. */
  promiseState(promise) {
    const [, state, result] = /^\w+ \{\s+(<\w+>)?\s*([^,}]*)/.exec(inspect(promise));
    const shown = { [inspect.custom]: () => result.trim() };
    return [{ "<pending>": "pending", "<rejected>": "rejected" }[state] ?? "fulfilled", shown];
  },
  /** As of a promise: a text stands for the items. */
  iteratorRest(value) {
    const found = /^\[(\w+) (Iterator|Entries)\] \{ (.*) \}$/s.exec(inspect(value));
    if (found === null) return undefined;
    return [found[1], found[2] === "Entries", found[3] === "" ? [] : [{ [inspect.custom]: () => found[3] }]];
  },
  environmentAtBuild: () => false,
  builtinModule: () => undefined,
  configKeys: () => ["GREETING"],
  configGet: (key) => ({ GREETING: "hello" })[key],
  flagsEvaluate: () => ({ errorCode: "FLAG_NOT_FOUND", errorMessage: "there are no flags" }),
  execution: () => ({ id: "execution-1", remainingMs: 1000 }),
  // It follows calls only; what follows promises is the engine's, and tested with it.
  asyncContext: () => native.context,
  setAsyncContext: (context) => void (native.context = context),
  bindAsyncContext: (callback) => callback,
};

export default native;
