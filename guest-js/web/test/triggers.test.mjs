// The handlers `scheduled`, `job` and `event`, as the engine calls them, and the modules `elias/jobs` and `elias/events`.
import assert from "node:assert/strict";
import { test } from "node:test";
import { newWorld } from "./world.mjs";

/** Runs a handler with a message; gives the world's fake host. */
async function run(name, message, handler) {
  const native = await newWorld();
  native.input = JSON.stringify(message);
  await native.handlers[name]({ [name]: handler });
  return native;
}

const MODULES = new URL("../src/capabilities/", import.meta.url);

test("a tick has what the host says, and nothing to decide", async () => {
  const tick = { name: "nightly", scheduledTime: 1_700_000_000_000, late: 12, attempt: 1, input: { full: true } };
  const native = await run("scheduled", tick, async (given, env, ctx) => {
    assert.deepEqual(given, tick);
    assert.equal(env.GREETING, "hello");
    assert.equal(ctx.executionId, "execution-1");
    return "ignored";
  });
  assert.deepEqual(native.calls, []);
});

test("the result of a job is its JSON", async () => {
  const job = { id: "1", name: "resize", input: { width: 2 }, attempt: 1, key: null, enqueuedAt: 5 };
  const result = async (handler) => (await run("job", job, handler)).calls;
  assert.deepEqual(await result(({ input }) => input.width * 2), [["output", "4"]]);
  assert.deepEqual(await result(async () => {}), [["output", "null"]]);
  await assert.rejects(result(() => 1n), { message: /^the result of the job handler has no JSON form/ });
  await assert.rejects(result(async () => { throw new RangeError("mine"); }), RangeError);
  await assert.rejects(run("job", job, undefined), { message: "the default export of the component has no job handler" });
});

test("jobs and events are retried and rejected", async () => {
  const decide = async (handler) => (await run("event", { id: "1", attempt: 1 }, handler)).calls;
  assert.deepEqual(await decide((event) => event.retry(1500.5, "busy")), [["retry", 1501, "busy"]]);
  assert.deepEqual(await decide(({ retry, reject }) => (retry(), reject())), [["retry", undefined, ""], ["reject", ""]]);
  assert.deepEqual(await decide((event) => event.reject(new Error("no"))), [["reject", "Error: no"]]);
  await assert.rejects(decide((event) => event.retry(-1)), RangeError);
  await assert.rejects(decide((event) => event.retry("5s")), RangeError);
});

test("each event of a batch has its own decision, and none acknowledges it", async () => {
  const batch = () => ({ subscription: "orders", events: [1, 2, 3].map((id) => ({ id: `${id}`, attempt: 1, retry: "x" })) });
  const decide = async (handler) => (await run("events", batch(), handler)).calls;
  const decided = await decide(async ({ subscription, events: [first, second] }) => {
    first.retry(1500.5, subscription);
    second.reject("no");
    second.retry();
  });
  const [[kind, output]] = decided;
  assert.equal(kind, "output");
  assert.deepEqual(JSON.parse(output), [
    { retry: { afterMs: 1501, reason: "orders" } }, { retry: { afterMs: null, reason: "" } }, null,
  ]);
  await assert.rejects(decide(({ events: [first] }) => first.retry(-1)), RangeError);
  await assert.rejects(decide(async () => { throw new TypeError("mine"); }), TypeError);
});

test("what a program does to the prototypes of built-ins does not change what was decided", async () => {
  const native = await newWorld();
  native.input = JSON.stringify({ subscription: "orders", events: [{ id: "1", attempt: 1 }, { id: "2", attempt: 1 }] });
  let output; // not in a list: the fake, too, must not ask what was damaged
  native.callOutput = (json) => void (output = json);
  const { ceil } = Math;
  Object.defineProperty(Array.prototype, 0, { set() {}, configurable: true });
  Object.prototype.get = () => 1;
  Math.ceil = () => 7;
  try {
    native.handlers.events({ events: ({ events }) => void events[0].retry(1.5) });
  } finally {
    delete Array.prototype[0];
    delete Object.prototype.get;
    Math.ceil = ceil;
  }
  assert.equal(output, '[{"retry":{"afterMs":2,"reason":""}},null]');
});

test("a delay without end is one that JSON has", async () => {
  const native = await run("events", { subscription: "orders", events: [{ id: "1", attempt: 1 }] }, ({ events: [event] }) => {
    event.retry(Infinity);
  });
  assert.deepEqual(native.calls, [["output", `[{"retry":{"afterMs":${Number.MAX_SAFE_INTEGER},"reason":""}}]`]]);
});

test("attributes of an event are not in the way of its methods, and these not in the way of a copy", async () => {
  const event = { id: "1", type: "a.b", retry: "x", reject: 1, data: null };
  const native = await run("event", event, (given) => {
    given.reject("why");
    assert.deepEqual(Object.keys(given), ["id", "type", "retry", "reject", "data"]);
  });
  assert.deepEqual(native.calls, [["reject", "why"]]);
});

