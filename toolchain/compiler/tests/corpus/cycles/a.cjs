globalThis.corpusOrder.push("a starts");
exports.early = true;
const b = require("./b.cjs");
exports.seen = Object.keys(b);
exports.b = () => b.name;
exports.name = "a";
globalThis.corpusOrder.push("a ends");
