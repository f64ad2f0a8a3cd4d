globalThis.corpusTurns.push("three");
if (globalThis.corpusTurns.length > 2) { exports.value = require("./lazy.cjs"); return; }
globalThis.corpusTurns.push("never");
