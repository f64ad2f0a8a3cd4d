// Steps, on a journal as the host keeps it: what is done once, what is replayed, and in which order the journal is asked.
import assert from "node:assert/strict";
import { test } from "node:test";
import { settle } from "./world.mjs";

let worlds = 0;

/** A host's journal: steps by their positions, and the questions to it. */
class Journal {
  steps = [];
  asked = [];
  /** The rows of steps in the component's database, by position. */
  rows = [];
  /** The outcomes of the transactions. */
  ends = [];
  /** The results of sleeps and waits, by name. */
  answers = {};

  /** A fresh instance: its module `step`, and whether its run was suspended. */
  async instance() {
    const world = `?world=workflow-${++worlds}`;
    const native = (await import(`./native.mjs${world}`)).default;
    const { step } = await import(new URL(`../src/capabilities/workflow.js${world}`, import.meta.url));
    const { db } = await import(new URL(`../src/capabilities/db.js${world}`, import.meta.url));
    let position = 0;
    const next = (name) => {
      const at = position++;
      const known = this.steps[at];
      if (known !== undefined && known.name !== name) {
        throw Object.assign(new Error(`${known.name}, not ${name}`), { code: "nondeterministic-step" });
      }
      this.steps[at] ??= { name };
      this.asked.push(name);
      return at;
    };
    native.workflowBegin = async (name, input) => {
      const at = next(name);
      this.steps[at].input = input;
      const { outcome } = this.steps[at];
      return outcome === undefined ? { state: "run", position: at } : { state: "recorded", value: outcome };
    };
    native.workflowFinish = async (at, outcome) => {
      this.asked.push(`finish ${at}`);
      this.steps[at].outcome = outcome;
      return { state: "finished" };
    };
    native.workflowSleep = async (name, ms) => (next(name), this.answers[name] ?? { state: "elapsed", ms });
    native.workflowWaitFor = async (...question) => {
      next(question[0]);
      this.question = question;
      return this.answers[question[0]];
    };
    this.addTransactions(native);
    const { registry } = await import(new URL(`../src/internal/registry.js${world}`, import.meta.url));
    const instance = { step, db, native, registry, suspended: false };
    native.suspend = () => void (instance.suspended = true);
    return instance;
  }

  /** Transactions whose rows are there once they are committed. */
  addTransactions(native) {
    const written = new Map();
    native.dbBegin = (isolation) => (assert.equal(isolation, "read-committed"), written.set(written.size + 1, []).size);
    native.dbControl = (id, end) => {
      this.ends.push(end);
      if (end === "commit") for (const [position, row] of written.get(id)) this.rows[position] = row;
      return id;
    };
    native.dbNext = async () => {
      if (this.commitFails && this.ends.at(-1) === "commit") throw Object.assign(new Error("away"), { code: "unavailable" });
      return { rows: [], last: true };
    };
    native.dbEnd = () => {};
    native.workflowBeginIn = async (id, position, name, input) => {
      assert.ok(written.has(id));
      const row = this.rows[position];
      if (row === undefined) return { state: "run", position };
      assert.deepEqual([row.name, row.input], [name, input]);
      return { state: "recorded", value: row.outcome };
    };
    native.workflowFinishIn = async (id, position, name, input, outcome) => {
      written.get(id).push([position, { name, input, outcome }]);
      return { state: "finished" };
    };
  }

  /** Runs a handler in a fresh instance. */
  async run(handler) {
    const { step, db } = await this.instance();
    return handler(step, db);
  }
}

test("a step is done once, and replayed with what it gave", async () => {
  const journal = new Journal();
  let done = 0;
  const handler = async (step) => [
    await step("charge", async () => ({ id: ++done, at: new Date(0) })),
    await step("nothing", () => {}),
    await step("list", () => [done, null, "x"], { input: { a: 1 } }),
  ];
  const expected = [{ id: 1, at: "1970-01-01T00:00:00.000Z" }, undefined, [1, null, "x"]];
  assert.deepEqual(await journal.run(handler), expected);
  assert.deepEqual(await journal.run(handler), expected);
  assert.equal(done, 1);
  assert.deepEqual(journal.steps.map(({ outcome }) => outcome), [
    '{"value":{"id":1,"at":"1970-01-01T00:00:00.000Z"}}', "{}", '{"value":[1,null,"x"]}',
  ]);
  assert.deepEqual(journal.steps.map(({ input }) => input), [undefined, undefined, '{"a":1}']);
});

