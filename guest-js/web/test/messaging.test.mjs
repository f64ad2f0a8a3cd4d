// Message ports, structuredClone with transfer, error events, and the performance timeline.
import assert from "node:assert/strict";
import { test } from "node:test";
import { newWorld, settle } from "./world.mjs";

const native = await newWorld();

/** The messages that arrive at a port, as a list that grows. */
function receivedBy(target) {
  const received = [];
  target.onmessage = (event) => received.push(event.data);
  return received;
}

test("messages wait until their port is started, and come in order, in turns of their own", async () => {
  const { port1, port2 } = new MessageChannel();
  const data = { list: [1] };
  port1.postMessage(data);
  data.list.push(2);
  port1.postMessage("second");
  const seen = [];
  port2.addEventListener("message", ({ data, isTrusted, ports }) => seen.push([data, isTrusted, ports]));
  await settle();
  assert.deepEqual(seen, []);
  port2.start();
  assert.deepEqual(seen, []);
  await settle();
  assert.deepEqual(seen, [[{ list: [1] }, true, []], ["second", true, []]]);
});

test("a port is transferred with what it has not delivered, and the old one is dead", async () => {
  const inner = new MessageChannel();
  inner.port2.postMessage("early");
  const outer = new MessageChannel();
  outer.port1.postMessage({ port: inner.port1 }, [inner.port1]);
  const event = await new Promise((resolve) => (outer.port2.onmessage = resolve));
  assert.equal(event.ports[0], event.data.port);
  const received = receivedBy(event.data.port);
  inner.port2.postMessage("late");
  inner.port1.postMessage("nobody hears");
  await settle();
  assert.deepEqual(received, ["early", "late"]);
  const thrown = { name: "DataCloneError" };
  assert.throws(() => outer.port1.postMessage(0, [inner.port1]), thrown);
  assert.throws(() => outer.port1.postMessage(0, [outer.port1]), thrown);
  assert.throws(() => outer.port1.postMessage(inner.port2), thrown);
  assert.throws(() => outer.port1.postMessage(() => {}), thrown);
});

test("closing a port tells the other one", async () => {
  const { port1, port2 } = new MessageChannel();
  let closed = 0;
  port2.onclose = () => closed++;
  const received = receivedBy(port2);
  port1.postMessage("before");
  port1.close();
  port1.postMessage("after");
  await settle();
  assert.deepEqual([received, closed], [["before"], 1]);
});

test("a BroadcastChannel reaches those of its name but itself", async () => {
  const [a, b, other] = [new BroadcastChannel("n"), new BroadcastChannel("n"), new BroadcastChannel("m")];
  const received = [a, b, other].map(receivedBy);
  a.postMessage("hello");
  await settle();
  assert.deepEqual(received, [[], ["hello"], []]);
  const origins = [];
  b.onmessage = ({ origin }) => origins.push(origin);
  a.postMessage("");
  globalThis.location = { origin: "https://example.com" };
  a.postMessage("");
  delete globalThis.location;
  await settle();
  assert.deepEqual(origins, ["", "https://example.com"]);
  a.close();
  assert.throws(() => a.postMessage(""), { name: "InvalidStateError" });
});

test("structuredClone keeps what has an identity, and moves what is in transfer", async () => {
  const shared = { a: 1 };
  const value = { shared, again: shared, date: new Date(5), map: new Map([[shared, new Set([1n])]]), re: /x/gi, blob: new Blob(["b"], { type: "t/b" }) };
  value.self = value;
  const copy = structuredClone(value);
  assert.notEqual(copy, value);
  assert.equal(copy.self, copy);
  assert.equal(copy.shared, copy.again);
  assert.equal(copy.map.keys().next().value, copy.shared);
  assert.equal(`${copy.re} ${copy.date.getTime()} ${copy.blob.type} ${await copy.blob.text()}`, "/x/gi 5 t/b b");
  const file = structuredClone(new File(["f"], "name", { lastModified: 3 }));
  assert.deepEqual([file instanceof File, file.name, file.lastModified], [true, "name", 3]);
  const buffer = new Uint8Array([1, 2, 3]).buffer;
  const view = structuredClone(new Uint8Array(buffer, 1), { transfer: [buffer] });
  assert.deepEqual([view.byteOffset, ...view, buffer.byteLength], [1, 2, 3, 0]);
  assert.throws(() => structuredClone(buffer), { name: "DataCloneError" });
});

test("streams are transferred: the new one reads from the old", async () => {
  const source = ReadableStream.from([{ a: 1 }, "two"]);
  const moved = structuredClone({ source }, { transfer: [source] }).source;
  assert.equal(source.locked, true);
  const chunks = [];
  for await (const chunk of moved) chunks.push(chunk);
  assert.deepEqual(chunks, [{ a: 1 }, "two"]);
  const written = [];
  const sink = new WritableStream({ write: (chunk) => void written.push(chunk), close: () => void written.push("end") });
  const writer = structuredClone(sink, { transfer: [sink] }).getWriter();
  await writer.write("x");
  await writer.close();
  assert.deepEqual(written, ["x", "end"]);
  assert.throws(() => structuredClone(sink, { transfer: [sink] }), { name: "DataCloneError" });
});

