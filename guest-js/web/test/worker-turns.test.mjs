// The turns of service workers: alarms, events, limits, and how a turn ends.
import assert from "node:assert/strict";
import { test } from "node:test";
import { NOW, component } from "./worker-component.mjs";

test("alarms are set and cleared by name, and are due by the worker's own time", async () => {
  const { run, call, native } = await component(({ worker }) => ({
    Cart: class extends worker.Worker {
      alarms = [];
      onAlarm(alarm) {
        this.alarms.push(alarm);
      }
      after(...args) {
        worker.after(...args);
      }
      cancel(name) {
        return worker.cancel(name);
      }
      seen() {
        return this.alarms;
      }
    },
  }));
  await run("start");
  const { timers } = await call("after", 60_000, "expire");
  assert.deepEqual(timers.alarm, [{ name: "expire", at: NOW + 2_000 + 60_000 }]);
  assert.deepEqual((await call("after", 0.5, "expire")).timers.alarm, [{ name: "expire", at: NOW + 3_001 }]);
  const cleared = await call("cancel", "expire");
  assert.deepEqual([cleared.answer, cleared.timers.alarm], [true, [{ name: "expire", at: null }]]);
  const again = await call("cancel", "expire");
  assert.deepEqual([again.answer, again.timers.alarm], [false, []]);
  await call("after", 0, "now");
  await run("alarm", { alarm: { name: "now", at: NOW + 6_000 } });
  assert.deepEqual((await call("seen")).answer, [{ name: "now", at: NOW + 6_000 }]);
  assert.equal((await call("cancel", "now")).answer, false);
  assert.deepEqual(native.turn.slice(0, 2), [NOW + 9_000, 8_000]);
  const refused = async (error, ...args) => assert.rejects((await alarmed()).call("after", ...args), error);
  for (const wrong of [-1, NaN, Infinity, "5", undefined, 9e15]) await refused(RangeError, wrong, "x");
  for (const wrong of ["", undefined, 5, "half of a pair: \udc00"]) await refused(TypeError, 1, wrong);
});

/** A worker whose methods set alarms, send and emit. */
async function alarmed() {
  const made = await component(({ worker, workers }) => ({
    Cart: class extends worker.Worker {
      after(...args) {
        worker.after(...args);
      }
      many(count, what) {
        for (let at = 0; at < count; at += 1) {
          if (what === "alarms") worker.after(1, `${at}`);
          if (what === "events") worker.emit("event", at);
          if (what === "sends") workers.get("Cart", "b").add(at).catch((error) => (this.error = error));
        }
        return "done";
      }
      flicker(count) {
        for (let at = 0; at < count; at += 1) {
          worker.after(1, `${at}`);
          worker.cancel(`${at}`);
        }
        worker.after(5, "last");
      }
      others(count) {
        for (let at = 0; at < count; at += 1) {
          worker.cancel(`${at}`);
          worker.after(1, `other ${at}`);
        }
      }
      again(name) {
        worker.cancel(name);
        worker.after(9, name);
        worker.cancel(name);
      }
      long(count) {
        for (let at = 0; at < count; at += 1) worker.emit("event", "x".repeat(1_000_000));
      }
      error() {
        return this.error;
      }
    },
  }));
  await made.run("start");
  return made;
}

test("the host does not hear of alarms that came and went in one turn, but of all that it knows", async () => {
  const { call } = await alarmed();
  const { timers } = await call("flicker", 2_001);
  assert.deepEqual(timers.alarm, [{ name: "last", at: NOW + 2_000 + 5 }]);
  assert.deepEqual((await call("again", "last")).timers.alarm, [{ name: "last", at: null }]);
  assert.deepEqual((await call("again", "last")).timers.alarm, []);
  await call("many", 1_000, "alarms");
  assert.equal((await call("others", 1_000)).timers.alarm.length, 2_000);
});

test("what a handler gives is the answer, at once or awaited, and no turn tells what the one before told", async () => {
  const { native, run, call } = await component(({ worker }) => ({
    Cart: class extends worker.Worker {
      give(value) {
        return value;
      }
      thenable() {
        return { then: (resolve) => resolve({ a: [1] }) };
      }
      fail() {
        throw new RangeError("no");
      }
      tell() {
        worker.emit("told", 1);
        worker.after(1, "soon");
      }
    },
  }));
  await run("start");
  const values = [1, -0, NaN, "a", "", true, null, undefined, 5n, [], [1, null, "b"], [[1]], [undefined], { a: 1 }];
  for (const value of values) {
    assert.deepEqual((await call("give", value)).answer, value);
  }
  assert.deepEqual((await call("thenable")).answer, { a: [1] });
  const { emitted, timers } = await call("tell");
  assert.deepEqual([emitted.length, timers.alarm.length], [1, 1]);
  const { emitted: none, timers: unchanged } = await call("give", 1);
  assert.deepEqual([none, unchanged.alarm], [[], []]);
  const turn = { kind: "call", class: "Cart", name: "a", id: "9", now: NOW, method: "give" };
  native.input = JSON.stringify({ ...turn, args: '[1,[2],["array",7]]' });
  assert.equal(native.worker.begin(), undefined, "a value that is there needs no promise");
  const json = native.worker.finish(true, 0, '{"set":[],"cleared":[]}');
  assert.deepEqual(JSON.parse(json), { state: "done", id: "9", answer: "[1,7]" });
  await assert.rejects(call("fail"), { name: "RangeError" });
});

