// `app`: the component under test, called as the host calls it.
import { withBatchDecisions, withDecisions } from "../component/triggers.js";
import { Request } from "../fetch/request.js";
import { isResponse } from "../fetch/response.js";
import { registry } from "../internal/registry.js";
import { fakedEnv } from "./fake.js";
import { SUSPENDED, eventOf, withJournal } from "./journal.js";

/** The component under test, and the promises that it passed to ctx.waitUntil. */
let component;
let background = [];

/** Has `module` be the component under test. */
export const setComponent = (module) => void (component = module?.default ?? registry.formComponent);

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

/**
 * Runs a handler that decides about its message; an exception that leaves it is the test's, unless it had decided. Its
 * steps are kept in `journal`, if there is one.
 */
export async function decide(name, message, { env = fakedEnv(), ctx } = {}, journal = undefined) {
  let decision;
  withDecisions(message, {
    retry: (after, reason) => void (decision = { outcome: "retry", after, reason }),
    reject: (reason) => void (decision = { outcome: "dead", reason }),
  });
  try {
    const result = await withJournal(async () => handler(name)(message, env, contextOf(ctx)), journal);
    if (result === SUSPENDED) return { outcome: "suspended" };
    return decision ?? { outcome: "done", result: copyOf(result) };
  } catch (error) {
    if (decision === undefined) throw error;
    return decision;
  }
}

/** Runs the handler of batches; gives what became of each event. An exception that leaves it is the test's. */
export async function decideBatch(batch, { env = fakedEnv(), ctx } = {}) {
  const decided = withBatchDecisions(batch);
  await handler("events")(batch, env, contextOf(ctx));
  return Array.from(decided, (decision) => {
    if (decision === null) return { outcome: "done" };
    const { retry, reject } = decision;
    if (reject !== undefined) return { outcome: "dead", reason: reject.reason };
    return { outcome: "retry", after: retry.afterMs ?? undefined, reason: retry.reason };
  });
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
  async events(list, { subscription = "test", ...given } = {}) {
    const events = list.map(({ type, data, attempt = 1, ...attributes }) => ({ ...eventOf(type, data, attributes), attempt }));
    return decideBatch({ subscription, events }, given);
  },
  /** Waits for the promises that it passed to ctx.waitUntil. */
  async settled() {
    while (background.length > 0) await Promise.all(background.splice(0));
  },
});
