const attempt = (load) => { try { return load(); } catch (error) { return error.message; } };
exports.text = require("./data.json").text;
exports.broken = attempt(() => require("./throws.cjs"));
exports.missing = attempt(() => { throw new Error("mine"); });
exports.optional = attempt(() => require("./data.json").list?.[1]);
