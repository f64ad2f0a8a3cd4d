// How a worker moves into another version of its component, and how it is looked at: the turns `export`, `upgrade`,
// `inspect` and `health`.
import assert from "node:assert/strict";
import { test } from "node:test";
import { NOW, component, quiet } from "./worker-component.mjs";

/** Moves the worker of a component into one of another: gives the latter, after its first turn. */
async function moved(from, define) {
  const { answer: state } = await from.run("export");
  const to = await component(define);
  return { ...to, upgraded: await to.run("upgrade", { version: "1.2.3", state }) };
}

/** A version of the component whose worker counts. */
const counting = (more = () => ({})) => ({ worker, workers }) => {
  class Item {
    constructor(sku) {
      this.sku = sku;
    }
    label() {
      return `old ${this.sku}`;
    }
  }
  class Cart extends worker.Worker {
    count = 0;
    items = new Map();
    #hidden = 5;
    onStart(context) {
      context.started = true;
    }
    add(sku) {
      const item = new Item(sku);
      this.items.set(sku, item);
      this.last = item;
      this.self = this;
      return (this.count += 1);
    }
    hidden() {
      return (this.#hidden += 1);
    }
    put(name, value) {
      this[name] = value;
    }
    after(milliseconds, name) {
      worker.after(milliseconds, name);
    }
    ask() {
      workers.get("Cart", "b").one().catch(() => {});
    }
    onMessage(_, context) {
      return context;
    }
  }
  return { Cart, Item, ...more({ Cart, Item }) };
};

test("fields and context move into the new version, and what only its constructor makes is kept", async () => {
  const from = await component(counting());
  await from.run("start");
  await from.call("add", "A1");
  await from.call("hidden");
  const { upgraded, call, run, encode } = await moved(from, ({ worker }) => {
    class Item {
      label() {
        return `new ${this.sku}`;
      }
    }
    class Cart extends worker.Worker {
      count = 100;
      added = "by the constructor";
      #hidden = 50;
      onStart() {
        throw new Error("it was started before");
      }
      state() {
        const item = this.items.get("A1");
        return [this.count, this.added, item.label(), this.last === item, this.self === this, this.#hidden];
      }
      onMessage(_, context) {
        return context;
      }
    }
    return { Cart, Item };
  });
  assert.deepEqual(upgraded, { state: "done", id: "1", answer: null, ...quiet });
  assert.deepEqual((await call("state")).answer, [1, "by the constructor", "new A1", true, true, 50]);
  assert.deepEqual((await run("message", { message: encode(0) })).answer, { started: true });
});

test("a field that has become an accessor is set by it", async () => {
  const from = await component(counting());
  await from.run("start");
  await from.call("add", "A1");
  const { call } = await moved(from, ({ worker }) => ({
    Cart: class extends worker.Worker {
      #count = 0;
      get count() {
        return this.#count;
      }
      set count(value) {
        this.#count = value * 10;
      }
      state() {
        return [this.count, Object.hasOwn(this, "count")];
      }
    },
    Item: class {},
  }));
  assert.deepEqual((await call("state")).answer, [10, false]);
});

test("onUpgrade gets what the former version had, and decides", async () => {
  const from = await component(counting());
  await from.run("start");
  await from.call("add", "A1");
  const define = ({ worker }) => ({
    Cart: class extends worker.Worker {
      total = 0;
      async onUpgrade({ version, context, fields }) {
        this.from = version;
        this.total = fields.count;
        // Without the class, it is a plain object.
        this.label = Object.getPrototypeOf(fields.last) === Object.prototype && fields.last.sku;
        context.moved = true;
      }
      state() {
        return [this.from, this.total, this.label, "count" in this];
      }
      onMessage(_, context) {
        return context;
      }
    },
  });
  const { call, run, encode } = await moved(from, define);
  assert.deepEqual((await call("state")).answer, ["1.2.3", 1, "A1", false]);
  assert.deepEqual((await run("message", { message: encode(0) })).answer, { started: true, moved: true });
});

test("an upgrade that cannot be made fails its turn", async () => {
  const from = await component(counting());
  await from.run("start");
  await from.call("add", "A1");
  const throws = ({ worker }) => ({
    Cart: class extends worker.Worker {
      onUpgrade() {
        throw new RangeError("not from that one");
      }
    },
  });
  await assert.rejects(moved(from, throws), { name: "RangeError", message: "not from that one" });
  const withoutItem = ({ worker }) => ({ Cart: class extends worker.Worker {} });
  await assert.rejects(moved(from, withoutItem), /objects of the class Item, which the component does not export/);
  const withoutCart = ({ worker }) => ({ Other: class extends worker.Worker {} });
  await assert.rejects(moved(from, withoutCart), /the component exports no worker class Cart/);
  const fixed = ({ worker }) => ({
    Cart: class extends worker.Worker {
      get count() {
        return 1;
      }
    },
    Item: class {},
  });
  await assert.rejects(moved(from, fixed), TypeError);
  for (const state of [undefined, "", "[1,[2],{}]", "[1,5]"]) {
    const { run } = await component(withoutItem);
    await assert.rejects(run("upgrade", { version: "1", state }), /no state of a worker/);
  }
  const { run } = await component(withoutItem);
  const nonsense = run("upgrade", { version: "1", state: '[1,[2],{"startedAt":1,"fields":[9]}]' });
  await assert.rejects(nonsense, /not a structured clone/);
  // The one it is exported from goes on.
  assert.equal((await from.call("add", "B1")).answer, 2);
  await assert.rejects(from.run("upgrade", { version: "1", state: "" }), /was started already/);
});

test("what cannot be cloned refuses the export with its path", async () => {
  for (const [fieldsOf, message] of [
    [
      () => ({ items: new Map([["a", { callback() {} }]]) }),
      'the function callback cannot be cloned: it is fields.items.get("a").callback',
    ],
    [() => ({ pending: [Promise.resolve()] }), "a Promise cannot be cloned: it is fields.pending[0]"],
    [(workers) => ({ stock: workers.get("Cart", "b") }), "a reference to a worker cannot be cloned: it is fields.stock"],
  ]) {
    const { run } = await component(({ worker, workers }) => ({ Cart: worker(fieldsOf(workers)) }));
    await run("start");
    await assert.rejects(run("export"), { name: "DataCloneError", message });
  }
  const { run } = await component(({ worker }) => ({ Cart: worker({ onStart: (context) => (context.log = () => {}) }) }));
  await run("start");
  await assert.rejects(run("export"), { message: "the function (anonymous) cannot be cloned: it is context.log" });
});

test("alarms, the start and the numbers of calls stay with a worker that moves", async () => {
  const from = await component(counting());
  await from.run("start");
  await from.call("after", 60_000, "expire");
  await from.call("ask");
  const { run, call, native } = await moved(from, ({ worker, workers }) => ({
    Cart: class extends worker.Worker {
      constructor() {
        super();
        worker.after(5, "own");
      }
      cancel(name) {
        return worker.cancel(name);
      }
      async ask() {
        return workers.get("Cart", "b").two();
      }
    },
  }));
  const { timers, answer } = await call("cancel", "expire");
  assert.deepEqual([answer, timers.alarm], [true, [{ name: "expire", at: null }]]);
  // It started a second after NOW, and performance.now() counts from there.
  assert.deepEqual(native.turn.slice(0, 2), [NOW + 2_000, 1_000]);
  const { sends } = await call("ask");
  assert.equal(sends[0].call, 2, "1 is a call of the former version, whose answer may still come");
  assert.equal((await run("reply", { id: "1", call: 1, value: "[1,5]" })).state, "waiting");
});

test("a state may be larger than a message, to a limit", async () => {
  const from = await component(({ worker }) => ({
    Cart: class extends worker.Worker {
      fill(characters) {
        this.text = "x".repeat(characters);
      }
      length() {
        return this.text.length;
      }
    },
  }));
  await from.run("start");
  await from.call("fill", 3 << 20);
  const { call } = await moved(from, ({ worker }) => ({
    Cart: class extends worker.Worker {
      length() {
        return this.text.length;
      }
    },
  }));
  assert.equal((await call("length")).answer, 3 << 20);
  await from.call("fill", 16 << 20);
  await assert.rejects(from.run("export"), { name: "RangeError", message: /the state is larger than 16777216 characters/ });
});

test("a worker is shown as it is, also while a handler waits", async () => {
  const { run, call } = await component(({ worker, workers }) => ({
    Cart: class Cart extends worker.Worker {
      items = new Map([["a", { callback() {} }]]);
      stock = workers.get("Stock", "all");
      onStart(context) {
        context.started = new Date(5);
      }
      async wait() {
        return this.stock.one();
      }
    },
  }));
  await run("start");
  const shown = {
    class: "Cart", name: "a", context: { started: new Date(5) },
    fields: { items: new Map([["a", { callback: "[Function callback]" }]]), stock: "[Reference to a worker]" },
  };
  assert.deepEqual(await run("inspect"), { state: "done", id: "2", answer: shown, ...quiet });
  assert.equal((await call("wait")).state, "waiting");
  const looked = await run("inspect");
  assert.deepEqual([looked.state, looked.id, looked.answer], ["waiting", "3", shown]);
  await assert.rejects(run("export"), /the worker Cart a waits in the turn 3, and takes no export/);
  assert.equal((await run("reply", { id: "3", call: 1, value: "[1,7]" })).answer, 7);
});

test("the health of a worker is what onHealth says", async () => {
  const healthOf = async (members) => {
    const { run } = await component(({ worker }) => ({ Cart: worker(members) }));
    await run("start");
    return (await run("health")).answer;
  };
  assert.equal(await healthOf({}), undefined);
  assert.equal(await healthOf({ onHealth: async () => true }), true);
  assert.equal(await healthOf({ count: 1, onHealth() { return this.count > 1; } }), false);
  await assert.rejects(healthOf({ onHealth() { throw new RangeError("ill"); } }), { name: "RangeError", message: "ill" });
});
