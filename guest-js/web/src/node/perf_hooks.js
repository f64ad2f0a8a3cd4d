// node:perf_hooks: the global `performance` and its kin. https://nodejs.org/api/perf_hooks.html
import { unavailable } from "./internal/errors.js";

export const {
  performance,
  Performance,
  PerformanceEntry,
  PerformanceMark,
  PerformanceMeasure,
  PerformanceObserver,
  PerformanceObserverEntryList,
} = globalThis;

export const constants = Object.freeze({});
export const monitorEventLoopDelay = () => {
  throw unavailable("perf_hooks.monitorEventLoopDelay", "Nothing but the execution's own work delays its event loop.");
};
export const createHistogram = () => {
  throw unavailable("perf_hooks.createHistogram", "Keep the numbers in an array.");
};

export default {
  performance,
  Performance,
  PerformanceEntry,
  PerformanceMark,
  PerformanceMeasure,
  PerformanceObserver,
  PerformanceObserverEntryList,
  constants,
  monitorEventLoopDelay,
  createHistogram,
};
