/** A value of `[capabilities.config]` in elias.toml. */
export type ConfigValue = string | number | boolean;

/** What `env` holds, for code that no handler passes it to. */
export interface Config {
  /** The value of a key, or `otherwise`. */
  get(key: string): ConfigValue | undefined;
  get<T>(key: string, otherwise: T): ConfigValue | T;
  /** The value of a key; a TypeError if elias.toml does not name it. */
  require(key: string): ConfigValue;
  /** Whether elias.toml names the key. */
  has(key: string): boolean;
  /** All keys. */
  keys(): string[];
}

export const config: Config;
