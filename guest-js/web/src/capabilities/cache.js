// The module `elias/cache`: values kept between requests, for a time.
//
// A value comes back with its type: text, bytes, or anything that JSON can express. The byte before it is the type,
// which the native half reads; counters, and values of other programs, have no such byte.
import native from "elias:native";

const [TEXT, BYTES, JSON_TEXT] = [1, 2, 3];

function tagged(tag, bytes) {
  const value = new Uint8Array(bytes.length + 1);
  value[0] = tag;
  value.set(bytes, 1);
  return value;
}

function encode(value) {
  if (typeof value === "string") return tagged(TEXT, native.utf8Encode(value));
  if (value instanceof ArrayBuffer) return tagged(BYTES, new Uint8Array(value));
  if (ArrayBuffer.isView(value)) return tagged(BYTES, new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
  const json = JSON.stringify(value);
  if (json === undefined) throw new TypeError(`a value of type ${typeof value} cannot be cached: it has no JSON form`);
  return tagged(JSON_TEXT, native.utf8Encode(json));
}

/** Milliseconds from options: `{ ttl: seconds }` or `{ ttlMs }`; undefined: until it is evicted. */
function ttlOf(options) {
  const milliseconds = options?.ttlMs ?? (options?.ttl === undefined ? undefined : options.ttl * 1000);
  if (milliseconds === undefined) return undefined;
  if (!(milliseconds > 0)) throw new RangeError(`a time to live must be a positive number, not ${milliseconds}`);
  return Math.ceil(milliseconds);
}

/** A promise of the result. A result in the host's memory is there at once, and an async function would make it wait twice. */
function start(command, key, value, ttl, expected) {
  try {
    return Promise.resolve(native.cacheStart(command, key, value, ttl, expected));
  } catch (error) {
    return Promise.reject(error);
  }
}

/** The values that this instance is making, by key. */
const making = new Map();

/** Codes of errors that do not concern the value: it could not be stored now. */
const NOT_STORED = ["unavailable", "too-many-operations"];

async function makeUnderLease(key, ttl, make) {
  const found = await start("lease", key);
  if (found.lease === undefined) return found.value;
  try {
    const value = await make();
    const encoded = encode(value);
    try {
      await start("set", key, encoded, ttl);
    } catch (error) {
      // The caller gets the value all the same; the next caller makes it again.
      if (!NOT_STORED.includes(error?.code)) throw error;
    }
    return value;
  } finally {
    native.cacheRelease(found.lease);
  }
}

export const cache = {
  /** The value of a key, or undefined. */
  async get(key) {
    return native.cacheGet(`${key}`);
  },
  /** The values of several keys, as a Map of those that exist. */
  async getMany(keys) {
    const list = Array.from(keys, String);
    const values = await start("get-many", list);
    return new Map(list.map((key, at) => [key, values[at]]).filter(([, value]) => value !== undefined));
  },
  async set(key, value, options = undefined) {
    await start("set", `${key}`, encode(value), ttlOf(options));
  },
  /** Stores a value if the key has none; returns whether it did. */
  async setIfAbsent(key, value, options = undefined) {
    return start("set-if-absent", `${key}`, encode(value), ttlOf(options));
  },
  /** Stores a value if the current one is `expected` (undefined: no value); returns whether it did. */
  async compareAndSwap(key, expected, value, options = undefined) {
    const before = expected === undefined ? undefined : encode(expected);
    return start("compare-and-swap", `${key}`, encode(value), ttlOf(options), before);
  },
  /** Removes a value; returns whether there was one. */
  async delete(key) {
    return start("delete", `${key}`);
  },
  /** Adds `by` to a number, or to zero; returns the sum. The time to live is set when the number is created. */
  async increment(key, by = 1, options = undefined) {
    return start("increment", `${key}`, by, ttlOf(options));
  },
  /** Sets a new time to live; returns whether there is a value. */
  async expire(key, options = undefined) {
    return start("expire", `${key}`, undefined, ttlOf(options));
  },
  /**
   * Returns the value of a key; if there is none, calls `make` and stores its result. Concurrent callers on a host share
   * one call of `make` (single flight); if it throws, one of the waiting callers tries once more, and if that fails too,
   * the others fail with the code `unavailable`. If the cache is unavailable, the result of `make` is returned unstored.
   */
  async remember(key, options, make) {
    key = `${key}`;
    // Before anything is made: a wrong time to live is a mistake whatever the value.
    const ttl = ttlOf(typeof options === "number" ? { ttl: options } : options);
    if (typeof make !== "function") throw new TypeError("remember needs a function that makes the value");
    // A caller that waits for a lease has an operation under way; the instance's own waiters must not keep its maker
    // from the rest.
    let made = making.get(key);
    if (made === undefined) {
      made = makeUnderLease(key, ttl, make).finally(() => making.delete(key));
      making.set(key, made);
    }
    return made;
  },
};
