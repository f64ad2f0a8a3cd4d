/** How long a value stays; without one, until it is evicted. */
export interface TimeToLive {
  /** In seconds. */
  ttl?: number;
  /** In milliseconds; wins over `ttl`. */
  ttlMs?: number;
}

/** A failed operation. */
export interface CacheError extends Error {
  /** Why, as a name that stays the same; `docs/reference/capabilities/cache.md` lists them. */
  readonly code: "invalid-key" | "too-large" | "not-a-number" | "too-many-operations" | "unavailable";
}

/** What can be cached: text, bytes, and whatever has a JSON form. It comes back as what it was. */
export type Cacheable = string | ArrayBuffer | ArrayBufferView | object | number | boolean | null;

/**
 * Values kept between requests, for a time. Keys belong to the component. A value may be gone at any time.
 *
 *     const user = await cache.remember(`user:${id}`, { ttl: 60 }, () => load(id));
 */
export interface Cache {
  /** The value of a key, or undefined. */
  get<T = unknown>(key: string): Promise<T | undefined>;
  /** The values of several keys: a Map of those that are there. */
  getMany<T = unknown>(keys: Iterable<string>): Promise<Map<string, T>>;
  /** Stores a value. */
  set(key: string, value: Cacheable, options?: TimeToLive): Promise<void>;
  /** Stores a value if nothing is there; whether it did. */
  setIfAbsent(key: string, value: Cacheable, options?: TimeToLive): Promise<boolean>;
  /** Stores a value if `expected` is there (undefined: nothing); whether it did. */
  compareAndSwap(key: string, expected: Cacheable | undefined, value: Cacheable, options?: TimeToLive): Promise<boolean>;
  /** Removes a value; whether there was one. */
  delete(key: string): Promise<boolean>;
  /** Adds to a number, which is zero where there is none; gives the sum. The time to live is set when it is made. */
  increment(key: string, by?: number | bigint, options?: TimeToLive): Promise<number | bigint>;
  /** Gives a value a new time to live; whether there is one. */
  expire(key: string, options?: TimeToLive): Promise<boolean>;
  /**
   * The value of a key, made by `make` where there is none. However many ask at once on a host, `make` runs once. If it
   * throws, one of those who wait tries once more; if that fails too, the others fail with the code `unavailable`. A value
   * that was made and cannot be kept, because the cache is away, is still given.
   *
   * @param options A time to live, or a number of seconds.
   */
  remember<T extends Cacheable>(key: string, options: TimeToLive | number | undefined, make: () => T | Promise<T>): Promise<T>;
}

export const cache: Cache;
