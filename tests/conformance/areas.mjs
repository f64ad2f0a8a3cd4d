// What is run, and what others reach on it.

/** The areas of web-platform-tests: a name, and the folders whose `.any.js` files belong to it. */
export const AREAS = [
  { name: "WebCryptoAPI", folders: ["WebCryptoAPI"] },
  { name: "encoding", folders: ["encoding"] },
  { name: "url", folders: ["url"] },
  { name: "urlpattern", folders: ["urlpattern"] },
  { name: "streams", folders: ["streams"] },
  { name: "compression", folders: ["compression"] },
  { name: "FileAPI", folders: ["FileAPI"] },
  {
    name: "fetch/api",
    folders: ["fetch/api/request", "fetch/api/response", "fetch/api/headers", "fetch/api/body", "fetch/api/abort", "fetch/data-urls"],
  },
  { name: "xhr/formdata", folders: ["xhr/formdata"] },
  { name: "dom/events", folders: ["dom/events"] },
  { name: "dom/abort", folders: ["dom/abort"] },
  {
    name: "html/webappapis",
    folders: ["atob", "timers", "microtask-queuing", "structured-clone"].map((folder) => `html/webappapis/${folder}`),
  },
  { name: "hr-time", folders: ["hr-time"] },
  { name: "webidl DOMException", folders: ["webidl/ecmascript-binding/es-exceptions"] },
  { name: "webmessaging channels", folders: ["webmessaging/message-channels"] },
  { name: "console", folders: ["console"] },
];

/** The mean over these areas that others reach, in percent. */
export const OTHERS = { Deno: 90.7, "Node 20": 84.6, Bun: 82.4, workerd: 80.4 };

/** Files that are not run, and why: what they test cannot be had in any runtime without a page or a test server. */
export const LEFT_OUT = [
  { pattern: /\.py\b|get-host-info/, why: "asks a server of the suite's own" },
  { pattern: /\bSharedArrayBuffer\b.*\bWorker\(|new (?:Shared)?Worker\(/, why: "starts a worker" },
];

/** Why subtests fail that do: the beginning of a file's path, and the reason. */
export const REASONS = [
  { file: "WebCryptoAPI/generateKey/failures_AES-OCB", why: "not offered: AES-OCB is a proposal" },
  { file: "WebCryptoAPI/generateKey/failures_Ed448", why: "not offered: Ed448 is a proposal" },
  { file: "WebCryptoAPI/generateKey/failures_ML", why: "not offered: ML-DSA and ML-KEM are proposals" },
  { file: "WebCryptoAPI/generateKey/failures_X448", why: "not offered: X448 is a proposal" },
  { file: "WebCryptoAPI/generateKey/failures", why: "usages are looked at before the parameters; the suite wants it the other way round" },
  { file: "WebCryptoAPI/", why: "proposals that are not offered: SHA-3, cSHAKE, TurboSHAKE, KMAC, Argon2, ChaCha20-Poly1305, AES-OCB, ML-DSA, ML-KEM, Ed448 and X448, and their formats" },
  { file: "compression/", why: "Brotli is not offered: its tables would be in every image; there is no SharedArrayBuffer of WebAssembly" },
  { file: "encoding/idlharness", why: "functions of Web IDL that are called without an object throw, but for a few of TextEncoder's" },
  { file: "encoding/replacement-encodings", why: "there is no XMLHttpRequest" },
  { file: "encoding/unsupported-encodings", why: "there is no XMLHttpRequest" },
  { file: "encoding/", why: "there is no SharedArrayBuffer of WebAssembly" },
  { file: "url/url-constructor.any.js?include=file", why: "drive letters and empty segments in file: URLs, by the crate url" },
  { file: "url/url-setters.any.js?include=file", why: "drive letters and empty segments in file: URLs, by the crate url" },
  { file: "url/urlsearchparams-delete", why: "spaces at the end of an opaque path are cut, by the crate url" },
  { file: "url/", why: "host names must be given in punycode: the tables for others would be in every image" },
  { file: "urlpattern/urlpattern-generate", why: "URLPattern.generate is a proposal" },
  { file: "urlpattern/", why: "host names must be given in punycode" },
  { file: "html/webappapis/structured-clone", why: "there is no growable SharedArrayBuffer" },
  { file: "fetch/api/request/request-headers", why: "no header is forbidden: a server sends Cookie, Host and Origin itself" },
  { file: "fetch/api/headers/header-setcookie", why: "a server's responses set cookies" },
  { file: "fetch/api/request/request-consume-empty", why: "the standard's encoding of a form without entries is not empty" },
  { file: "fetch/api/response/response-consume-empty", why: "the standard's encoding of a form without entries is not empty" },
  { file: "fetch/api/abort/cache", why: "there is no CacheStorage" },
  { file: "FileAPI/url/url-with-xhr", why: "there is no XMLHttpRequest" },
  { file: "FileAPI/idlharness", why: "there is no FileList, which only a page's file input makes" },
  { file: "streams/readable-streams/owning-type", why: "streams that own their chunks are a proposal, and there is no VideoFrame" },
  { file: "streams/readable-byte-streams/non-transferable-buffers", why: "there is no WebAssembly" },
  { file: "webmessaging/message-channels/close-event/garbage-collected", why: "no event tells that a port was collected" },
  { file: "webmessaging/message-channels/user-activation", why: "there is no user" },
  { file: "hr-time/idlharness", why: "there is no WorkerGlobalScope" },
];
