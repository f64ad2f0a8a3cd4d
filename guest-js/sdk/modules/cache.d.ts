// elias/cache: values kept between requests, for a time.

/** The time to live of a value; without one, the value stays until it is evicted. */
export interface TimeToLive {
  /** In seconds. */
  ttl?: number;
  /** In milliseconds; takes precedence over `ttl`. */
  ttlMs?: number;
}

/** A failed operation. */
export interface CacheError extends Error {
  /** The reason, as a stable name; `docs/reference/capabilities/cache.md` lists them. */
  readonly code: "invalid-key" | "too-large" | "not-a-number" | "too-many-operations" | "unavailable";
}

/** A value that can be cached: text, bytes, or a value that JSON can express. It is returned with the same type. */
export type Cacheable = string | ArrayBuffer | ArrayBufferView | object | number | boolean | null;

/**
 * A cache of values between requests. Each component has keys of its own. A value may be evicted at any time.
 *
 *     const user = await cache.remember(`user:${id}`, { ttl: 60 }, () => load(id));
 */
export interface Cache {
  /** Returns the value of a key, or undefined. */
  get<T = unknown>(key: string): Promise<T | undefined>;
  /** Returns the values of several keys: a Map of those that exist. */
  getMany<T = unknown>(keys: Iterable<string>): Promise<Map<string, T>>;
  /** Stores a value. */
  set(key: string, value: Cacheable, options?: TimeToLive): Promise<void>;
  /** Stores a value if the key has none; returns whether it did. */
  setIfAbsent(key: string, value: Cacheable, options?: TimeToLive): Promise<boolean>;
  /** Stores a value if the current one is `expected` (undefined: no value); returns whether it did. */
  compareAndSwap(key: string, expected: Cacheable | undefined, value: Cacheable, options?: TimeToLive): Promise<boolean>;
  /** Removes a value; returns whether there was one. */
  delete(key: string): Promise<boolean>;
  /**
   * Adds `by`, 1 by default, to a number, or to zero if there is none; returns the sum. The time to live is set when the
   * number is created.
   */
  increment(key: string, by?: number | bigint, options?: TimeToLive): Promise<number | bigint>;
  /** Sets a new time to live; returns whether there is a value. */
  expire(key: string, options?: TimeToLive): Promise<boolean>;
  /**
   * Returns the value of a key; if there is none, calls `make` and stores its result. Concurrent callers on a host share one
   * call of `make` (single flight). If it throws, one of the waiting callers tries once more; if that fails too, the others fail
   * with the code `unavailable`. If the cache is unavailable, the result of `make` is returned without being stored.
   *
   * @param options A time to live, or a number of seconds.
   */
  remember<T extends Cacheable>(key: string, options: TimeToLive | number | undefined, make: () => T | Promise<T>): Promise<T>;
}

export const cache: Cache;
