globalThis.corpusOrder.push("b starts");
const a = require("./a.cjs");
exports.seen = Object.keys(a);
exports.a = () => a.name;
exports.name = "b";
globalThis.corpusOrder.push("b ends");
