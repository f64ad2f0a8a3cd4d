// Arguments of several capabilities, checked.

/** The text of an option that may be left out. */
export const optionalText = (value) => (value === undefined ? undefined : `${value}`);

/** Whole milliseconds of an option that may be left out. */
export function optionalMilliseconds(value, what) {
  return value === undefined ? undefined : milliseconds(value, what);
}

/** Whole milliseconds, rounded up. */
export function milliseconds(value, what) {
  const isTime = typeof value === "number" && value >= 0 && value <= Number.MAX_SAFE_INTEGER;
  if (!isTime) throw new RangeError(`${what} must be a number of milliseconds, not ${value}`);
  return Math.ceil(value);
}

/** The JSON of a value; undefined is null. */
export function jsonOf(value, what) {
  const json = JSON.stringify(value ?? null);
  if (json === undefined) throw new TypeError(`${what} has no JSON form: it is a ${typeof value}`);
  return json;
}
