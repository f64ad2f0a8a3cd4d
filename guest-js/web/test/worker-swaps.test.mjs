// Hot swap: the classes of another version's module, which are the same objects where both versions have them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { component } from "./worker-component.mjs";

/** A started worker of the class Cart, and a function that swaps it; the engine would give `exports`. */
async function started() {
  let classes;
  const made = await component(({ worker }) => {
    class Cart extends worker.Worker {
      label() {
        return "old";
      }
    }
    classes = { Cart, Other: class extends worker.Worker {} };
    return classes;
  });
  await made.run("start");
  const { native } = made;
  native.swapCount = 0;
  const swap = (exports, code = "new", change = () => {}) => {
    native.swapped = () => {
      native.swapCount += 1;
      change(classes.Cart.prototype);
      return exports;
    };
    return made.run("swap", { code, source: "" });
  };
  return { ...made, ...classes, swap };
}

test("a worker is swapped once into the same code, and a copy says which it has", async () => {
  const { Cart, Other, swap, call, run, native } = await started();
  assert.equal((await run("copy", { of: "a" })).answer, null);
  const relabel = (prototype) => (prototype.label = () => "new");
  const { state, answer } = await swap({ Cart, Other }, "new", relabel);
  assert.deepEqual([state, answer], ["done", null]);
  assert.equal((await call("label")).answer, "new");
  await swap({ Cart, Other });
  assert.equal(native.swapCount, 1);
  await swap({ Cart, Other }, "third");
  assert.equal(native.swapCount, 2);
});

test("a version must export the classes that there are, and may export more", async () => {
  const without = await started();
  await assert.rejects(without.swap({ Cart: without.Cart }), /does not export the class Other/);
  const another = await started();
  const exports = { Cart: another.Cart, Other: class extends another.Other {} };
  await assert.rejects(another.swap(exports), /the class Other, or another value/);
  const { Cart, Other, swap, worker, workers, call } = await started();
  class Added extends worker.Worker {}
  const ask = (prototype) => (prototype.ask = () => workers.get(Added, "b").hello());
  await swap({ Cart, Other, Added }, "new", ask);
  const { sends } = await call("ask");
  assert.deepEqual([sends[0].class, sends[0].method], ["Added", "hello"]);
});

test("a version with another onUpgrade is not swapped into, since that is to be called", async () => {
  const { Cart, Other, swap } = await started();
  const convert = (prototype) => (prototype.onUpgrade = ({ fields }) => fields);
  await assert.rejects(swap({ Cart, Other }, "new", convert), /another onUpgrade/);
});

test("a worker that waits is not swapped", async () => {
  const { call, swap, Cart, Other } = await started();
  Cart.prototype.wait = () => new Promise(() => {});
  await assert.rejects(call("wait"), /never-settles/);
  await assert.rejects(swap({ Cart, Other }), /waits in the turn/);
});
