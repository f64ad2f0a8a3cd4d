// node:assert/strict.
import { strict } from "../assert.js";

export const {
  AssertionError, ok, fail, equal, notEqual, strictEqual, notStrictEqual, deepEqual, notDeepEqual, deepStrictEqual, notDeepStrictEqual,
  match, doesNotMatch, ifError, throws, rejects, doesNotThrow, doesNotReject,
} = strict;
export { strict };
export default strict;
