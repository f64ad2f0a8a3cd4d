// The areas of web-platform-tests that are run, those that are left out, and the reasons for failures.

/**
 * The areas: a name, and the folders whose files belong to it, less those `without`. `offered` are those whose APIs
 * ELIAS means to have. Of the others it passes what happens to pass, and a second mean has them in it.
 */
export const AREAS = [
  { name: "WebCryptoAPI", folders: ["WebCryptoAPI"], offered: true },
  { name: "encoding", folders: ["encoding"], offered: true },
  { name: "url", folders: ["url"], offered: true },
  { name: "urlpattern", folders: ["urlpattern"], offered: true },
  { name: "streams", folders: ["streams"], offered: true },
  { name: "compression", folders: ["compression"], offered: true },
  { name: "FileAPI", folders: ["FileAPI"], offered: true },
  { name: "fetch/api/request", folders: ["fetch/api/request"], offered: true },
  { name: "fetch/api/response", folders: ["fetch/api/response"], offered: true },
  { name: "fetch/api/headers", folders: ["fetch/api/headers"], offered: true },
  { name: "fetch/api/body", folders: ["fetch/api/body"], offered: true },
  { name: "fetch/api/abort", folders: ["fetch/api/abort"], offered: true },
  { name: "fetch/data-urls", folders: ["fetch/data-urls"], offered: true },
  { name: "xhr/formdata", folders: ["xhr/formdata"], offered: true },
  { name: "dom/events", folders: ["dom/events"], offered: true },
  { name: "dom/abort", folders: ["dom/abort"], offered: true },
  { name: "html/webappapis/atob", folders: ["html/webappapis/atob"], offered: true },
  { name: "html/webappapis/timers", folders: ["html/webappapis/timers"], offered: true },
  { name: "html/webappapis/microtask-queuing", folders: ["html/webappapis/microtask-queuing"], offered: true },
  { name: "html/webappapis/structured-clone", folders: ["html/webappapis/structured-clone"], offered: true },
  { name: "hr-time", folders: ["hr-time"], offered: true },
  { name: "user-timing", folders: ["user-timing"], offered: true },
  { name: "performance-timeline", folders: ["performance-timeline"], offered: true },
  { name: "webidl", folders: ["webidl"], offered: true },
  { name: "webmessaging", folders: ["webmessaging"], offered: true },
  { name: "console", folders: ["console"], offered: true },
  {
    name: "fetch/api/basic",
    folders: ["fetch/api/basic"],
    offered: false,
    why: "most of it is of a page's fetch: origins, referrers, forbidden headers, opaque responses, an HTTP cache",
  },
  { name: "wasm/jsapi", folders: ["wasm/jsapi"], offered: false, why: "there is no WebAssembly" },
  {
    name: "service-workers/cache-storage",
    folders: ["service-workers/cache-storage"],
    offered: false,
    why: "there is no CacheStorage; the capability `cache` is another API",
  },
  { name: "web-locks", folders: ["web-locks"], offered: false, why: "there are no locks" },
  { name: "eventsource", folders: ["eventsource"], offered: false, why: "there is no EventSource" },
];

/** Areas of server runtimes that are not run in any of them. */
export const AREAS_LEFT_OUT = [
  {
    name: "websockets",
    why: "need the suite's WebSocket server, which `tools/wptserve` is not. ELIAS has no WebSocket",
  },
  {
    name: "xhr, workers, webstorage, IndexedDB, service-workers",
    why: "test what pages have; of the runtimes only some have some",
  },
];

/** What a file in the form for pages, `.window.js`, needs of a page; those that need nothing of it are run. */
export const OF_PAGES =
  /\b(?:document|iframe|frames?|[Ww]indow|parent|opener|navigator|MediaSource|Image|Audio|Option|HTML\w*)\b/;

