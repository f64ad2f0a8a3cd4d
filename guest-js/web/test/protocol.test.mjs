// The handlers `fetch` and `call`, as the engine calls them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { index, newWorld } from "./world.mjs";

async function fetchWith(handler, incoming = {}, wanted = undefined) {
  const native = await newWorld(wanted);
  Object.assign(native.incoming, incoming);
  const promise = native.handlers.fetch({ fetch: handler });
  return { native, promise };
}

test("a synchronous handler answers without a promise, and asks the host for nothing", async () => {
  const { native, promise } = await fetchWith(() => new Response("hi"));
  assert.equal(promise, undefined);
  assert.deepEqual(native.calls, [
    ["whole", 200, ["content-type", "text/plain;charset=UTF-8"], "hi"],
  ]);
});

test("the core alone serves", async () => {
  const { native, promise } = await fetchWith(
    async (request) => {
      return Response.json({ got: await request.json() }, { status: 201, headers: { "X-A": " b " } });
    },
    { method: "POST", chunks: ['{"a"', ":1}"] },
    (entry) => entry.core,
  );
  await promise;
  assert.deepEqual(native.calls, [
    ["whole", 201, ["x-a", "b", "content-type", "application/json"], '{"got":{"a":1}}'],
  ]);
});

test("what is not a Response is a TypeError that says so", async () => {
  for (const [value, text] of [
    [undefined, "undefined"],
    ["hi", "a string"],
    [{}, "an object of class Object"],
  ]) {
    const { promise } = await fetchWith(async () => value);
    await assert.rejects(promise, {
      name: "TypeError",
      message: `the fetch handler returned ${text}; it must return a Response`,
    });
  }
  await assert.rejects(fetchWith(() => undefined), /returned undefined/);
  await assert.rejects(fetchWith(undefined), /has no fetch handler/);
  await assert.rejects(fetchWith(() => Response.error()), /Response\.error/);
});

test("a stream is sent chunk by chunk, with backpressure", async () => {
  let pulled = 0;
  let waiting = 0;
  const native = await newWorld();
  native.onWrite = async () => {
    assert.ok(pulled <= waiting + 2);
    await null;
    waiting++;
  };
  const encoder = new TextEncoder();
  await native.handlers.fetch({
    fetch: () =>
      new Response(
        new ReadableStream({
          pull(controller) {
            if (++pulled > 3) controller.close();
            else controller.enqueue(encoder.encode(`${pulled}`));
          },
        }),
      ),
  });
  assert.deepEqual(native.calls, [["stream", 200, []], ["write", "1"], ["write", "2"], ["write", "3"], ["end"]]);
});

test("an async generator needs no streams", async () => {
  const { native, promise } = await fetchWith(
    () => new Response((async function* () { yield new Uint8Array([65]); yield new Uint8Array([66]); })()),
    {},
    (entry) => entry.core,
  );
  await promise;
  assert.deepEqual(native.calls, [["stream", 200, []], ["write", "A"], ["write", "B"], ["end"]]);
});

test("a body that fails midway aborts the response, and its producer is told", async () => {
  let cancelled;
  const { native, promise } = await fetchWith(
    () =>
      new Response(
        new ReadableStream({
          start: (controller) => controller.enqueue("text"),
          cancel: (reason) => void (cancelled = reason),
        }),
      ),
  );
  await assert.rejects(promise, /every chunk must be a Uint8Array/);
  assert.equal(native.calls[1][0], "fail");
  assert.match(String(cancelled), /Uint8Array/);
});

test("a body cannot be sent twice", async () => {
  const { promise } = await fetchWith(async () => {
    const response = new Response("x");
    await response.text();
    return response;
  });
  await assert.rejects(promise, /already used/);
});

test("the incoming request", async () => {
  const { promise } = await fetchWith(
    async (request, env, ctx) => {
      assert.equal(request.method, "POST");
      assert.equal(request.url, "http://localhost/a?b");
      assert.equal(request.headers.get("X-Y"), "1, 2");
      assert.throws(() => request.headers.set("a", "b"), /immutable/);
      assert.equal(request.bodyUsed, false);
      const copy = request.clone();
      assert.equal(await request.text(), "one two");
      assert.equal(request.bodyUsed, true);
      await assert.rejects(request.text(), /already used/);
      assert.equal(await copy.text(), "one two");
      assert.throws(() => { env.other = 1; }, TypeError);
      assert.deepEqual({ ...env }, { GREETING: "hello" });
      assert.equal(ctx.executionId, "execution-1");
      assert.ok(ctx.deadline > Date.now());
      ctx.waitUntil(null);
      return new Response(null, { status: 204 });
    },
    { method: "POST", url: "http://localhost/a?b", headers: ["x-y", "1", "x-y", "2"], chunks: ["one ", "two"] },
  );
  await promise;
  const { promise: get } = await fetchWith((request) => new Response(String(request.body)));
  await get;
});

test("a request can be passed on with other headers, which takes its body over", async () => {
  const { promise } = await fetchWith(
    async (request) => {
      const next = new Request(request, { headers: { a: "b" } });
      assert.equal(request.bodyUsed, true);
      assert.equal(next.method, "PUT");
      return new Response(await next.text());
    },
    { method: "PUT", chunks: ["x"] },
  );
  await promise;
});

test("call handlers", async () => {
  const native = await newWorld();
  native.input = '{"n":2}';
  assert.equal(native.handlers.call({ call: ({ n }) => n * 2 }), undefined);
  await native.handlers.call({ call: async () => undefined });
  assert.deepEqual(native.calls, [["output", "4"], ["output", "null"]]);
  assert.throws(() => native.handlers.call({ call: () => 1n }), /has no JSON form/);
  assert.throws(() => native.handlers.call({ call: () => () => {} }), /it is a function/);
  assert.throws(() => native.handlers.call(() => {}), /no call handler/);
  const cycle = {};
  cycle.self = cycle;
  await assert.rejects(native.handlers.call({ call: async () => cycle }), TypeError);
});

test("the index names every module before those that need it, and every global is defined", async () => {
  await newWorld();
  const seen = new Set();
  for (const { file, needs = [], globals = [], core } of index) {
    for (const need of needs) assert.ok(seen.has(need), `${file} comes before ${need}`);
    for (const name of globals) assert.ok(name in globalThis, name);
    if (core) for (const need of needs) assert.ok(index.find((it) => it.file === need).core, `${file} needs ${need}`);
    seen.add(file);
  }
  const { enumerable, writable, configurable } = Object.getOwnPropertyDescriptor(globalThis, "Headers");
  assert.deepEqual({ enumerable, writable, configurable }, { enumerable: false, writable: true, configurable: true });
});
