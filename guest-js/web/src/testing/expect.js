// `expect`: vitest's matchers, by its own packages, and snapshots. https://vitest.dev/api/expect.html
import {
  ASYMMETRIC_MATCHERS_OBJECT, GLOBAL_EXPECT, JestAsymmetricMatchers, JestChaiExpect, JestExtend, chai, customMatchers, getState, setState,
} from "../vendor/testing/expect.js";
import { snapshotMatchers } from "./snapshot.js";

chai.use(JestExtend);
chai.use(JestChaiExpect);
chai.use(JestAsymmetricMatchers);
chai.use(snapshotMatchers);
chai.config.truncateThreshold = 200;

/** Errors of `expect.soft`, which end a test only when it is over. */
let soft = [];

export const expect = (value, message = undefined) => {
  const { assertionCalls } = getState(expect);
  setState({ assertionCalls: assertionCalls + 1 }, expect);
  return chai.expect(value, message);
};
Object.assign(expect, chai.expect, globalThis[ASYMMETRIC_MATCHERS_OBJECT]);
expect.getState = () => getState(expect);
expect.setState = (state) => setState(state, expect);
expect.extend = (matchers) => chai.expect.extend(expect, matchers);
expect.extend(customMatchers);

/** Continues after a failure, which is reported when the test ends. */
expect.soft = (value, message = undefined) => forgiving(expect(value, message));

const forgiving = (assertion) =>
  new Proxy(assertion, {
    get(target, key) {
      const value = Reflect.get(target, key, target);
      if (typeof value === "object" && value !== null) return forgiving(value);
      if (typeof value !== "function") return value;
      return (...args) => {
        try {
          const result = value.apply(target, args);
          return typeof result?.then === "function" ? result.then(undefined, (error) => void soft.push(error)) : result;
        } catch (error) {
          soft.push(error);
        }
      };
    },
  });

/** Repeats `ask` until the assertion holds or the time is over. */
expect.poll = (ask, { timeout = 1000, interval = 50, message } = {}, path = []) =>
  new Proxy({}, {
    get(_, key) {
      if (key === "not") return expect.poll(ask, { timeout, interval, message }, ["not"]);
      return async (...args) => {
        for (const end = Date.now() + timeout; ; ) {
          try {
            return path.reduce((assertion, part) => assertion[part], expect(await ask(), message))[key](...args);
          } catch (error) {
            if (Date.now() >= end) throw error;
          }
          await new Promise((resolve) => setTimeout(resolve, interval));
        }
      };
    },
  });

expect.unreachable = (message = undefined) => {
  throw new Error(`this should not have been reached${message === undefined ? "" : `: ${message}`}`);
};
expect.assertions = (count) => setState({ expectedAssertionsNumber: count }, expect);
expect.hasAssertions = () => setState({ isExpectingAssertions: true }, expect);
globalThis[GLOBAL_EXPECT] = expect;

/** Resets the count of assertions and the soft failures, for the test `name`. */
export function beginAssertions(name) {
  soft = [];
  setState(
    {
      assertionCalls: 0,
      isExpectingAssertions: false,
      isExpectingAssertionsError: null,
      expectedAssertionsNumber: null,
      expectedAssertionsNumberErrorGen: null,
      currentTestName: name,
    },
    expect,
  );
}

/** The errors of `expect` at the end of the test: soft failures, and wrong numbers of assertions. */
export function assertionErrors() {
  const { assertionCalls, expectedAssertionsNumber, isExpectingAssertions } = getState(expect);
  const errors = soft;
  if (expectedAssertionsNumber !== null && assertionCalls !== expectedAssertionsNumber) {
    errors.push(new Error(`expected ${expectedAssertionsNumber} assertions, and there were ${assertionCalls}`));
  }
  if (isExpectingAssertions && assertionCalls === 0) errors.push(new Error("expected an assertion, and there was none"));
  return errors;
}

export const { assert, should } = chai;
