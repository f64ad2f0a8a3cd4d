// What `elias/test` has for triggers: the component is called as the host calls it, jobs and events are recorded.
import assert from "node:assert/strict";
import { test } from "node:test";
import { newWorld } from "./world.mjs";

/** A world with the modules of tests, and a component under test. */
async function testing(component) {
  const native = await newWorld(({ file }) => !/^(?:vendor\/)?node\//.test(file));
  Object.assign(native, { logScripted: () => {}, logFields: () => {} });
  const module = (file) => import(new URL(`../src/${file}${native.world}`, import.meta.url));
  const { app, fake, tests } = await module("testing/index.js");
  tests({ default: component });
  const { jobs } = await module("capabilities/jobs.js");
  const { events } = await module("capabilities/events.js");
  const { step } = await module("capabilities/workflow.js");
  return { app, fake, jobs, events, step };
}

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
