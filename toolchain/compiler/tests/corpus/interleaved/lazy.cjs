globalThis.corpusTurns.push("lazy");
module.exports = [typeof require, typeof module, typeof exports, this === exports];
