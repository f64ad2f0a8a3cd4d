// Node's own globals, kept before the modules under test replace them.
const { URL, URLSearchParams, TextEncoder, TextDecoder, setTimeout, setInterval, clearTimeout } = globalThis;
globalThis.originals ??= { URL, URLSearchParams, TextEncoder, TextDecoder, setTimeout, setInterval, clearTimeout };
