// node:perf_hooks: the global `performance`. https://nodejs.org/api/perf_hooks.html
import { unavailable } from "./internal/errors.js";

export const { performance, Performance } = globalThis;

export class PerformanceObserver {
  static supportedEntryTypes = Object.freeze([]);
  observe() {}
  disconnect() {}
  takeRecords() {
    return [];
  }
}

export const constants = Object.freeze({});
export const monitorEventLoopDelay = () => {
  throw unavailable("perf_hooks.monitorEventLoopDelay", "Nothing but the execution's own work delays its event loop.");
};
export const createHistogram = () => {
  throw unavailable("perf_hooks.createHistogram", "Keep the numbers in an array.");
};

export default { performance, Performance, PerformanceObserver, constants, monitorEventLoopDelay, createHistogram };
