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

/**
 * The key of a transaction's number in the engine. Adapters such as `elias/drizzle` give it to what they make of a
 * transaction, so it is a registered symbol.
 */
const TRANSACTION = Symbol.for("elias.transaction");

/**
 * The number of the transaction of an option that may be left out; 0 for none. A promise of it if the transaction has to
 * find out, as one of `elias/kysely` has; otherwise nothing waits, so that what is begun without it is begun at once.
 */
export function optionalTransaction(tx) {
  if (tx === undefined) return 0;
  const id = tx?.[TRANSACTION];
  return typeof id?.then === "function" ? id.then(checkTransaction) : checkTransaction(id);
}

function checkTransaction(id) {
  if (Number.isInteger(id) && id > 0) return id;
  throw new TypeError("tx must be an open transaction of elias/db, elias/drizzle or elias/kysely");
}

/** The JSON of a value; undefined is null. */
export function jsonOf(value, what) {
  const json = JSON.stringify(value ?? null);
  if (json === undefined) throw new TypeError(`${what} has no JSON form: it is a ${typeof value}`);
  return json;
}
