// The module `elias/eiasw`: services as workers, called from another instance of the same component.
import assert from "node:assert/strict";
import { test } from "node:test";
import { component } from "./worker-component.mjs";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** An instance of a component that `define` gives the services of. */
async function instanceOf(define) {
  let eiasw;
  const made = await component(async ({ worker, world }) => {
    eiasw = await import(`../src/capabilities/eiasw.js${world}`);
    return (await define({ ...eiasw, worker })) ?? {};
  });
  return { ...made, ...eiasw };
}

/**
 * A component with services: an instance that calls them, and `emitted`, the events of their workers. Each worker has
 * an instance of its own, as it has with a host; but what a turn that threw has changed is not put back.
 */
async function serviced(define) {
  const emitted = [];
  const workers = new Map();
  const caller = await instanceOf(define);
  const { encode, native } = caller;
  async function workerOf(name) {
    if (!workers.has(name)) {
      const made = await instanceOf(define);
      const { instance } = await import(`../src/workers/turn.js${made.native.world}`);
      const turn = async (kind, more) => {
        try {
          const result = await made.run(kind, { class: name, name, ...more });
          emitted.push(...result.emitted.map(({ event, value }) => [event, value.name]));
          return result.answer;
        } catch (error) {
          instance.handler = instance.output = undefined;
          throw error;
        }
      };
      await turn("start");
      workers.set(name, { ...made, turn });
    }
    return workers.get(name);
  }
  native.workersCall = async (className, name, method, value, id) => {
    assert.equal(name, className);
    // The host's message has the UUID that `send` gives.
    assert.equal(id, method === "deliver" ? JSON.parse(value)[2][1] : undefined);
    try {
      const { turn } = await workerOf(name);
      return encode(await turn("call", { method, args: value }));
    } catch ({ name, message }) {
      return { code: "exception", name, message };
    }
  };
  return { ...caller, emitted, workerOf };
}

/** A counter, and a service that has nothing. */
const counter = ({ registry }) => {
  registry.register("counter", {
    onStart: async (context) => {
      if (context.fails) throw new Error("it cannot start");
      context.count = (context.count ?? 0) + 10;
    },
    onMessage: async ({ by, ids }, context, { id }) => {
      if (by === undefined) throw new RangeError("by how many?");
      context.count += by;
      if (by === "fail") context.fails = () => {};
      return ids ? { id } : { count: context.count };
    },
    onStop: async (context) => {
      context.stopped = true;
    },
    onAlarm: (alarm, context) => (context.alarm = alarm.name),
  });
  registry.register("empty", {});
};

test("services are classes of workers, found without being exported", async () => {
  const { classes, registry } = await instanceOf(({ registry, ServiceRegistry, ServiceWorker }) => {
    counter({ registry });
    assert.deepEqual(registry.list(), ["counter", "empty"]);
    new ServiceRegistry().register("9pfs", {});
    const service = new ServiceWorker("alone", {});
    assert.deepEqual([service.name, service.state, { ...service.getState() }], [
      "alone", "stopped", { name: "alone", state: "stopped", queueLength: 0, context: {} },
    ]);
    assert.throws(() => registry.register("counter", {}), /Service counter is already registered/);
    assert.throws(() => new ServiceWorker("counter", {}), /the service counter is there already/);
    for (const wrong of [undefined, null, () => {}]) assert.throws(() => registry.register("x", wrong), TypeError);
    for (const wrong of ["", 5, "\ud800"]) assert.throws(() => registry.register(wrong, {}), TypeError);
  });
  assert.deepEqual(classes, ["9pfs", "alone", "counter", "empty"]);
  assert.throws(() => registry.register("late", {}), /the service can be made by the top level only/);
  const clash = instanceOf(({ registry, worker }) => {
    registry.register("Cart", {});
    return { Cart: class extends worker.Worker {} };
  });
  await assert.rejects(clash, /the export Cart has the name of a service/);
});