test("a turn has a limit on what it sets and sends", async () => {
  for (const what of ["alarms", "events"]) {
    assert.equal((await (await alarmed()).call("many", 1_000, what)).answer, "done");
    await assert.rejects((await alarmed()).call("many", 1_001, what), { name: "RangeError", message: /1000/ });
  }
  const sends = await (await alarmed()).call("many", 1_001, "sends");
  assert.equal(sends.sends.length, 1_000);
  assert.equal((await (await alarmed()).call("long", 8)).emitted.length, 8);
  await assert.rejects((await alarmed()).call("long", 9), { name: "RangeError", message: /8388608/ });
});

test("a worker may have many calls without an answer, but not endlessly many", async () => {
  const { call } = await alarmed();
  for (let turn = 0; turn < 10; turn += 1) await call("many", 1_000, "sends");
  const over = await call("many", 1, "sends");
  assert.deepEqual(over.sends, []);
  assert.match((await call("error")).answer.message, /^10000 calls of other workers have no answer yet/);
});

test("what a handler awaits decides how its turn ends", async () => {
  let fire;
  const make = () => component(({ worker }) => ({
    Cart: class extends worker.Worker {
      async timer() {
        await new Promise((resolve) => (fire = resolve));
        return "fired";
      }
      async never() {
        await new Promise(() => {});
      }
      async fails() {
        throw new RangeError("no");
      }
      uncloneable() {
        return () => {};
      }
    },
  }));
  const { native, run, call } = await make();
  await run("start");
  native.timers = 1;
  assert.equal((await call("timer")).state, "waiting");
  native.fireTimer = (timer) => {
    assert.equal(timer, 7);
    native.timers = 0;
    fire();
  };
  const { state, id, answer } = await run("timer", { id: "9", timer: 7 });
  assert.deepEqual([state, id, answer], ["done", "2", "fired"]);
  for (const [method, error] of [
    ["never", { message: "never-settles" }],
    ["fails", { name: "RangeError", message: "no" }],
    ["uncloneable", { name: "DataCloneError" }],
  ]) {
    const fresh = await make();
    await fresh.run("start");
    await assert.rejects(fresh.call(method), error);
  }
});

test("events of a worker are told with their values", async () => {
  const { run, call } = await component(({ worker }) => ({
    Cart: class extends worker.Worker {
      sell() {
        worker.emit("sold", new Set([1]));
        worker.emit("empty");
      }
    },
  }));
  await run("start");
  const { emitted } = await call("sell");
  assert.deepEqual(emitted, [{ event: "sold", value: new Set([1]) }, { event: "empty", value: undefined }]);
});

test("configuration is read anew in each turn", async () => {
  const { native, run, call } = await component(({ worker }) => ({
    Cart: class extends worker.Worker {
      async greeting() {
        return native.config.require("GREETING");
      }
    },
  }));
  native.config = (await import(`../src/capabilities/config.js${native.world}`)).config;
  await run("start");
  assert.equal((await call("greeting")).answer, "hello");
  native.configGet = () => "goodbye";
  assert.equal((await call("greeting")).answer, "goodbye");
});

test("turns that do not fit the worker are refused", async () => {
  const make = () => component(({ worker }) => ({ Cart: class extends worker.Worker {} }));
  const { run, call, encode } = await make();
  await assert.rejects(call("add"), /the worker Cart a was not started/);
  await assert.rejects((await make()).run("start", { class: "Other" }), /the component exports no worker class Other/);
  await assert.rejects((await make()).run("start", { name: "" }), TypeError);
  await run("start");
  await assert.rejects(run("start"), /was started already/);
  await assert.rejects(run("stop", { name: "b" }), /this is the worker Cart a, not Cart b/);
  await assert.rejects(run("constructor"), /a turn of an unknown kind: constructor/);
  await assert.rejects(run("message", { message: encode(1) }), /the worker class Cart has no onMessage/);
});

test("a default export that is a worker is a mistake", async () => {
  const made = component(({ worker }) => ({ default: class extends worker.Worker {} }));
  await assert.rejects(made, /must be a named export/);
});
