// The module `elias/workers`: classes of service workers, and calls between them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { component, quiet } from "./worker-component.mjs";

test("a worker keeps its object, and its context, from turn to turn", async () => {
  const seen = [];
  const { classes, run, call, encode } = await component(({ worker }) => ({
    Cart: class Cart extends worker.Worker {
      items = new Map();
      #added = 0;
      async onStart(context) {
        context.started = worker.name;
      }
      async onMessage(message, context) {
        context.messages = (context.messages ?? 0) + 1;
        return { message, context };
      }
      async add(sku, n) {
        this.items.set(sku, n);
        this.#added += n;
        return this.items;
      }
      total() {
        return this.#added;
      }
      onStop(reason) {
        seen.push(reason);
      }
    },
    helper() {},
    Plain: class {},
    Base: worker.Worker,
  }));
  assert.deepEqual(classes, ["Cart"]);
  assert.deepEqual(await run("start"), { state: "done", id: "1", answer: null, ...quiet });
  assert.deepEqual(await call("add", "A1", 2), { state: "done", id: "2", answer: new Map([["A1", 2]]), ...quiet });
  assert.deepEqual((await call("add", "B1", 3)).answer, new Map([["A1", 2], ["B1", 3]]));
  assert.equal((await call("total")).answer, 5);
  await run("message", { message: encode("one") });
  const { answer } = await run("message", { message: encode(new Set([2])) });
  assert.deepEqual(answer, { message: new Set([2]), context: { started: "a", messages: 2 } });
  assert.equal((await run("stop", { reason: "idle" })).answer, null);
  assert.deepEqual(seen, ["idle"]);
});

test("an object of handlers is a class too", async () => {
  const { classes, worker, run, call, encode } = await component(({ worker }) => ({
    Cart: worker({
      count: 0,
      onMessage(message) {
        return (this.count += message);
      },
      double() {
        return this.count * this.two;
      },
      get two() {
        return 2;
      },
    }),
  }));
  assert.deepEqual(classes, ["Cart"]);
  await run("start");
  assert.equal((await run("message", { message: encode(3) })).answer, 3);
  assert.equal((await call("double")).answer, 6);
  for (const wrong of [undefined, null, "Cart", { constructor() {} }]) assert.throws(() => worker(wrong), TypeError);
});

test("a call names a method of the class, and nothing else", async () => {
  let object;
  const { native, run, call } = await component(({ worker }) => {
    class Base extends worker.Worker {
      inherited() {
        return "inherited";
      }
    }
    return {
      Cart: class Cart extends Base {
        field = () => "a field";
        #hidden() {}
        static make() {}
        get getter() {
          return () => "a getter";
        }
        once() {
          object = this;
          return this.#hidden();
        }
        onMessage() {}
        onlyIf() {
          return "a method";
        }
        toString() {
          return "its own";
        }
      },
    };
  });
  await run("start");
  assert.equal((await call("inherited")).answer, "inherited");
  assert.equal((await call("onlyIf")).answer, "a method");
  assert.equal((await call("toString")).answer, "its own");
  await call("once");
  const refused = { name: "TypeError", message: /^no such method: Cart has no .* that can be called$/ };
  const names = [
    "constructor", "onMessage", "onStart", "onUpgrade", "#hidden", "make", "getter", "field", "hasOwnProperty",
    "valueOf", "__proto__",
    "__defineGetter__", "missing", "", "once.call", 5, null, ["inherited"], "x".repeat(10_000),
  ];
  const { methodOf } = await import(`../src/workers/classes.js${native.world}`);
  for (const name of names) assert.throws(() => methodOf(object, "Cart", name), refused, String(name).slice(0, 40));
  await assert.rejects(call("missing"), refused);
});

test("methods that serve files can be called, and no other handler", async () => {
  const { run, call } = await component(({ worker }) => ({
    Cart: class Cart extends worker.Worker {
      onWalk(path) {
        return { type: path.length === 0 ? "directory" : "file" };
      }
      onRead(path, offset, count) {
        return new Uint8Array([1, 2, 3]).subarray(offset, offset + count);
      }
      onWrite(path, bytes) {
        return bytes.length;
      }
      onWalks() {}
    },
  }));
  await run("start");
  assert.deepEqual((await call("onWalk", [])).answer, { type: "directory" });
  assert.deepEqual((await call("onRead", ["a"], 1, 1)).answer, new Uint8Array([2]));
  assert.equal((await call("onWrite", ["a"], new Uint8Array(3), 0, { truncate: false })).answer, 3);
  await assert.rejects(call("onWalks"), /no such method/);
});