test("a service is started, answers, and is stopped; its context stays", async () => {
  const { registry, emitted, workerOf } = await serviced(counter);
  const heard = [];
  for (const event of ["starting", "started", "stopping", "stopped", "restarted", "message"]) {
    registry.on(`service:${event}`, ({ name }) => heard.push(`${event} ${name}`));
  }
  const stopped = { name: "Error", message: "ServiceWorker counter is not running (state: stopped)" };
  await assert.rejects(registry.send("counter", { by: 1 }), stopped);
  assert.equal(await registry.start("counter"), true);
  assert.deepEqual(await registry.send("counter", { by: 5 }), { count: 15 });
  await assert.rejects(registry.start("counter"), /ServiceWorker counter is already running/);
  assert.equal(await registry.stop("counter"), true);
  assert.equal(await registry.stop("counter"), true);
  await assert.rejects(registry.send("counter", { by: 1 }), stopped);
  assert.equal(await registry.get("counter").start(), true);
  assert.equal(await registry.restart("counter"), true);
  assert.deepEqual(await registry.send("counter", { by: 0 }), { count: 35 });
  assert.deepEqual(heard, [
    "starting counter", "started counter", "message counter", "stopping counter", "stopped counter", "starting counter",
    "started counter", "stopping counter", "stopped counter", "starting counter", "started counter",
    "restarted counter", "message counter",
  ]);
  assert.deepEqual(emitted.map(([event]) => event), [
    "started", "message", "stopped", "started", "stopped", "started", "restarted", "message",
  ]);
  await registry.stop("counter");
  heard.length = 0;
  await registry.restart("counter");
  assert.deepEqual(heard, ["starting counter", "started counter", "restarted counter"], "it did not run before");
  // Whoever knows no service sends a message of workers.
  const { turn, encode } = await workerOf("counter");
  assert.deepEqual(await turn("message", { message: encode({ by: 1 }) }), { count: 46 });
  await turn("alarm", { alarm: { name: "ring", at: 1 } });
  assert.equal((await registry.getState("counter")).context.alarm, "ring");
});

test("a message has a UUID, and one that throws rejects its sender alone", async () => {
  const { registry } = await serviced(counter);
  await registry.startAll();
  const service = registry.get("counter");
  const heard = [];
  service.on("message", ({ name, id }) => heard.push(["message", name, id]));
  service.on("error", ({ name, id, error }) => heard.push(["error", name, id, error.message]));
  const first = service.send({ by: 1, ids: true });
  assert.match(first.id, UUID);
  assert.equal(service.getState().queueLength, 1);
  assert.deepEqual(await first, { id: first.id });
  const fails = service.send({});
  await assert.rejects(fails, { name: "RangeError", message: "by how many?" });
  assert.deepEqual(await service.send({ by: 1 }), { count: 12 });
  assert.deepEqual(heard.slice(0, 2), [
    ["message", "counter", first.id], ["error", "counter", fails.id, "by how many?"],
  ]);
  await assert.rejects(registry.send("empty", 1), /the service empty has no onMessage/);
  await assert.rejects(registry.send("nobody", 1), /Service nobody is not registered/);
  await assert.rejects(registry.start("nobody"), /Service nobody is not registered/);
});

test("the state is what was heard, and awaited what the worker says", async () => {
  const { registry, workerOf } = await serviced(counter);
  const { turn, encode } = await workerOf("counter");
  await turn("call", { method: "start", args: encode([]) });
  assert.equal(registry.status().counter.state, "stopped");
  const { counter: now, empty } = await registry.status();
  assert.deepEqual(now, { name: "counter", state: "running", queueLength: 0, context: { count: 10 } });
  assert.equal(empty.state, "stopped");
  assert.equal(registry.get("counter").state, "running");
  assert.deepEqual(registry.get("counter").context, { count: 10 });
  await registry.send("counter", { by: "fail" });
  assert.deepEqual((await registry.getState("counter")).context, { count: "10fail", fails: "[Function (anonymous)]" });
  await registry.stop("counter");
  const errors = [];
  registry.on("service:error", ({ name, error }) => errors.push([name, error.message]));
  await assert.rejects(registry.start("counter"), /it cannot start/);
  assert.deepEqual(errors, [["counter", "it cannot start"]]);
  assert.equal(registry.get("counter").state, "error");
  assert.equal((await registry.getState("counter")).state, "stopped", "the turn was undone");
});

