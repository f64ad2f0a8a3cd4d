globalThis.corpusOrder.push("tree");
module.exports.Node = class Node {};
Object.assign(module.exports, require("./leaf.cjs"));
