// Conversion of the arguments of streams: underlying sources and sinks, their methods, and numbers.
// https://streams.spec.whatwg.org/#underlying-source-api (4.2.3)

/** Binds the optional method `name` of `object`; the default stands in when it is absent. */
export function methodOf(object, name, fallback) {
  const method = object?.[name];
  if (method === undefined) return fallback;
  if (typeof method !== "function") throw new TypeError(`${name} must be a function`);
  return (...args) => Reflect.apply(method, object, args);
}

/** An underlying source, sink or transformer is an object, a function or left out. */
export function toObject(value, what) {
  if (value === undefined) return {};
  if (value === null || (typeof value !== "object" && typeof value !== "function")) throw new TypeError(`${what} must be an object`);
  return value;
}

/** Web IDL's [EnforceRange] unsigned integer up to `most`. */
export function enforceRange(value, most, what) {
  const number = Math.trunc(Number(value));
  if (!(number >= 0 && number <= most)) throw new TypeError(`${what} must be an integer from 0 to ${most}, not ${value}`);
  return number + 0;
}
