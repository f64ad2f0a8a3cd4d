// `env`, the second argument of every handler. The host is asked for a key when it is first read.
import native from "elias:native";
import { registry } from "../internal/registry.js";

const read = new Map();

function get(key) {
  if (typeof key !== "string") return undefined;
  if (!read.has(key)) read.set(key, native.configGet(key));
  return read.get(key);
}

const refuse = () => {
  throw new TypeError("env is read-only: its keys are those of [capabilities.config] in elias.toml");
};

/** An object that looks as if it held all keys. */
export const env = new Proxy(Object.create(null), {
  get: (_, key) => get(key),
  has: (_, key) => get(key) !== undefined,
  ownKeys: () => native.configKeys(),
  getOwnPropertyDescriptor(_, key) {
    const value = get(key);
    return value === undefined ? undefined : { value, enumerable: true, configurable: true, writable: false };
  },
  set: refuse,
  defineProperty: refuse,
  deleteProperty: refuse,
});

registry.env = env;
// What a worker keeps from turn to turn has no configuration in it, which may be secret, or another one by then.
registry.forgetEnv = () => {
  if (read.size > 0) read.clear();
};
native.fetchEnv(env);
