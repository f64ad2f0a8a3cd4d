const replaced = require("./replaced.cjs");
exports.early = replaced.lost;
exports.late = () => Object.keys(replaced);
