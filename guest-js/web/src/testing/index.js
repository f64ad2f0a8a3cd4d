// The module `elias/test`: test files import it, and the runner, `elias test`, calls it. Each test runs in an instance
// of its own.
import { withBatchDecisions, withDecisions } from "../component/triggers.js";
import { Request } from "../fetch/request.js";
import { isResponse } from "../fetch/response.js";
import { registry } from "../internal/registry.js";
import { processError } from "../vendor/testing/expect.js";
import { assert, assertionErrors, beginAssertions, expect, should } from "./expect.js";
import { eventOf, fake, fakedEnv, withJournal } from "./fake.js";
import { beginSnapshots, takenSnapshots } from "./snapshot.js";
import { afterAll, afterEach, beforeAll, beforeEach, describe, it, listTests, suite, test, testById } from "./suite.js";
import { vi, vitest } from "./vi.js";

const TIMEOUT_MS = 5000;
const realSetTimeout = globalThis.setTimeout;
const realClearTimeout = globalThis.clearTimeout;

/** The component under test, and the promises that it passed to ctx.waitUntil. */
let component;
let background = [];
let finished = [];

const contextOf = (given) => ({
  tenantId: undefined,
  userId: undefined,
  organizationId: undefined,
  claims: undefined,
  clientAddress: undefined,
  executionId: "test",
  deadline: Date.now() + 10_000,
  waitUntil: (promise) => void background.push(Promise.resolve(promise)),
  ...given,
});

const handler = (name) => {
  if (typeof component?.[name] !== "function") throw new TypeError(`the component has no ${name} handler`);
  return component[name].bind(component);
};

const copyOf = (value) => (value === undefined ? null : JSON.parse(JSON.stringify(value)));

/** Runs a handler that decides about its message; an exception that leaves it is the test's, unless it had decided. */
async function decide(name, message, { env = fakedEnv(), ctx } = {}) {
  let decision;
  withDecisions(message, {
    retry: (after, reason) => void (decision = { outcome: "retry", after, reason }),
    reject: (reason) => void (decision = { outcome: "dead", reason }),
  });
  try {
    const result = await withJournal(async () => handler(name)(message, env, contextOf(ctx)));
    return decision ?? { outcome: "done", result: copyOf(result) };
  } catch (error) {
    if (decision === undefined) throw error;
    return decision;
  }
}

/** The component under test, called as the host calls it. */
export const app = Object.freeze({
  /** Sends it a request: a path, a URL or a Request. */
  async fetch(input, init = undefined, { env = fakedEnv(), ctx } = {}) {
    const request = typeof input === "string" ? new Request(new URL(input, "http://localhost/"), init) : new Request(input, init);
    const response = await handler("fetch")(request, env, contextOf(ctx));
    if (!isResponse(response)) throw new TypeError("the fetch handler must return a Response");
    return response;
  },
  /** Calls it: JSON in, JSON out. */
  async call(input = null, { env = fakedEnv(), ctx } = {}) {
    return copyOf(await handler("call")(copyOf(input), env, contextOf(ctx)));
  },
  /** Fires a schedule. */
  async schedule(name, { at = Date.now(), late = 0, attempt = 1, input = null, env = fakedEnv(), ctx } = {}) {
    const tick = { name: `${name}`, scheduledTime: Number(at), late, attempt, input: copyOf(input) };
    await handler("scheduled")(tick, env, contextOf(ctx));
  },
  /** Runs a job; gives what became of it: { outcome, result }. */
  async job(name, input = null, { id = "test-job", key = null, attempt = 1, enqueuedAt = Date.now(), ...given } = {}) {
    return decide("job", { id, name: `${name}`, input: copyOf(input), attempt, key, enqueuedAt: Number(enqueuedAt) }, given);
  },
  /** Delivers an event; gives what became of it: { outcome }. */
  async event(type, data = null, { attempt = 1, env, ctx, ...attributes } = {}) {
    const { result, ...end } = await decide("event", { ...eventOf(type, data, attributes), attempt }, { env, ctx });
    return end;
  },
  /** Delivers a batch: a list of { type, data, attempt, ...attributes }; gives what became of each event. */
  async events(list, { subscription = "test", env = fakedEnv(), ctx } = {}) {
    const events = list.map(({ type, data, attempt = 1, ...attributes }) => ({ ...eventOf(type, data, attributes), attempt }));
    const batch = { subscription, events };
    const decided = withBatchDecisions(batch);
    await handler("events")(batch, env, contextOf(ctx));
    return decided.map((decision) => {
      if (decision === null) return { outcome: "done" };
      const { retry, reject } = decision;
      return retry ? { outcome: "retry", after: retry.afterMs ?? undefined, reason: retry.reason } : { outcome: "dead", reason: reject.reason };
    });
  },
  /** Waits for the promises that it passed to ctx.waitUntil. */
  async settled() {
    while (background.length > 0) await Promise.all(background.splice(0));
  },
});

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

/** The component that the runner calls: { list: true } gives the tests, { run: id, ... } runs one. `module` is under test. */
export function tests(module) {
  component = module?.default ?? registry.formComponent;
  return {
    async call(order) {
      if (order.list) return listTests();
      const { errors = [], skipped = false } = await runTest(testById(order.run), order.name, order);
      return { skipped, errors: errors.map(serializeError), snapshots: takenSnapshots() };
    },
  };
}

export { afterAll, afterEach, assert, beforeAll, beforeEach, describe, expect, fake, it, should, suite, test, vi, vitest };
