exports.lost = 1;
const other = require("./other.cjs");
module.exports = { early: other.early, late: other.late() };