test("jobs are enqueued as the host takes them", async () => {
  const { jobs } = await import(new URL("jobs.js?world=jobs", MODULES));
  const native = (await import("./native.mjs?world=jobs")).default;
  const sent = [];
  native.jobsEnqueue = async (job) => (sent.push(job), "id");
  native.jobsCancel = async (id) => void sent.push(id);
  const none = {
    priority: undefined, runAtMs: undefined, delayMs: undefined, key: undefined, concurrencyKey: undefined, after: [], target: undefined,
  };
  assert.equal(await jobs.enqueue("a"), "id");
  await jobs.enqueue("b", { n: [1] }, { priority: -5, runAt: new Date(7), key: "k", after: new Set(["x", "y"]), target: "other" });
  await jobs.enqueue("c", "text", { runAt: 7.5 });
  await jobs.enqueue("d", undefined, { delay: 0.2, concurrencyKey: "user-7" });
  assert.equal(await jobs.cancel("id"), undefined);
  assert.deepEqual(sent, [
    { ...none, name: "a", input: "null" },
    { ...none, name: "b", input: '{"n":[1]}', priority: -5, runAtMs: 7, key: "k", after: ["x", "y"], target: "other" },
    { ...none, name: "c", input: '"text"', runAtMs: 8 },
    { ...none, name: "d", input: "null", delayMs: 1, concurrencyKey: "user-7" },
    "id",
  ]);
  for (const [options, error] of [
    [{ runAt: 1, delay: 1 }, TypeError],
    [{ runAt: new Date(NaN) }, RangeError],
    [{ runAt: "tomorrow" }, RangeError],
    [{ delay: -1 }, RangeError],
    [{ priority: 1.5 }, RangeError],
    [{ priority: 2 ** 31 }, RangeError],
  ]) {
    await assert.rejects(jobs.enqueue("e", 1, options), error);
  }
  await assert.rejects(jobs.enqueue("e", () => {}), /the input of a job has no JSON form: it is a function/);
  assert.equal(sent.length, 5);
});

test("events are published as the host takes them", async () => {
  const { events } = await import(new URL("events.js?world=events", MODULES));
  const native = (await import("./native.mjs?world=events")).default;
  const sent = [];
  native.eventsPublish = async (...values) => (sent.push(values), "id");
  assert.equal(await events.publish("order.paid", { total: 5 }, { subject: 7, key: "k", delay: 10 }), "id");
  await events.publish("order.paid");
  await assert.rejects(events.publish("order.paid", Symbol("x")), TypeError);
  await assert.rejects(events.publish("order.paid", 1, { delay: Infinity }), RangeError);
  assert.deepEqual(sent, [
    ["order.paid", '{"total":5}', "7", "k", 10, 0],
    ["order.paid", "null", undefined, undefined, undefined, 0],
  ]);
});

test("jobs and events are parts of a transaction by its number", async () => {
  const [{ jobs }, { events }] = [
    await import(new URL("jobs.js?world=transactions", MODULES)),
    await import(new URL("events.js?world=transactions", MODULES)),
  ];
  const native = (await import("./native.mjs?world=transactions")).default;
  const sent = [];
  native.jobsEnqueue = async (job, transaction) => (sent.push(transaction), "id");
  native.eventsPublish = async (...values) => (sent.push(values[5]), "id");
  const tx = { [Symbol.for("elias.transaction")]: 7 };
  await jobs.enqueue("mail", 1, { tx });
  await events.publish("order.paid", 1, { tx });
  assert.deepEqual(sent, [7, 7]);
  // One that has to ask for its connection has a promise of its number.
  const asks = (answer) => ({ get [Symbol.for("elias.transaction")]() { return answer(); } });
  await jobs.enqueue("mail", 1, { tx: asks(async () => 8) });
  await events.publish("order.paid", 1, { tx: asks(async () => 9) });
  assert.deepEqual(sent, [7, 7, 8, 9]);
  const over = asks(async () => undefined);
  await assert.rejects(jobs.enqueue("mail", 1, { tx: over }), /tx must be an open transaction/);
  const gone = asks(async () => { throw new Error("the transaction is over"); });
  await assert.rejects(events.publish("order.paid", 1, { tx: gone }), /the transaction is over/);
  assert.equal(sent.length, 4);
  for (const wrong of [null, {}, 7, { [Symbol.for("elias.transaction")]: 0 }]) {
    await assert.rejects(jobs.enqueue("mail", 1, { tx: wrong }), /tx must be an open transaction of elias\/db/);
    await assert.rejects(events.publish("order.paid", 1, { tx: wrong }), TypeError);
  }
});