test("parallel steps are begun in the order of the calls, and finished in theirs", async () => {
  const journal = new Journal();
  let done = 0;
  const slow = (rounds, value) => async () => {
    for (let round = 0; round < rounds; round++) await null;
    done++;
    return value;
  };
  const handler = (step) => Promise.all([step("a", slow(9, 1)), step("same", slow(5, 2)), step("same", slow(1, 3))]);
  assert.deepEqual(await journal.run(handler), [1, 2, 3]);
  assert.deepEqual(journal.asked, ["a", "same", "same", "finish 2", "finish 1", "finish 0"]);
  assert.deepEqual(await journal.run(handler), [1, 2, 3]);
  assert.equal(done, 3);
});

test("a failure that leaves the handler is not recorded: the next attempt does the step again", async () => {
  const journal = new Journal();
  let attempts = 0;
  const handler = async (step) => {
    const first = await step("first", () => "kept");
    return [first, await step("flaky", () => { if (++attempts < 3) throw new Error("away"); return "done"; })];
  };
  await assert.rejects(journal.run(handler), /away/);
  await assert.rejects(journal.run(handler), /away/);
  assert.deepEqual(await journal.run(handler), ["kept", "done"]);
});

test("nor is it recorded when steps beside it finish", async () => {
  const journal = new Journal();
  let fails = true;
  const handler = (step) =>
    Promise.all([
      step("quick", () => { if (fails) throw new Error("away"); return 1; }),
      step("slow", async () => { await settle(); return 2; }),
    ]);
  await assert.rejects(journal.run(handler), /away/);
  await settle();
  await settle();
  assert.deepEqual(journal.steps.map(({ outcome }) => outcome), [undefined, '{"value":2}']);
  fails = false;
  assert.deepEqual(await journal.run(handler), [1, 2]);
});

test("a failure that the handler went on from is replayed as such", async () => {
  const journal = new Journal();
  let done = 0;
  const handler = async (step) => {
    let caught;
    try {
      await step("flaky", () => {
        done++;
        throw Object.assign(new RangeError("too far"), { code: "unavailable" });
      });
    } catch (error) {
      caught = [error.name, error.message, error.code, error instanceof Error];
    }
    await step("after", () => 1);
    return caught;
  };
  const expected = ["RangeError", "too far", "unavailable", true];
  assert.deepEqual(await journal.run(handler), expected);
  assert.deepEqual(journal.asked, ["flaky", "finish 0", "after", "finish 1"]);
  assert.deepEqual(await journal.run(handler), expected);
  assert.equal(done, 1);
  // A thrown value that is no Error is reported as one.
  const other = new Journal();
  const thrower = async (step) => {
    const error = await step("a", () => { throw "text"; }).catch((error) => error);
    await step("b", () => 1);
    return error;
  };
  assert.equal(await other.run(thrower), "text");
  assert.equal((await other.run(thrower)).message, "thrown: text");
});

test("a journal that says no is an error with its code", async () => {
  const journal = new Journal();
  await journal.run((step) => step("a", () => 1));
  await assert.rejects(journal.run((step) => step("b", () => 1)), { code: "nondeterministic-step", message: "a, not b" });
});

test("results that JSON would change are refused, with what is wrong with them", async () => {
  const refused = async (result, message) => {
    const journal = new Journal();
    await assert.rejects(journal.run((step) => step("s", () => result)), { name: "TypeError", message });
    assert.equal(journal.steps[0].outcome, undefined);
  };
  await refused(new Map(), /the result of the step "s" has no JSON form: there is an object of class Map in it/);
  await refused({ a: [new Uint8Array(1)] }, /class Uint8Array/);
  await refused([() => {}], /a function/);
  await refused({ big: 1n }, /a bigint/);
  await refused(Symbol("x"), /a symbol/);
});