test("all are started and stopped, and one that is unregistered is empty", async () => {
  const { registry, workerOf } = await serviced(counter);
  const heard = [];
  registry.on("unregistered", ({ name }) => heard.push(name));
  assert.deepEqual(await registry.startAll(), [true, true]);
  assert.deepEqual(await registry.startAll(), [false, false]);
  assert.deepEqual(await registry.stopAll(), [true, true]);
  await registry.startAll();
  assert.equal(await registry.unregister("counter"), true);
  assert.deepEqual([registry.list(), registry.get("counter"), heard], [["empty"], undefined, ["counter"]]);
  await assert.rejects(registry.send("counter", 1), /not registered/);
  const { turn, encode } = await workerOf("counter");
  const state = await turn("call", { method: "getState", args: encode([]) });
  assert.deepEqual(state, { name: "counter", state: "stopped", context: {} });
});

test("what the top level starts, the first message finds running", async () => {
  const { registry } = await serviced(async ({ registry, ServiceWorker }) => {
    counter({ registry });
    assert.deepEqual(await registry.startAll(), [true, true]);
    await assert.rejects(registry.send("counter", { by: 1 }), /the top level runs when the component is built/);
    await registry.stop("empty");
    registry.register("gone", {});
    await registry.unregister("gone");
    registry.register("gone", { onMessage: () => "again" });
    await new ServiceWorker("alone", { onMessage: () => 1 }).start();
  });
  assert.equal(registry.get("counter").state, "running");
  assert.deepEqual(await registry.send("counter", { by: 1 }), { count: 11 });
  await assert.rejects(registry.send("empty", 1), /is not running \(state: stopped\)/);
});

test("a service moves into a new version with its context, and is in the state that it was in", async () => {
  const { workerOf, registry } = await serviced(counter);
  await registry.start("counter");
  const { turn } = await workerOf("counter");
  const state = await turn("export");
  for (const onUpgrade of [undefined, ({ version }, context) => void (context.from = version)]) {
    const { run, encode } = await instanceOf((eiasw) => {
      eiasw.registry.register("counter", { onUpgrade, onMessage: async (_, context) => context });
    });
    const told = { class: "counter", name: "counter" };
    await run("upgrade", { ...told, version: "1.2.3", state });
    const { answer } = await run("message", { ...told, message: encode(1) });
    assert.deepEqual(answer, { count: 10, ...(onUpgrade && { from: "1.2.3" }) });
  }
});

test("a service has sockets while it runs", async () => {
  const { registry, workerOf } = await serviced(({ registry }) => {
    registry.register("room", {
      onStart: (context) => (context.heard = []),
      onWebSocketMessage: (socket, message, context) => context.heard.push([socket.id, message]),
      onClose: (socket, code, reason, context) => context.heard.push([socket.id, code, reason]),
    });
  });
  const { turn } = await workerOf("room");
  const request = { url: "http://chat.example/", headers: [], protocol: "" };
  await registry.start("room");
  await turn("open", { socket: "s1", request });
  await turn("socket-message", { socket: "s1", text: "hello" });
  await registry.stop("room");
  await assert.rejects(turn("socket-message", { socket: "s1", text: "late" }), /room is not running/);
  await turn("close", { socket: "s1", code: 1001, reason: "away" });
  const { context } = await registry.getState("room");
  assert.deepEqual(context.heard, [["s1", "hello"], ["s1", 1001, "away"]]);
});

test("a service sees itself as it is", async () => {
  const { registry } = await serviced(({ registry }) => {
    const service = registry.register("self", {
      onMessage: async (message, context) => {
        context.seen = message;
        return [service.state, service.context === context, (await service.getState()).context];
      },
    });
  });
  await registry.start("self");
  assert.deepEqual(await registry.send("self", 5), ["running", true, { seen: 5 }]);
});

test("listeners come and go", async () => {
  const { registry } = await instanceOf(counter);
  const heard = [];
  const listener = (value) => heard.push(value);
  registry.on("a", listener).once("a", listener).on("b", () => heard.push("b"));
  assert.equal(registry.emit("a", 1), true);
  assert.equal(registry.emit("a", 2), true);
  registry.off("a", listener).off("a", listener).off("none", listener);
  assert.deepEqual([registry.emit("a", 3), registry.emit("none"), heard], [false, false, [1, 1, 2]]);
  assert.throws(() => registry.on("a", 5), TypeError);
});
