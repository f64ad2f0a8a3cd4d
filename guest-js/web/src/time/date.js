// Date.prototype.toString and toTimeString with the name of the time zone, which QuickJS leaves out. It is always UTC
// here.

const { toString, toTimeString } = Date.prototype;

/**
 * Adds the name of the time zone, unless the date is invalid (ECMA-262 §21.4.4.41.4: the name is the implementation's
 * own).
 */
const named = (text) => (text === "Invalid Date" ? text : `${text} (Coordinated Universal Time)`);

const methods = {
  toString() {
    return named(Reflect.apply(toString, this, []));
  },
  toTimeString() {
    return named(Reflect.apply(toTimeString, this, []));
  },
};
for (const [name, value] of Object.entries(methods)) {
  Object.defineProperty(Date.prototype, name, { value, writable: true, configurable: true });
}
