// `vi`: spies, and fake timers. https://vitest.dev/api/vi.html
import { clearAllMocks, fn, isMockFunction, resetAllMocks, restoreAllMocks, spyOn } from "../vendor/testing/expect.js";
import { withGlobal } from "../vendor/testing/fake-timers.js";

const realSetTimeout = globalThis.setTimeout;
const realNow = Date.now;
let clock;
const stubbed = new Map();

const fakeTimers = () => {
  if (clock === undefined) throw new Error("time is real: call vi.useFakeTimers() first");
  return clock;
};

/** The globals that fake timers replace by default; those that do not exist are left out. */
const FAKED = ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "setImmediate", "clearImmediate", "Date", "performance"];

export const vi = {
  fn,
  spyOn,
  isMockFunction,
  mocked: (value) => value,
  clearAllMocks: () => (clearAllMocks(), vi),
  resetAllMocks: () => (resetAllMocks(), vi),
  restoreAllMocks: () => (restoreAllMocks(), vi),

  useFakeTimers({ now = Date.now(), toFake = FAKED, ...options } = {}) {
    clock?.uninstall();
    clock = withGlobal(globalThis).install({
      now,
      toFake: toFake.filter((name) => globalThis[name] !== undefined),
      ignoreMissingTimers: true,
      ...options,
    });
    return vi;
  },
  useRealTimers() {
    clock?.uninstall();
    clock = undefined;
    return vi;
  },
  isFakeTimers: () => clock !== undefined,
  setSystemTime(time) {
    if (clock === undefined) vi.useFakeTimers({ now: time, toFake: ["Date"] });
    else clock.setSystemTime(time);
    return vi;
  },
  getMockedSystemTime: () => (clock === undefined ? null : new Date(clock.now)),
  getRealSystemTime: () => realNow(),
  getTimerCount: () => fakeTimers().countTimers(),
  advanceTimersByTime: (milliseconds) => (fakeTimers().tick(milliseconds), vi),
  advanceTimersByTimeAsync: async (milliseconds) => (await fakeTimers().tickAsync(milliseconds), vi),
  advanceTimersToNextTimer: () => (fakeTimers().next(), vi),
  advanceTimersToNextTimerAsync: async () => (await fakeTimers().nextAsync(), vi),
  runAllTimers: () => (fakeTimers().runAll(), vi),
  runAllTimersAsync: async () => (await fakeTimers().runAllAsync(), vi),
  runOnlyPendingTimers: () => (fakeTimers().runToLast(), vi),
  runOnlyPendingTimersAsync: async () => (await fakeTimers().runToLastAsync(), vi),
  clearAllTimers: () => (fakeTimers().reset(), vi),

  stubGlobal(name, value) {
    if (!stubbed.has(name)) stubbed.set(name, Object.getOwnPropertyDescriptor(globalThis, name));
    Object.defineProperty(globalThis, name, { value, writable: true, configurable: true, enumerable: true });
    return vi;
  },
  unstubAllGlobals() {
    for (const [name, former] of stubbed) {
      if (former === undefined) delete globalThis[name];
      else Object.defineProperty(globalThis, name, former);
    }
    stubbed.clear();
    return vi;
  },

  /** Calls `callback` until it no longer throws; resolves to its result. */
  async waitFor(callback, options = {}) {
    const { timeout = 1000, interval = 50 } = typeof options === "number" ? { timeout: options } : options;
    for (const end = realNow() + timeout; ; ) {
      try {
        return await callback();
      } catch (error) {
        if (realNow() >= end) throw error;
      }
      if (clock === undefined) await new Promise((resolve) => realSetTimeout(resolve, interval));
      else await clock.tickAsync(interval);
    }
  },
  /** Calls `callback` until its result is truthy. */
  waitUntil: (callback, options = {}) =>
    vi.waitFor(async () => (await callback()) || Promise.reject(new Error("what was waited for did not come")), options),
};

for (const name of ["mock", "doMock", "unmock", "hoisted", "importActual", "resetModules"]) {
  vi[name] = () => {
    throw new Error(`vi.${name} is not there: modules are bundled when the test is built. Use vi.spyOn, or the fakes of elias/test`);
  };
}
export const vitest = vi;