test("a step needs a name and a function, and waits need times", async () => {
  const { step } = await new Journal().instance();
  for (const wrong of [() => step("", () => 1), () => step(5, () => 1), () => step("a"), () => step.sleep(), () => step.waitFor()]) {
    await assert.rejects(wrong(), TypeError);
  }
  for (const wrong of [() => step.sleep("a"), () => step.sleep("a", -1), () => step.sleep("a", "1d"), () => step.waitFor("a", { timeout: NaN })]) {
    await assert.rejects(wrong(), RangeError);
  }
});

test("a sleep that is not over suspends the run, and what goes on beside it is finished first", async () => {
  const journal = new Journal();
  journal.answers.day = { state: "wait" };
  const instance = await journal.instance();
  const reached = [];
  const handler = async (step) => {
    await Promise.all([
      step.sleep("day", 86_400_000).then(() => reached.push("morning")),
      (async () => {
        await step("a", () => settle());
        await step("b", () => reached.push("b"));
      })(),
    ]);
    return "done";
  };
  handler(instance.step).then(() => reached.push("returned"));
  await settle();
  await settle();
  assert.equal(instance.suspended, true);
  assert.deepEqual(reached, ["b"]);
  journal.answers.day = { state: "elapsed" };
  assert.equal(await journal.run(handler), "done");
  assert.deepEqual(reached, ["b", "morning"]);
});

test("waits ask for a type with a filter, and give the event or undefined", async () => {
  const journal = new Journal();
  const event = { specversion: "1.0", id: "1", source: "shop", type: "order.paid", data: { total: 5 } };
  journal.answers["order.*"] = { state: "happened", value: JSON.stringify(event) };
  journal.answers.mine = { state: "timed-out" };
  assert.deepEqual(await journal.run((step) => step.waitFor("order.*")), event);
  assert.deepEqual(journal.question, ["order.*", "order.*", "{}", undefined]);
  const options = { name: "mine", where: { "data.total": { gte: 5 } }, timeout: 1.5 };
  journal.steps = [];
  assert.equal(await journal.run((step) => step.waitFor("order.paid", options)), undefined);
  assert.deepEqual(journal.question, ["mine", "order.paid", '{"data.total":{"gte":5}}', 2]);
  journal.steps = [];
  journal.answers.mine = { state: "wait" };
  const instance = await journal.instance();
  instance.step.waitFor("order.paid", options);
  await settle();
  assert.equal(instance.suspended, true);
});

test("a step in a transaction writes its outcome there, and then into the journal", async () => {
  const journal = new Journal();
  let done = 0;
  const handler = (step) => step.transaction("charge", (tx) => ({ done: ++done, tx: typeof tx.query }), { input: 5 });
  const expected = { done: 1, tx: "function" };
  assert.deepEqual(await journal.run(handler), expected);
  const outcome = '{"value":{"done":1,"tx":"function"}}';
  assert.deepEqual(journal.rows, [{ name: "charge", input: "5", outcome }]);
  assert.equal(journal.steps[0].outcome, outcome);
  assert.deepEqual(await journal.run(handler), expected);
  assert.deepEqual([done, journal.ends], [1, ["commit"]]);
  const nothing = new Journal();
  assert.equal(await nothing.run((step) => step.transaction("nothing", () => {})), undefined);
  assert.equal(nothing.rows[0].outcome, "{}");
});

