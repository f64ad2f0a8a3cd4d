// node:timers/promises. https://nodejs.org/api/timers.html#timers-promises-api
import native from "elias:native";
import { abortError } from "../internal/errors.js";

function wait(delay, value, signal) {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(abortError(signal));
    const abort = () => {
      native.clearTimer(id);
      reject(abortError(signal));
    };
    const id = native.setTimer(() => {
      signal?.removeEventListener("abort", abort);
      resolve(value);
    }, Math.max(0, delay | 0), false);
    signal?.addEventListener("abort", abort, { once: true });
  });
}

export const setTimeout = (delay = 1, value = undefined, { signal } = {}) => wait(delay, value, signal);
export const setImmediate = (value = undefined, { signal } = {}) => wait(0, value, signal);

export async function* setInterval(delay = 1, value = undefined, { signal } = {}) {
  while (true) {
    await wait(delay, undefined, signal);
    yield value;
  }
}

export const scheduler = { wait: (delay, options) => setTimeout(delay, undefined, options), yield: () => setImmediate() };

export default { setTimeout, setImmediate, setInterval, scheduler };
