let count = 0;
exports.load = () => require("./loaded.cjs");
Object.defineProperty(exports, "counted", { enumerable: true, get() { return ++count; } });
