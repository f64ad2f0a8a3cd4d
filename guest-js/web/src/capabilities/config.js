// The module `elias/config`: the values of `env`, for code to which no handler passes it.
import { env } from "../component/env.js";

export const config = {
  /** The value of a key; `otherwise` if elias.toml does not name it. */
  get: (key, otherwise = undefined) => env[key] ?? otherwise,
  /** The value of a key, which has to be there. */
  require(key) {
    const value = env[key];
    if (value !== undefined) return value;
    throw new TypeError(`the key ${JSON.stringify(key)} does not exist; add it to [capabilities.config] in elias.toml`);
  },
  has: (key) => key in env,
  keys: () => Object.keys(env),
};
