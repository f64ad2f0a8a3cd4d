// Triggers in `elias/test`: the component is called as the host calls it, jobs and events are recorded, and run by
// the clock of the test.
import assert from "node:assert/strict";
import { test } from "node:test";
import { newWorld } from "./world.mjs";

/** A world with the modules of tests, and a component under test. */
async function testing(component, host = undefined) {
  const native = await newWorld(({ file }) => !/^(?:vendor\/)?node\//.test(file));
  Object.assign(native, { logScripted: () => {}, logFields: () => {} });
  // A database whose statements have no rows. What the fakes have replaced, `dbControl` and `dbEnd`, stays.
  Object.assign(native, { dbBegin: () => 1, dbNext: async () => ({ rows: [], last: true }) });
  const module = (file) => import(new URL(`../src/${file}${native.world}`, import.meta.url));
  const { app, clock, fake, tests, triggers, vi } = await module("testing/index.js");
  tests({ default: component }, host);
  const { jobs } = await module("capabilities/jobs.js");
  const { events } = await module("capabilities/events.js");
  const { step } = await module("capabilities/workflow.js");
  return { app, clock, fake, jobs, events, native, step, triggers, vi };
}

test("jobs and events of a transaction are recorded if it commits", async () => {
  const { fake, jobs, events, native } = await testing({});
  const tx = (id) => ({ [Symbol.for("elias.transaction")]: id });
  const names = () => [...fake.jobs.enqueued.map(({ name }) => name), ...fake.events.published.map(({ type }) => type)];
  await jobs.enqueue("rolled back", null, { tx: tx(1) });
  await events.publish("rolled.back", null, { tx: tx(1) });
  native.dbControl(1, "rollback", 0);
  native.dbEnd(1);
  assert.deepEqual(names(), []);

  const id = await jobs.enqueue("kept", null, { tx: tx(2), key: "a" });
  native.dbControl(2, "savepoint", 1);
  await events.publish("undone", null, { tx: tx(2) });
  native.dbControl(2, "rollback-to", 1);
  await events.publish("kept.too", null, { tx: tx(2) });
  assert.deepEqual(names(), [], "it has not committed yet");
  native.dbControl(2, "commit", 0);
  native.dbEnd(2);
  assert.deepEqual(names(), ["kept", "kept.too"]);
  assert.equal(await jobs.enqueue("kept", null, { key: "a" }), id);
  await jobs.enqueue("dropped", null, { tx: tx(3), key: "a" });
  native.dbControl(3, "commit", 0);
  native.dbEnd(3);
  assert.deepEqual(names(), ["kept", "kept.too"], "a key that is taken");
});

test("schedules are fired, and what they enqueue and publish is recorded", async () => {
  const seen = [];
  const world = await testing({
    async scheduled(tick, env) {
      seen.push(tick, env.GREETING);
      const id = await world.jobs.enqueue("report", { day: 1 }, { key: "day-1", priority: 2 });
      assert.equal(await world.jobs.enqueue("report", { day: 2 }, { key: "day-1" }), id);
      await world.jobs.cancel(id);
      await world.events.publish("day.over", { day: 1 }, { subject: "1" });
    },
  });
  assert.equal(await world.app.schedule("nightly", { at: new Date(5), input: { full: true } }), undefined);
  assert.deepEqual(seen, [{ name: "nightly", scheduledTime: 5, late: 0, attempt: 1, input: { full: true } }, "hello"]);
  const { after, ...job } = world.fake.jobs.enqueued[0];
  assert.deepEqual(JSON.parse(JSON.stringify(job)), { id: "job-1", name: "report", input: { day: 1 }, priority: 2, key: "day-1" });
  assert.equal(world.fake.jobs.enqueued.length, 1);
  assert.deepEqual(world.fake.jobs.cancelled, ["job-1"]);
  const published = JSON.parse(JSON.stringify(world.fake.events.published));
  assert.deepEqual(published, [{ id: "event-1", type: "day.over", data: { day: 1 }, subject: "1" }]);
});

test("events of a batch have an outcome each", async () => {
  const { app } = await testing({
    events({ subscription, events: [first, second] }) {
      first.retry(5, subscription);
      second.reject(second.data.why);
    },
  });
  const list = [{ type: "a" }, { type: "b", data: { why: "no" } }, { type: "c" }];
  assert.deepEqual(await app.events(list, { subscription: "s" }), [
    { outcome: "retry", after: 5, reason: "s" }, { outcome: "dead", reason: "no" }, { outcome: "done" },
  ]);
});

test("jobs give their result, or what they decided", async () => {
  const world = await testing({
    async job(job) {
      if (job.input === "busy") return job.retry(50, "busy");
      if (job.input === "bad") {
        job.reject("bad");
        throw new Error("after all");
      }
      if (job.input === "wrong") throw new Error("wrong");
      return { ...job.input, attempt: job.attempt };
    },
  });
  const { app } = world;
  assert.deepEqual(await app.job("resize", { a: 1 }, { attempt: 3 }), { outcome: "done", result: { a: 1, attempt: 3 } });
  assert.deepEqual(await app.job("resize", "busy"), { outcome: "retry", after: 50, reason: "busy" });
  assert.deepEqual(await app.job("resize", "bad"), { outcome: "dead", reason: "bad" });
  await assert.rejects(app.job("resize", "wrong"), /wrong/);
  await assert.rejects(app.event("a"), /the component has no event handler/);
});

test("steps run in jobs and events, and wait for events that are at hand", async () => {
  const world = await testing({
    async event(event) {
      const paid = await world.step.waitFor("order.*", { timeout: 5 });
      await world.step.sleep("a day", 86_400_000);
      await world.events.publish("seen", [event.data, paid?.data, await world.step("one", () => 1)]);
    },
    call: () => world.step("one", () => 1),
  });
  const { app, fake } = world;
  fake.events.arrive("orders.paid", 1);
  fake.events.arrive("order.paid", 2);
  assert.deepEqual(await app.event("go", 0, { subject: "s" }), { outcome: "done" });
  assert.deepEqual(await app.event("go", 0), { outcome: "done" });
  assert.deepEqual(fake.events.published.map(({ data }) => data), [[0, 2, 1], [0, null, 1]]);
  await assert.rejects(app.call(), { code: "not-in-a-job" });
});

/** A schedule every hour, two retries after a minute, one subscription. */
const host = {
  duration: (text) => ({ "1h": 3_600_000, "1m": 60_000, "1d": 86_400_000 })[text],
  nextTicks(after, until) {
    const due = (Math.floor(after / 3_600_000) + 1) * 3_600_000;
    return due <= until ? [{ schedule: "hourly", due, input: '{"full":true}' }] : [];
  },
  retryDelay: (handler, name, attempt) => (attempt < 3 ? 60_000 : undefined),
  deliveries(event) {
    const { type } = JSON.parse(event);
    if (type === "order.paid") return [{ subscription: "paid", event, batch: 1 }];
    return type === "order.sent" ? [{ subscription: "sent", event, batch: 2 }] : [];
  },
  matches: (type, filter, event) => JSON.parse(event).type === type,
};

/** Sets the clock until the test is over. Fake timers have parts for Node.js alone, which is known by its `process`. */
function setClock(t, { clock, vi }, time) {
  t.after(() => vi.useRealTimers());
  const { process } = globalThis;
  globalThis.process = undefined;
  try {
    clock.set(time);
  } finally {
    globalThis.process = process;
  }
}

test("the clock fires schedules at their times", async (t) => {
  const seen = [];
  const world = await testing({ scheduled: ({ name, scheduledTime, late, input }) => void seen.push([name, scheduledTime, late, Date.now(), input]) }, host);
  const { clock, triggers } = world;
  setClock(t, world, "1970-01-01T00:30:00Z");
  await clock.advance("1d");
  assert.deepEqual([seen.length, seen[0], clock.now()], [24, ["hourly", 3_600_000, 0, 3_600_000, { full: true }], 88_200_000]);
  await clock.advance(1_799_999);
  assert.equal(seen.length, 24);
  await clock.advance(1);
  assert.deepEqual([seen.length, triggers.ticks.at(-1)], [25, { name: "hourly", scheduledTime: 90_000_000 }]);
  await assert.rejects(clock.advance(-1), /1d/);
  assert.throws(() => clock.set("soon"), RangeError);
});

test("jobs run when they are due, and are tried again by the clock", async (t) => {
  const world = await testing({
    async job({ name, input, attempt }) {
      if (name === "twice") await world.jobs.enqueue("once", attempt, { delay: 3_600_000 });
      if (attempt <= (input?.fails ?? 0)) throw new Error("not yet");
      return attempt;
    },
  }, host);
  const { clock, jobs, triggers } = world;
  setClock(t, world, 0);
  const id = await jobs.enqueue("flaky", { fails: 1 });
  await jobs.enqueue("after", null, { after: [id], priority: 5 });
  await jobs.enqueue("twice", null, { runAt: 30_000 });
  await jobs.enqueue("hopeless", { fails: 9 }, { priority: 1 });
  await jobs.enqueue("falls", null, { after: ["job-4"] });
  const told = (runs) => runs.map(({ name, attempt, outcome }) => [name, attempt, outcome]);
  assert.deepEqual(told(await triggers.runJobs()), [["hopeless", 1, "retry"], ["flaky", 1, "retry"]]);
  await clock.advance("1m");
  const second = [["hopeless", 2, "retry"], ["flaky", 2, "done"], ["after", 1, "done"], ["twice", 1, "done"]];
  assert.deepEqual(told(await triggers.runJobs()), second);
  await clock.advance("1m");
  assert.deepEqual(told(await triggers.runJobs()), [["hopeless", 3, "dead"]]);
  const states = triggers.jobs.map(({ name, state, reason }) => [name, state, reason]);
  assert.deepEqual(states.slice(0, 3), [["flaky", "done", "not yet"], ["after", "done", undefined], ["twice", "done", undefined]]);
  assert.deepEqual(states.slice(3), [["hopeless", "dead", "not yet"], ["falls", "cancelled", undefined], ["once", "waiting", undefined]]);
});

test("steps of a job are kept between its attempts, and sleep by the clock", async (t) => {
  const done = [];
  const world = await testing({
    async job({ attempt }) {
      await world.step("one", () => void done.push(attempt));
      if (attempt === 1) await world.step("two", () => Promise.reject(new Error("not yet")));
      await world.step("two", () => void done.push("two"));
      await world.step.transaction("three", (tx) => void done.push(typeof tx.savepoint));
      await world.step.sleep("a day", 86_400_000);
      return (await world.step.waitFor("order.paid"))?.data;
    },
    event: (event) => event.data > 1 || event.reject("too small"),
    scheduled() {},
  }, host);
  const { clock, events, jobs, triggers } = world;
  setClock(t, world, 0);
  await jobs.enqueue("order", null);
  const outcomes = async () => (await triggers.runJobs()).map(({ outcome, result }) => result ?? outcome);
  assert.deepEqual(await outcomes(), ["retry"]);
  await clock.advance("1m");
  assert.deepEqual([await outcomes(), done], [["suspended"], [1, "two", "function"]]);
  await clock.advance("1d");
  assert.deepEqual([await outcomes(), done], [["suspended"], [1, "two", "function"]]);
  await events.publish("order.paid", 5);
  await events.publish("order.paid", 1, { delay: 60_000 });
  assert.deepEqual(await outcomes(), [5]);
  assert.deepEqual((await triggers.deliverEvents()).map(({ name, outcome }) => [name, outcome]), [["paid", "done"]]);
  await clock.advance("1m");
  assert.deepEqual((await triggers.deliverEvents()).map(({ reason }) => reason), ["too small"]);
  assert.deepEqual(triggers.events.map(({ id, time }) => [id, time]), [["event-1", 86_460_000], ["event-2", 86_520_000]]);
});

test("events of a subscription with batches are delivered at once, and each has its own attempts", async (t) => {
  const seen = [];
  const world = await testing({
    events({ subscription, events: [...batch] }) {
      seen.push([subscription, ...batch.map(({ data, attempt }) => [data, attempt])]);
      if (batch.some(({ data }) => data === "throws")) throw new Error("all of them");
      batch.find(({ data, attempt }) => data === "again" && attempt === 1)?.retry(60_000, "busy");
      batch.find(({ data }) => data === "never")?.reject("no");
    },
  }, host);
  const { clock, events, triggers } = world;
  setClock(t, world, 0);
  const told = async () => (await triggers.deliverEvents()).map(({ id, attempt, outcome, reason }) => [id, attempt, outcome, reason]);
  for (const data of ["again", "never", "fine"]) await events.publish("order.sent", data);
  assert.deepEqual(await told(), [
    ["event-1 sent", 1, "retry", "busy"], ["event-2 sent", 1, "dead", "no"], ["event-3 sent", 1, "done", undefined],
  ]);
  await events.publish("order.sent", "throws");
  await clock.advance("1m");
  assert.deepEqual(await told(), [["event-1 sent", 2, "retry", "all of them"], ["event-4 sent", 1, "retry", "all of them"]]);
  assert.deepEqual(seen, [
    ["sent", ["again", 1], ["never", 1]], ["sent", ["fine", 1]], ["sent", ["again", 2], ["throws", 1]],
  ]);
});