test("what nobody catches is an event of the global scope, and logged unless that is canceled", () => {
  native.logs.length = 0;
  const seen = [];
  const listener = (event) => seen.push(`${event.type}: ${event.message}`);
  addEventListener("error", listener);
  reportError(new TypeError("one"));
  assert.equal(native.logs.length, 1);
  globalThis.onerror = (message, filename, lineno, colno, error) => (seen.push(error), true);
  reportError("two");
  assert.equal(native.logs.length, 1);
  globalThis.onerror = null;
  removeEventListener("error", listener);
  const target = new EventTarget();
  target.addEventListener("x", () => {
    throw new Error("in a listener");
  });
  addEventListener("error", ({ error }) => seen.push(error.message), { once: true });
  target.dispatchEvent(new Event("x"));
  assert.deepEqual(seen, ["error: Uncaught TypeError: one", "error: Uncaught two", "two", "in a listener"]);
});

test("rejections that nothing handles are events with the promise and the reason", () => {
  const promise = Promise.resolve();
  const seen = [];
  globalThis.onunhandledrejection = (event) => (seen.push(event.promise === promise, event.reason), false);
  addEventListener("rejectionhandled", ({ reason, cancelable }) => seen.push(reason, cancelable), { once: true });
  assert.equal(native.uncaught("unhandledrejection", "why", promise), true);
  assert.equal(native.uncaught("rejectionhandled", "why", promise), false);
  globalThis.onunhandledrejection = null;
  assert.equal(native.uncaught("unhandledrejection", "why", promise), false);
  assert.deepEqual(seen, [true, "why", "why", false]);
});

test("marks and measures", () => {
  const mark = performance.mark("start", { startTime: 10, detail: { a: 1 } });
  performance.mark("end", { startTime: 25 });
  const { id, ...shown } = mark.toJSON();
  assert.equal(id, mark.id);
  assert.deepEqual(shown, { name: "start", entryType: "mark", startTime: 10, duration: 0, navigationId: 0, detail: { a: 1 } });
  assert.throws(() => PerformanceEntry.prototype.toJSON.call({}), TypeError);
  assert.equal(performance.measure("both", "start", "end").duration, 15);
  assert.equal(performance.measure("options", { end: "end", duration: 5 }).startTime, 20);
  assert.equal(performance.measure("from the beginning", null, "end").duration, 25);
  performance.clearMeasures("from the beginning");
  assert.throws(() => performance.measure("x", "absent"), { name: "SyntaxError" });
  assert.throws(() => performance.measure("x", { detail: 1 }), TypeError);
  assert.deepEqual(performance.getEntries().map(({ name }) => name), ["start", "both", "options", "end"]);
  performance.clearMarks("start");
  assert.equal(performance.getEntriesByType("mark").length, 1);
  assert.equal(performance.getEntriesByName("both", "measure").length, 1);
  assert.throws(() => new PerformanceEntry(), TypeError);
});

test("PerformanceObserver: entries of the observed types, in a later turn, and what was recorded before", async () => {
  const { PerformanceObserver, performance } = globalThis;
  performance.clearMarks();
  performance.clearMeasures();
  assert.deepEqual(PerformanceObserver.supportedEntryTypes, ["mark", "measure"]);
  const calls = [];
  const observer = new PerformanceObserver(function (list, given, options) {
    calls.push([list.getEntries().map(({ name }) => name), this === observer && given === observer, options]);
  });
  for (const wrong of [undefined, {}, { entryTypes: "mark" }, { entryTypes: ["mark"], type: "mark" }]) {
    assert.throws(() => observer.observe(wrong), TypeError);
  }
  performance.mark("before", { startTime: 30 });
  observer.observe({ type: "mark", buffered: true });
  observer.observe({ type: "no-such-type" });
  assert.throws(() => observer.observe({ entryTypes: ["measure"] }), { name: "InvalidModificationError" });
  performance.mark("after", { startTime: 20 });
  performance.measure("length", { start: 0, end: 1 });
  assert.deepEqual(calls, []);
  await settle();
  assert.deepEqual(calls, [[["after", "before"], true, { droppedEntriesCount: 0 }]]);
  performance.mark("third");
  assert.deepEqual(observer.takeRecords().map(({ name }) => name), ["third"]);
  performance.mark("fourth");
  observer.disconnect();
  await settle();
  assert.equal(calls.length, 1);
  observer.observe({ type: "measure" });
  performance.mark("not observed");
  performance.measure("observed", { start: 0, end: 1 });
  await settle();
  assert.deepEqual(calls[1], [["observed"], true, { droppedEntriesCount: 0 }]);
  observer.disconnect();
});

test("an observer that throws is reported, and the others hear of their entries", async () => {
  const heard = [];
  const broken = new PerformanceObserver(() => {
    throw new Error("broken");
  });
  const whole = new PerformanceObserver((list) => heard.push(list.getEntriesByType("mark").length, list.getEntriesByName("one").length));
  broken.observe({ entryTypes: ["mark"], buffered: true });
  whole.observe({ entryTypes: ["mark", "no-such-type"] });
  performance.mark("one");
  performance.mark("two");
  await settle();
  assert.deepEqual(heard, [2, 1]);
  broken.disconnect();
  whole.disconnect();
});
