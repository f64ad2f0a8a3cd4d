globalThis.corpusLazy = "loaded";
