class NotFound { get kind() { return this.constructor.name; } }
module.exports = NotFound;
