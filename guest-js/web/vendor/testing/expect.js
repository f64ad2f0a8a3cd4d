// The packages of vitest: matchers, spies, differences, and the format of snapshots.
export {
  ASYMMETRIC_MATCHERS_OBJECT,
  GLOBAL_EXPECT,
  JestAsymmetricMatchers,
  JestChaiExpect,
  JestExtend,
  chai,
  customMatchers,
  getState,
  setState,
} from "@vitest/expect";
export { format, plugins } from "@vitest/pretty-format";
export { clearAllMocks, fn, isMockFunction, resetAllMocks, restoreAllMocks, spyOn } from "@vitest/spy";
export { processError } from "@vitest/utils/error";
