exports.isExports = this === exports && exports === module.exports;
exports.required = require("./self.cjs") === exports;
exports.types = [typeof require, typeof module, typeof exports];
exports.hoisted = hoisted();
function hoisted() { return "hoisted"; }