/** Files that are not run in any runtime: what they test cannot be had without a page or a second host. */
export const LEFT_OUT = [
  {
    file: /^WebCryptoAPI\/generateKey\/successes_RSA/,
    why: "makes hundreds of RSA keys, which takes minutes in each runtime",
  },
  { pattern: /get-host-info/, why: "asks hosts of other origins, over TLS" },
  { pattern: /new (?:Shared)?Worker\(/, why: "starts a worker" },
  { pattern: /over H2/, why: "asks for HTTP/2 by the suite's server" },
  { pattern: /testdriver\.js/, why: "drives a browser" },
];

/** Names that files assign to and declare nowhere, which a module, being strict, must declare. */
export const UNDECLARED = [
  {
    file: "WebCryptoAPI/derive_bits_keys/cfrg",
    names: ["publicKeys", "privateKeys", "ecdhKeys", "noDeriveBitsKeys", "noDeriveKeyKeys"],
  },
  {
    file: "WebCryptoAPI/derive_bits_keys/ecdh",
    names: ["publicKeys", "privateKeys", "ecdsaKeyPairs", "noDeriveBitsKeys", "noDeriveKeyKeys", "publicKey"],
  },
  { file: "fetch/api/basic/request-forbidden-headers", names: ["forbiddenMethod", "overrideHeader", "permittedValue"] },
  { file: "fetch/api/request/request-init-priority", names: ["idx"] },
  { file: "webmessaging/Channel_postMessage_event_properties", names: ["ExpectedResult", "ActualResult"] },
  { file: "html/webappapis/structured-clone/", names: ["structuredCloneBatteryOfTests"] },
  { file: "performance-timeline/case-sensitivity", names: ["observer"] },
  {
    file: "performance-timeline/po-entries-sort",
    names: ["stored_entries", "stored_entries_by_type", "stored_entries_by_name"],
  },
];

const LACKS = (name) => new RegExp(`\\b${name} is not defined`);

/**
 * Why subtests of ours fail: the beginning of a file's path, what the subtest or its message says, and the reason. The
 * first that fits counts.
 */
export const REASONS = [
  { says: LACKS("XMLHttpRequest"), why: "there is no XMLHttpRequest" },
  { says: LACKS("VideoFrame"), why: "there is no VideoFrame" },
  { says: LACKS("caches"), why: "there is no CacheStorage" },
  { says: LACKS("WebAssembly"), why: "there is no WebAssembly" },
  { says: /\bWorkerGlobalScope\b/, why: "there is no WorkerGlobalScope" },
  { file: "streams/readable-streams/owning-type", why: "streams that own their chunks are a proposal" },
  { file: "url/IdnaTestV2", why: "a fault: names that Unicode's newer tables refuse are let through" },
  {
    file: "urlpattern/",
    says: /invalid (?:pathname|port|hostname) pattern/,
    why: "a fault: patterns that the standard takes are refused",
  },
  { file: "urlpattern/", why: "a fault: what a pattern compiles to or matches" },
  {
    file: "fetch/api/request/request-headers",
    why: "no header is forbidden: a server sends Cookie, Host and Origin itself",
  },
  {
    file: "fetch/api/basic/request-forbidden-headers",
    why: "no header is forbidden: a server sends Cookie, Host and Origin itself",
  },
  {
    file: "fetch/api/basic/request-private-network-headers",
    why: "no header is forbidden: a server sends Cookie, Host and Origin itself",
  },
  { file: "fetch/api/headers/header-setcookie", why: "a server's responses set cookies" },
  {
    file: "fetch/api/headers/header-values",
    why: "control characters in the value of a request's header are refused by the host",
  },
  {
    file: "fetch/api/request/request-structure",
    says: /has only a getter/,
    why: "the test assigns to read-only attributes, which throws in a module",
  },
  {
    file: "fetch/api/response/response-clone",
    why: "a clone's second branch shared its chunks, unless they were of bytes",
  },
  {
    file: "fetch/api/request/request-consume-empty",
    why: "the standard's encoding of a form without entries is not empty",
  },
  {
    file: "fetch/api/response/response-consume-empty",
    why: "the standard's encoding of a form without entries is not empty",
  },
  { file: "fetch/api/basic/integrity", why: "fetch checks no integrity, and refuses to be asked for it" },
  {
    file: "fetch/api/basic/request-headers",
    says: /origin/i,
    why: "a component has no origin, no referrer and no language to send",
  },
  { file: "fetch/api/basic/request-referrer", why: "a component has no origin, no referrer and no language to send" },
  { file: "fetch/api/basic/accept-header", why: "a component has no origin, no referrer and no language to send" },
  { file: "fetch/api/basic/mode-no-cors", why: "there are no opaque responses" },
  { file: "fetch/api/basic/conditional-get", why: "there is no HTTP cache of fetch's own" },
  { file: "fetch/api/basic/request-headers-case", why: "names of headers are sent in lower case" },
  {
    file: "fetch/api/basic/header-value-combining",
    why: "the suite's answer has no end to its headers, which the host's client does not take",
  },
  {
    file: "fetch/api/basic/response-null-body",
    why: "the host's client breaks off when a body follows a status that has none",
  },
  { file: "FileAPI/idlharness", says: /FileList/, why: "there is no FileList, which only a page's file input makes" },
  { file: "html/webappapis/structured-clone", why: "there is no growable SharedArrayBuffer" },
  {
    file: "html/webappapis/timers/evil-spec-example",
    why: "a timer's text is run in the global scope, which a module's variables are not in",
  },
  { file: "webidl/ecmascript-binding/global-", why: "the global object is of no interface" },
  {
    file: "webmessaging/message-channels/close-event/garbage-collected",
    why: "no event tells that a port was collected",
  },
  { file: "webmessaging/message-channels/user-activation", why: "there is no user" },
  { file: "performance-timeline/", says: /resource|navigation/i, why: "there are no entries but marks and measures" },
  { file: "performance-timeline/droppedentriescount", why: "there are no entries but marks and measures" },
  {
    file: "WebCryptoAPI/",
    says: /\b(?:Ed448|X448|SHA3|cSHAKE|KMAC|Argon2|ChaCha20|AES-OCB|ML-DSA|ML-KEM)/i,
    why: "not offered: Ed448, X448, and algorithms that are proposals",
  },
  { file: "WebCryptoAPI/", says: /448/, why: "not offered: Ed448, X448, and algorithms that are proposals" },
  { file: "WebCryptoAPI/historical", why: "every context counts as secure, whatever the scheme of `location`" },
  {
    file: "WebCryptoAPI/generateKey/failures",
    why: "usages are looked at before the parameters; the suite wants it the other way round",
  },
];
