// elias/config: the values of `env`, for code to which no handler passes it.

/** A value of `[capabilities.config]` in elias.toml. */
export type ConfigValue = string | number | boolean;

/** The values of `env`. */
export interface Config {
  /** Returns the value of a key, or `otherwise`, by default undefined. */
  get(key: string): ConfigValue | undefined;
  get<T>(key: string, otherwise: T): ConfigValue | T;
  /** Returns the value of a key; throws a TypeError if elias.toml does not define it. */
  require(key: string): ConfigValue;
  /** Whether elias.toml defines the key. */
  has(key: string): boolean;
  /** Returns all keys. */
  keys(): string[];
}

export const config: Config;
