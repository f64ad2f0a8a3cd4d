// What is run of web-platform-tests, what is left out, and why what fails of ours does.

/**
 * The areas: a name, and the folders whose `.any.js` files belong to it, less those `without`. `offered` are those whose APIs
 * ELIAS has. Of the others ELIAS passes what happens to pass, and a second mean has them in it.
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
  { name: "fetch/api/basic", folders: ["fetch/api/basic"], offered: true },
  { name: "fetch/data-urls", folders: ["fetch/data-urls"], offered: true },
  { name: "xhr/formdata", folders: ["xhr/formdata"], offered: true },
  { name: "dom/events", folders: ["dom/events"], offered: true },
  { name: "dom/abort", folders: ["dom/abort"], offered: true },
  { name: "html/webappapis/atob", folders: ["html/webappapis/atob"], offered: true },
  { name: "html/webappapis/timers and microtasks", folders: ["html/webappapis/timers", "html/webappapis/microtask-queuing"], offered: true },
  { name: "html/webappapis/structured-clone", folders: ["html/webappapis/structured-clone"], offered: true },
  { name: "hr-time", folders: ["hr-time"], offered: true },
  { name: "user-timing", folders: ["user-timing"], offered: true },
  { name: "performance-timeline", folders: ["performance-timeline"], offered: true },
  { name: "webidl", folders: ["webidl"], offered: true },
  { name: "webmessaging", folders: ["webmessaging"], offered: true },
  { name: "console", folders: ["console"], offered: true },
  { name: "wasm/jsapi", folders: ["wasm/jsapi"], offered: false, why: "there is no WebAssembly" },
  { name: "service-workers/cache-storage", folders: ["service-workers/cache-storage"], offered: false, why: "there is no CacheStorage; the capability `cache` is another API" },
  { name: "web-locks", folders: ["web-locks"], offered: false, why: "there are no locks" },
  { name: "eventsource", folders: ["eventsource"], offered: false, why: "there is no EventSource" },
];

/** Areas of server runtimes that are not run in any of them. */
export const AREAS_LEFT_OUT = [
  { name: "websockets", why: "need the suite's WebSocket server, which `tools/wptserve` is not. ELIAS has no WebSocket" },
  { name: "xhr, workers, webstorage, IndexedDB, service-workers", why: "test what pages have; of the runtimes only some have some" },
];

/** What a file in the form for pages, `.window.js`, needs of a page; those that need nothing of it are run. */
export const OF_PAGES = /\b(?:document|iframe|frames?|[Ww]indow|parent|opener|navigator|MediaSource|Image|Audio|Option|HTML\w*)\b/;

/** Files that are not run in any runtime: what they test cannot be had without a page or a second host. */
export const LEFT_OUT = [
  { pattern: /get-host-info/, why: "asks hosts of other origins, over TLS" },
  { pattern: /new (?:Shared)?Worker\(/, why: "starts a worker" },
  { pattern: /over H2/, why: "asks for HTTP/2 by the suite's server" },
  { pattern: /testdriver\.js/, why: "drives a browser" },
];

/** Names that files assign to and declare nowhere, which a module, being strict, must declare. */
export const UNDECLARED = [
  { file: "WebCryptoAPI/derive_bits_keys/cfrg", names: ["publicKeys", "privateKeys", "ecdhKeys", "noDeriveBitsKeys", "noDeriveKeyKeys"] },
  { file: "WebCryptoAPI/derive_bits_keys/ecdh", names: ["publicKeys", "privateKeys", "ecdsaKeyPairs", "noDeriveBitsKeys", "noDeriveKeyKeys", "publicKey"] },
  { file: "fetch/api/basic/request-forbidden-headers", names: ["forbiddenMethod", "overrideHeader", "permittedValue"] },
  { file: "fetch/api/request/request-init-priority", names: ["idx"] },
  { file: "html/webappapis/structured-clone/", names: ["structuredCloneBatteryOfTests"] },
  { file: "performance-timeline/case-sensitivity", names: ["observer"] },
  { file: "performance-timeline/po-entries-sort", names: ["stored_entries", "stored_entries_by_type", "stored_entries_by_name"] },
];

/** Why subtests of ours fail: the beginning of a file's path, or what the subtest says, and the reason. */
export const REASONS = [];