test("calls of other workers are sent, and their answers go on where they were awaited", async () => {
  const { native, run, call, encode } = await component(({ worker, workers }) => ({
    Cart: class Cart extends worker.Worker {
      async order(sku) {
        const stock = workers.get("Stock", "all");
        const [left, note] = await Promise.all([stock.take(sku, 1), stock.send({ sku })]);
        this.left = left;
        try {
          await workers.get(Cart, "b").fail();
        } catch (error) {
          return [left, note, error.name, error.message, error instanceof RangeError];
        }
      }
    },
  }));
  await run("start");
  const first = await call("order", "A1");
  assert.deepEqual([first.state, first.id, first.answer], ["waiting", "2", null]);
  assert.deepEqual(first.sends, [
    { call: 1, class: "Stock", name: "all", method: "take", value: ["A1", 1] },
    { call: 2, class: "Stock", name: "all", method: null, value: { sku: "A1" } },
  ]);
  await assert.rejects(call("order", "B1"), /the worker Cart a waits in the turn 2, and takes no call/);
  const second = await run("reply", { id: "2", call: 2, value: encode("noted") });
  assert.deepEqual([second.state, second.sends], ["waiting", []]);
  assert.equal(native.turn[2], true);
  const third = await run("reply", { id: "2", call: 1, value: encode(new Map([["A1", 4]])) });
  assert.deepEqual(third.sends, [{ call: 3, class: "Cart", name: "b", method: "fail", value: [] }]);
  const last = await run("reply", { id: "2", call: 3, error: { name: "RangeError", message: "too many" } });
  assert.deepEqual([last.state, last.id], ["done", "2"]);
  assert.deepEqual(last.answer, [new Map([["A1", 4]]), "noted", "RangeError", "too many", true]);
  // An answer that comes again changes nothing, and one that nobody awaits does not fail the turn.
  const late = await run("reply", { id: "2", call: 3, value: encode(1) });
  assert.deepEqual(late, { state: "done", id: "2", answer: null, ...quiet });
  assert.equal(native.turn[2], false);
});

test("an exception that answers a call of a handler which is done does not fail what runs now", async () => {
  const { native, run, call, encode } = await component(({ worker, workers }) => ({
    Cart: class extends worker.Worker {
      forget() {
        workers.get("Cart", "b").first().catch(() => {});
      }
      async wait() {
        return workers.get("Cart", "b").second();
      }
    },
  }));
  await run("start");
  assert.equal((await call("forget")).state, "done");
  assert.equal((await call("wait")).state, "waiting");
  const first = await run("reply", { id: "2", call: 1, error: { name: "Error", message: "no" } });
  assert.deepEqual([first.state, first.id, native.turn[2]], ["waiting", "3", false]);
  const second = await run("reply", { id: "3", call: 2, value: encode(5) });
  assert.deepEqual([second.state, second.answer, native.turn[2]], ["done", 5, true]);
});

test("an answer that nobody can read rejects the call", async () => {
  const { run, call } = await component(({ worker, workers }) => ({
    Cart: class extends worker.Worker {
      ask = workers.get("Cart", "b");
      one() {
        return this.ask.two().catch((error) => error.message);
      }
    },
  }));
  await run("start");
  await call("one");
  assert.match((await run("reply", { id: "2", call: 1, value: "[7]" })).answer, /^the text is not a structured clone/);
});

test("errors of names that are not the language's come as they were called", async () => {
  const { run, call } = await component(({ worker, workers }) => ({
    Cart: class extends worker.Worker {
      one = () => workers.get("Cart", "b").two();
      async ask() {
        const { constructor, name, message, ...own } = await this.one().catch((error) => error);
        return [name, message, constructor === Error, Object.keys(own)];
      }
    },
  }));
  await run("start");
  await call("ask");
  const { answer } = await run("reply", { id: "2", call: 1, error: { name: "never-settles", message: "it waits" } });
  assert.deepEqual(answer, ["never-settles", "it waits", true, []]);
});

