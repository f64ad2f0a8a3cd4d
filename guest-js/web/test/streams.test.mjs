// Streams: readable, writable, transform and byte streams, and piping.
import assert from "node:assert/strict";
import { test } from "node:test";
import { newWorld, settle } from "./world.mjs";

await newWorld();

async function collect(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

test("pull is called only as far as the high water mark, and on demand", async () => {
  let pulls = 0;
  const stream = new ReadableStream({ pull: (c) => c.enqueue(++pulls) }, { highWaterMark: 2 });
  await settle();
  assert.equal(pulls, 2);
  const reader = stream.getReader();
  assert.deepEqual(await reader.read(), { value: 1, done: false });
  await settle();
  assert.equal(pulls, 3);
});

test("errors, locks and releases of a reader", async () => {
  let controller;
  const stream = new ReadableStream({ start: (c) => void (controller = c) });
  const reader = stream.getReader();
  assert.throws(() => stream.getReader(), /locked/);
  await assert.rejects(stream.cancel(), /locked/);
  const pending = reader.read();
  reader.releaseLock();
  await assert.rejects(pending, /released/);
  await assert.rejects(reader.closed, /released/);
  const second = stream.getReader();
  controller.error(new Error("boom"));
  await assert.rejects(second.read(), /boom/);
  await assert.rejects(second.closed, /boom/);
  assert.throws(() => controller.enqueue(1), TypeError);
  assert.equal(controller.desiredSize, null);
});

test("cancel reaches the source with its reason, once", async () => {
  const reasons = [];
  const stream = new ReadableStream({ cancel: (reason) => void reasons.push(reason) });
  await stream.cancel("why");
  await stream.cancel("again");
  assert.deepEqual(reasons, ["why"]);
});

test("a size that is not a size errors the stream", () => {
  const stream = new ReadableStream({ start: (c) => assert.throws(() => c.enqueue(1), RangeError) }, { size: () => -1 });
  return assert.rejects(stream.getReader().read(), RangeError);
});

test("async iteration, early return and preventCancel", async () => {
  let cancelled = 0;
  const make = () => new ReadableStream({ pull: (c) => c.enqueue(1), cancel: () => void cancelled++ });
  const one = make();
  for await (const chunk of one) {
    assert.equal(chunk, 1);
    break;
  }
  assert.equal(cancelled, 1);
  assert.equal(one.locked, false);
  const two = make();
  for await (const _ of two.values({ preventCancel: true })) break;
  assert.equal(cancelled, 1);
  assert.deepEqual(await two.getReader().read(), { value: 1, done: false });
});

test("ReadableStream.from takes iterables, async iterables and promises in them", async () => {
  assert.deepEqual(await collect(ReadableStream.from([1, Promise.resolve(2)])), [1, 2]);
  let returned = false;
  const source = (async function* () {
    try {
      yield "a";
      yield "b";
    } finally {
      returned = true;
    }
  })();
  const reader = ReadableStream.from(source).getReader();
  assert.equal((await reader.read()).value, "a");
  await reader.cancel();
  assert.equal(returned, true);
  assert.throws(() => ReadableStream.from(1), TypeError);
});

test("tee gives both branches all chunks and cancels when both have", async () => {
  const [left, right] = ReadableStream.from([1, 2, 3]).tee();
  assert.deepEqual(await Promise.all([collect(left), collect(right)]), [[1, 2, 3], [1, 2, 3]]);
  let reason;
  const [a, b] = new ReadableStream({ cancel: (it) => void (reason = it) }).tee();
  const first = a.cancel("x");
  await settle();
  assert.equal(reason, undefined);
  await b.cancel("y");
  await first;
  assert.deepEqual(reason, ["x", "y"]);
  const [c, d] = new ReadableStream({ start: (it) => it.error(new Error("bad")) }).tee();
  await assert.rejects(collect(c), /bad/);
  await assert.rejects(collect(d), /bad/);
});

test("a byte stream is read through the default reader", async () => {
  const stream = new ReadableStream({
    type: "bytes",
    start(c) {
      assert.throws(() => c.enqueue("x"), TypeError);
      c.enqueue(new Uint16Array([1]));
      c.close();
    },
  });
  assert.deepEqual(await collect(stream), [new Uint8Array([1, 0])]);
});

test("writes are one at a time, with backpressure", async () => {
  const log = [];
  let release;
  const stream = new WritableStream({
    write(chunk) {
      log.push(chunk);
      return new Promise((resolve) => (release = resolve));
    },
    close: () => void log.push("closed"),
  });
  const writer = stream.getWriter();
  await writer.ready;
  assert.equal(writer.desiredSize, 1);
  const first = writer.write(1);
  assert.equal(writer.desiredSize, 0);
  const second = writer.write(2);
  let ready = false;
  writer.ready.then(() => (ready = true));
  await settle();
  assert.deepEqual(log, [1]);
  release();
  await first;
  await settle();
  assert.equal(ready, false);
  release();
  await second;
  await writer.close();
  await writer.closed;
  assert.deepEqual(log, [1, 2, "closed"]);
  await assert.rejects(writer.write(3), /closed/);
});

test("abort: the sink is told, writes that wait are rejected, the signal fires", async () => {
  let aborted;
  let signal;
  const stream = new WritableStream({
    start: (c) => void (signal = c.signal),
    write: () => settle(),
    abort: (reason) => void (aborted = reason),
  });
  const writer = stream.getWriter();
  const first = writer.write(1);
  const second = writer.write(2);
  second.catch(() => {});
  await settle();
  await writer.abort("stop");
  await first.catch(() => {});
  await assert.rejects(second, (error) => error === "stop");
  await assert.rejects(writer.closed, (error) => error === "stop");
  assert.equal(aborted, "stop");
  assert.equal(signal.reason, "stop");
});

test("a failing sink errors the stream", async () => {
  const writer = new WritableStream({ write: () => Promise.reject(new Error("full")) }).getWriter();
  await assert.rejects(writer.write(1), /full/);
  await assert.rejects(writer.closed, /full/);
  await assert.rejects(writer.ready, /full/);
  await assert.rejects(writer.close(), TypeError);
});

test("pipeTo writes all, closes and lets go", async () => {
  const seen = [];
  const source = ReadableStream.from([1, 2, 3]);
  const target = new WritableStream({
    write: async (chunk) => {
      await settle();
      seen.push(chunk);
    },
    close: () => void seen.push("end"),
  });
  const piping = source.pipeTo(target);
  assert.equal(source.locked && target.locked, true);
  await piping;
  assert.deepEqual(seen, [1, 2, 3, "end"]);
  assert.equal(source.locked || target.locked, false);
});

test("pipeTo carries errors both ways, unless prevented", async () => {
  let aborted;
  const bad = () => new ReadableStream({ pull: (c) => c.error("read failed") });
  await assert.rejects(bad().pipeTo(new WritableStream({ abort: (e) => void (aborted = e) })), (e) => e === "read failed");
  assert.equal(aborted, "read failed");
  const open = new WritableStream();
  await assert.rejects(bad().pipeTo(open, { preventAbort: true }));
  await open.close();
  let cancelled;
  const source = new ReadableStream({ pull: (c) => c.enqueue(1), cancel: (e) => void (cancelled = e) });
  const full = new WritableStream({ write: () => Promise.reject("write failed") });
  await assert.rejects(source.pipeTo(full), (e) => e === "write failed");
  assert.equal(cancelled, "write failed");
});

test("pipeTo ends on a signal and cancels and aborts", async () => {
  const controller = new AbortController();
  const told = [];
  const source = new ReadableStream({ cancel: (e) => void told.push(e) });
  const target = new WritableStream({ abort: (e) => void told.push(e) });
  const piping = source.pipeTo(target, { signal: controller.signal });
  controller.abort("enough");
  await assert.rejects(piping, (e) => e === "enough");
  assert.deepEqual(told, ["enough", "enough"]);
});

test("a transform with flush, backpressure and errors", async () => {
  const doubled = ReadableStream.from([1, 2]).pipeThrough(
    new TransformStream({
      transform: (chunk, c) => c.enqueue(chunk * 2),
      flush: (c) => c.enqueue("end"),
    }),
  );
  assert.deepEqual(await collect(doubled), [2, 4, "end"]);

  const { readable, writable } = new TransformStream();
  const writer = writable.getWriter();
  const written = writer.write("x");
  let done = false;
  written.then(() => (done = true));
  await settle();
  assert.equal(done, false);
  assert.equal((await readable.getReader().read()).value, "x");
  await written;

  const failing = new TransformStream({ transform: () => Promise.reject(new Error("no")) });
  const input = failing.writable.getWriter();
  input.closed.catch(() => {});
  input.write(1).catch(() => {});
  await assert.rejects(failing.readable.getReader().read(), /no/);
  await assert.rejects(input.write(2), /no/);
});

test("cancel and terminate of a transform reach the other side", async () => {
  let reason;
  const stream = new TransformStream({ cancel: (it) => void (reason = it) });
  await stream.readable.cancel("done");
  assert.equal(reason, "done");
  await assert.rejects(stream.writable.getWriter().write(1), (e) => e === "done");
  const ended = new TransformStream({ start: (c) => c.terminate() });
  assert.deepEqual(await collect(ended.readable), []);
  await assert.rejects(ended.writable.getWriter().write(1), /terminated/);
});

test("text streams keep characters together that chunks cut apart", async () => {
  const bytes = new TextEncoder().encode("\ufeffaé€😀");
  const pieces = ReadableStream.from([...bytes].map((byte) => new Uint8Array([byte])));
  assert.equal((await collect(pieces.pipeThrough(new TextDecoderStream()))).join(""), "aé€😀");
  const encoded = ReadableStream.from(["a\ud83d", "\ude00", "\ud83d"]).pipeThrough(new TextEncoderStream());
  assert.equal(await new Response(encoded).text(), "a😀\ufffd");
});

test("a BYOB reader fills the view it is given, and a view too small leaves the rest for the next", async () => {
  const stream = new ReadableStream({
    type: "bytes",
    start(controller) {
      controller.enqueue(new Uint8Array([1, 2, 3, 4, 5]));
      controller.close();
    },
  });
  const reader = stream.getReader({ mode: "byob" });
  assert.deepEqual((await reader.read(new Uint8Array(3))).value, new Uint8Array([1, 2, 3]));
  const buffer = new ArrayBuffer(8);
  const { value } = await reader.read(new Uint8Array(buffer, 2, 4));
  assert.deepEqual([value.byteOffset, ...value], [2, 4, 5]);
  assert.equal(buffer.detached, true);
  assert.deepEqual(await reader.read(new Uint8Array(1)), { value: new Uint8Array(0), done: true });
});

test("a source answers a BYOB request in place, or with min elements at once", async () => {
  const views = [];
  const stream = new ReadableStream({
    type: "bytes",
    pull(controller) {
      const { view } = controller.byobRequest;
      views.push(view.byteLength);
      view[0] = views.length;
      controller.byobRequest.respond(1);
      assert.equal(controller.byobRequest, views.length < 3 ? controller.byobRequest : null);
    },
  });
  const reader = stream.getReader({ mode: "byob" });
  assert.deepEqual((await reader.read(new Uint8Array(4), { min: 3 })).value, new Uint8Array([1, 2, 3]));
  assert.deepEqual(views, [4, 3, 2]);
  assert.throws(() => new ReadableStream().getReader({ mode: "byob" }), /byte stream/);
});

test("the branches of a byte stream have buffers of their own", async () => {
  const [one, two] = new Response("bytes").body.tee();
  const first = (await one.getReader().read()).value;
  const second = (await two.getReader({ mode: "byob" }).read(new Uint8Array(9))).value;
  assert.deepEqual(first, second);
  assert.notEqual(first.buffer, second.buffer);
});

test("a Blob's stream ends for a reader with a view of its own", async () => {
  const reader = new Blob(["onetwo"]).stream().getReader({ mode: "byob" });
  const read = [];
  for (let step; !(step = await reader.read(new Uint8Array(4))).done; ) read.push(new TextDecoder().decode(step.value));
  assert.deepEqual(read, ["onet", "wo"]);
});

test("a cloned response: the second branch gets structured clones of all kinds of chunks", async () => {
  const buffer = new ArrayBuffer(16);
  for (const chunk of [new Int8Array(buffer, 1), new Float64Array(buffer), buffer, new DataView(buffer, 2), new Uint8Array(buffer), { a: [1] }]) {
    const response = new Response(ReadableStream.from([chunk]));
    const { value: copy } = await response.clone().body.getReader().read();
    const { value: own } = await response.body.getReader().read();
    assert.equal(own, chunk);
    assert.notEqual(copy, chunk);
    assert.deepEqual(copy, chunk);
  }
  const response = new Response(ReadableStream.from([() => {}]));
  const copy = response.clone();
  await assert.rejects(copy.body.getReader().read(), { name: "DataCloneError" });
  await assert.rejects(response.body.getReader().read(), { name: "DataCloneError" });
});
