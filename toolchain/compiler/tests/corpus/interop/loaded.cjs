globalThis.corpusLoaded = (globalThis.corpusLoaded ?? 0) + 1;
exports.loaded = true;
