// The module `elias/test`: test files import it, and the runner, `elias test`, calls it. Each test runs in an instance
// of its own.
import { processError } from "../vendor/testing/expect.js";
import { app, setComponent } from "./app.js";
import { assert, assertionErrors, beginAssertions, expect, should } from "./expect.js";
import { fake } from "./fake.js";
import { beginSnapshots, takenSnapshots } from "./snapshot.js";
import { afterAll, afterEach, beforeAll, beforeEach, describe, it, listTests, suite, test, testById } from "./suite.js";
import { clock, setHost, triggers } from "./triggers.js";
import { vi, vitest } from "./vi.js";

const TIMEOUT_MS = 5000;
const realSetTimeout = globalThis.setTimeout;
const realClearTimeout = globalThis.clearTimeout;

const finished = [];

/** Calls `callback` when the test is over, whether or not it passed. */
export const onTestFinished = (callback) => void finished.push(callback);

function withTimeout(run, milliseconds, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = realSetTimeout(() => reject(new Error(`${what} took longer than ${milliseconds} ms; give it more as the last argument`)), milliseconds);
  });
  return Promise.race([run(), late]).finally(() => realClearTimeout(timer));
}

async function runTest(one, name, { snapshots = {}, update = false, locked = false }) {
  const errors = [];
  const attempt = async (run, timeout, what) => {
    try {
      return await withTimeout(async () => run(), timeout ?? TIMEOUT_MS, what);
    } catch (error) {
      errors.push(error);
    }
  };
  beginAssertions(name);
  beginSnapshots(name, snapshots, update, locked);
  const context = { task: { name: one.name }, expect, onTestFinished, skip: () => { throw SKIPPED; } };
  const line = one.suite.line;
  const after = [];
  const cleanUp = (result) => {
    if (typeof result === "function") after.unshift({ run: result });
  };
  for (const kind of ["beforeAll", "beforeEach"]) {
    for (const { hooks } of line) {
      for (const hook of hooks[kind]) if (errors.length === 0) cleanUp(await attempt(() => hook.run(context), hook.timeout, kind));
    }
  }
  if (errors.length === 0) await attempt(() => one.run(context), one.timeout, "the test");
  if (errors.includes(SKIPPED)) return { skipped: true };
  errors.push(...assertionErrors());
  const reversed = line.toReversed();
  for (const kind of ["afterEach", "afterAll"]) {
    for (const { hooks } of reversed) for (const hook of hooks[kind].toReversed()) await attempt(() => hook.run(context), hook.timeout, kind);
  }
  for (const { run } of after) await attempt(run, undefined, "a hook's clean-up");
  for (const callback of finished.toReversed()) await attempt(() => callback(context), undefined, "onTestFinished");
  vi.useRealTimers();
  await attempt(() => app.settled(), undefined, "ctx.waitUntil");
  if (!one.fails) return { errors };
  return { errors: errors.length > 0 ? [] : [new Error("the test was to fail, and did not")] };
}

const SKIPPED = new Error("skipped");

function serializeError(error) {
  const { name = "Error", message, stack = "", diff } = processError(error);
  // The program that shows it decides about colours.
  const plain = diff === undefined ? null : `${diff}`.replaceAll(/\x1b\[\d+m/g, "");
  return { name: `${name}`, message: `${message}`, stack: `${stack}`, diff: plain };
}

/**
 * The component that the runner calls: { list: true } gives the tests, { run: id, ... } runs one. `module` is under test;
 * `host` has the functions of elias-test:triggers/settings.
 */
export function tests(module, host = undefined) {
  setComponent(module);
  setHost(host);
  return {
    async call(order) {
      if (order.list) return listTests();
      const { errors = [], skipped = false } = await runTest(testById(order.run), order.name, order);
      return { skipped, errors: errors.map(serializeError), snapshots: takenSnapshots() };
    },
  };
}

export { afterAll, afterEach, app, assert, beforeAll, beforeEach, clock, describe, expect, fake, it, should, suite, test, triggers, vi, vitest };