test("references are no values, and what the language asks of them is no call", async () => {
  const { run, call } = await component(({ worker, workers }) => ({
    Cart: class extends worker.Worker {
      other = workers.get("Cart", "b");
      async await() {
        const same = (await this.other) === this.other;
        return [same, JSON.stringify(this.other), `${this.other}`, typeof this.other.then, typeof this.other.anything];
      }
      give() {
        return { other: this.other };
      }
    },
  }));
  await run("start");
  const { answer, sends } = await call("await");
  assert.deepEqual([answer, sends], [[true, "{}", "[object Object]", "undefined", "function"], []]);
  const message = "a reference to a worker cannot be cloned: it is the answer.other";
  await assert.rejects(call("give"), { name: "DataCloneError", message });
});

test("a key goes with the name of a group", async () => {
  const { workers, run, call } = await component(({ worker, workers }) => ({
    Cart: class extends worker.Worker {
      async resize(key) {
        return workers.get("Resizer", "pool", key === undefined ? {} : { key }).resize(1);
      }
    },
  }));
  await run("start");
  for (const [key, name] of [["a/b", "pool/a/b"], [undefined, "pool"]]) {
    const { sends } = await call("resize", key);
    assert.deepEqual(sends.map((send) => [send.class, send.name]), [["Resizer", name]]);
    await run("reply", { call: sends[0].call, value: "[1,1]" });
  }
  for (const key of ["", 5, null, "x".repeat(257)]) {
    assert.throws(() => workers.get("Resizer", "pool", { key }), { name: "TypeError", message: /^the key of a message/ });
  }
  const message = /^the name of a group and the key of a message, together, must be a string of 1 to 256/;
  assert.throws(() => workers.get("Resizer", "pool", { key: "x".repeat(252) }), { name: "TypeError", message });
});

test("workers.get takes a class that is exported, or a name", async () => {
  const { workers, run, call } = await component(({ worker, workers }) => {
    class Lost extends worker.Worker {}
    return {
      Cart: class extends worker.Worker {
        lost() {
          return workers.get(Lost, "b").x();
        }
        plain() {
          return workers.get(class {}, "b").x();
        }
      },
    };
  });
  await run("start");
  await assert.rejects(call("lost"), /the class Lost is not a named export of the entry module/);
  for (const target of [undefined, 5, {}, ""]) assert.throws(() => workers.get(target, "a"), TypeError);
  for (const name of ["", 5, "x".repeat(257), "\ud800"]) assert.throws(() => workers.get("Cart", name), TypeError);
});

test("outside of a worker's turn alarms and events say who can use them", async () => {
  const { worker } = await component(({ worker }) => ({ Cart: class extends worker.Worker {} }));
  const only = /is for service workers, in a turn of theirs: in this version neither the top level nor the handlers/;
  assert.throws(() => worker.after(1, "x"), only);
  assert.throws(() => worker.cancel("x"), only);
  assert.throws(() => worker.emit("x"), only);
  assert.equal(worker.name, undefined);
});

test("other handlers call workers by the capability", async () => {
  const make = ({ worker }) => ({ Cart: class extends worker.Worker {} });
  const { native, worker, workers, encode } = await component(make);
  native.workerAnswer = encode(new Map([["A1", 2]]));
  assert.deepEqual(await workers.get("Cart", "a").add("A1", 2), new Map([["A1", 2]]));
  await workers.get("Cart", "b").send(5);
  assert.deepEqual(native.calls.filter(([name]) => name === "workersCall"), [
    ["workersCall", "Cart", "a", "add", encode(["A1", 2]), undefined],
    ["workersCall", "Cart", "b", undefined, encode(5), undefined],
  ]);
  await assert.rejects(workers.get("Cart", "a").add(() => {}), /the arguments of add/);
  native.workerAnswer = { code: "exception", name: "RangeError", message: "too many" };
  await assert.rejects(workers.get("Cart", "a").add(), (error) => {
    assert.ok(error instanceof RangeError);
    assert.deepEqual([error.message, "code" in error], ["too many", false]);
    return true;
  });
  native.workerAnswer = { code: "mailbox-full", name: "Error", message: "the mailbox is full" };
  await assert.rejects(workers.get("Cart", "a").add(), { name: "Error", code: "mailbox-full" });
  assert.equal(worker.name, undefined);
});
