globalThis.corpusOrder.push("leaf");
const { Node } = require("./tree.cjs");
exports.Leaf = class Leaf extends Node {};