test("a step is in a transaction of what is over the database, if that is given", async () => {
  // As Drizzle gives a transaction its number, and as Kysely does.
  const key = Symbol.for("elias.transaction");
  const drizzle = (db) => ({ transaction: (work) => db.transaction((tx) => work({ kind: "drizzle", [key]: tx[key] })) });
  const kysely = (db) => ({
    transaction: () => ({
      execute: (work) => db.transaction((tx) => work({ kind: "kysely", get [key]() { return Promise.resolve(tx[key]); } })),
    }),
  });
  for (const over of [drizzle, kysely]) {
    const journal = new Journal();
    let done = 0;
    const handler = (step, db) => step.transaction("charge", (tx) => [tx.kind, ++done], { db: over(db) });
    const first = await journal.run(handler);
    assert.deepEqual(first, [over.name, 1]);
    assert.deepEqual(journal.rows.map(({ outcome }) => outcome), [`{"value":["${over.name}",1]}`]);
    assert.deepEqual(await journal.run(handler), first, "done once");
    assert.deepEqual(journal.ends, ["commit"]);
  }
});

test("a step whose run ended between the commit and the record is not done again", async () => {
  const journal = new Journal();
  let done = 0;
  const handler = async (step) => [await step.transaction("charge", () => ++done), await step("after", () => "x")];
  const { step, native } = await journal.instance();
  native.workflowFinish = async () => { throw Object.assign(new Error("killed"), { code: "unavailable" }); };
  await assert.rejects(handler(step), /killed/);
  assert.equal(journal.steps[0].outcome, undefined);
  assert.deepEqual(await journal.run(handler), [1, "x"]);
  assert.deepEqual([done, journal.steps[0].outcome], [1, '{"value":1}']);
});

test("a step that throws rolls its transaction back, and its failure is recorded as of other steps", async () => {
  const journal = new Journal();
  let done = 0;
  const leaves = async (step) => step.transaction("flaky", () => { if (++done < 3) throw new Error("away"); return done; });
  await assert.rejects(journal.run(leaves), /away/);
  await assert.rejects(journal.run(leaves), /away/);
  assert.deepEqual([journal.rows, journal.steps[0].outcome], [[], undefined]);
  assert.equal(await journal.run(leaves), 3);
  assert.deepEqual(journal.ends, ["rollback", "rollback", "commit"]);

  const caught = new Journal();
  const goesOn = async (step) => {
    const error = await step.transaction("flaky", () => { throw new RangeError("too far"); }).catch(({ name, message }) => [name, message]);
    return [error, await step("after", () => 1)];
  };
  const expected = [["RangeError", "too far"], 1];
  assert.deepEqual(await caught.run(goesOn), expected);
  assert.deepEqual(await caught.run(goesOn), expected);
  assert.deepEqual([caught.rows, caught.ends], [[], ["rollback"]]);
});

test("a commit that failed is no failure of the step: the next run looks whether it took place", async () => {
  const journal = new Journal();
  journal.commitFails = true;
  let done = 0;
  const handler = async (step) => {
    const charged = await step.transaction("charge", () => ++done).catch(({ code }) => code);
    return [charged, await step("after", () => 1)];
  };
  assert.deepEqual(await journal.run(handler), ["unavailable", 1]);
  assert.equal(journal.steps[0].outcome, undefined);
  journal.commitFails = false;
  assert.deepEqual(await journal.run(handler), [1, 1]);
  assert.equal(done, 1);
});

test("the result of a step in a transaction is plain data, and what is not rolls back", async () => {
  const journal = new Journal();
  await assert.rejects(journal.run((step) => step.transaction("s", () => new Map())), { name: "TypeError", message: /class Map/ });
  assert.deepEqual([journal.rows, journal.ends, journal.steps[0].outcome], [[], ["rollback"], undefined]);
  const { step } = await new Journal().instance();
  for (const wrong of [() => step.transaction("", () => 1), () => step.transaction("a")]) await assert.rejects(wrong(), TypeError);
});

test("a failure that no step has recorded is none of the next turn of a worker", async () => {
  const journal = new Journal();
  const { step, registry } = await journal.instance();
  await assert.rejects(step("charge", () => Promise.reject(new Error("declined"))), /declined/);
  registry.forgetSteps();
  await step("mail", () => 1);
  assert.deepEqual(journal.asked, ["charge", "mail", "finish 1"]);
});

