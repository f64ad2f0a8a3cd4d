// A Request where options are expected, and what reaches an API without naming it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { newWorld, settle } from "./world.mjs";

test("a Request as the options of another: method, headers, body and signal go along", async () => {
  await newWorld();
  const controller = new AbortController();
  const { signal } = controller;
  const first = new Request("http://a/x", { method: "PUT", body: "text", headers: { "X-A": "1" }, signal, redirect: "manual" });
  const second = new Request("http://b/y", first);
  assert.deepEqual(
    [second.url, second.method, second.headers.get("x-a"), second.redirect, second.headers.get("content-type")],
    ["http://b/y", "PUT", "1", "manual", "text/plain;charset=UTF-8"],
  );
  assert.equal(first.bodyUsed, false);
  assert.equal(await second.text(), "text");
  assert.equal(first.bodyUsed, true, "they share one body");
  controller.abort();
  assert.equal(second.signal.aborted, true);
  assert.throws(() => new Request("http://b/", first), /already used/);
  const bodiless = new Request("http://b/", new Request("http://a/", { method: "DELETE" }));
  assert.deepEqual([bodiless.method, bodiless.body], ["DELETE", null]);
});

test("the incoming request as options: its body stays with the host until it is read", async () => {
  const native = await newWorld();
  native.incoming = { method: "POST", url: "http://h/p", headers: ["x-in", "v", "content-length", "3"], chunks: ["a", "bc"] };
  let moved;
  await native.handlers.fetch({
    async fetch(request) {
      moved = new Request(new URL("/q", request.url), request);
      return new Response(await moved.text());
    },
  });
  assert.deepEqual([moved.url, moved.method, moved.headers.get("x-in")], ["http://h/q", "POST", "v"]);
  assert.equal(native.calls[0][3], "abc");
});

test("a request without a body has none, whatever its method", async () => {
  for (const method of ["POST", "PUT", "DELETE", "OPTIONS", "GET", "HEAD"]) {
    const native = await newWorld();
    native.incoming = { method, url: "http://h/", headers: [], chunks: [] };
    let body;
    await native.handlers.fetch({ fetch: (request) => ((body = request.body), new Response()) });
    assert.equal(body, null, method);
  }
});

test("every getter of a request and a response can be asked", async () => {
  const native = await newWorld();
  native.incoming = { method: "POST", url: "http://h/", headers: [], chunks: ["x"] };
  const seen = [];
  await native.handlers.fetch({
    fetch(request) {
      for (const key in request) seen.push(typeof request[key] === "undefined" ? `no ${key}` : key);
      const response = new Response("x");
      for (const key in response) seen.push(typeof response[key] === "undefined" ? `no ${key}` : key);
      return new Response();
    },
  });
  assert.ok(seen.includes("signal") && seen.includes("body") && seen.includes("formData"));
  assert.deepEqual(seen.filter((key) => key.startsWith("no ")), []);
});

test("to HEAD a stream is not read", async () => {
  const native = await newWorld();
  native.incoming = { method: "HEAD", url: "http://h/", headers: [], chunks: [] };
  const told = [];
  const body = new ReadableStream({ pull: () => void told.push("pull"), cancel: () => void told.push("cancel") }, { highWaterMark: 0 });
  await native.handlers.fetch({ fetch: () => new Response(body, { headers: { "content-length": "9" } }) });
  assert.deepEqual(told, ["cancel"]);
  assert.deepEqual(native.calls, [["stream", 200, ["content-length", "9"]]]);
});

test("a body that breaks is reported before its source is told, which may never come back", async () => {
  const native = await newWorld();
  const body = {
    async *[Symbol.asyncIterator]() {
      try {
        yield new Uint8Array([65]);
        throw new Error("mine");
      } finally {
        await new Promise(() => {});
      }
    },
  };
  native.handlers.fetch({ fetch: () => new Response(body) });
  await settle();
  assert.deepEqual(native.calls.map(([what]) => what), ["stream", "write"], "the generator has not thrown yet");
  const other = await newWorld();
  const stream = new ReadableStream({
    pull: (controller) => controller.error(new Error("mine")),
    cancel: () => new Promise(() => {}),
  });
  await assert.rejects(other.handlers.fetch({ fetch: () => new Response(stream) }), /mine/);
  assert.deepEqual(other.calls, [["stream", 200, []], ["fail", "Error: mine"]]);
});

test("encodings that nothing names, and values that are not bytes", async () => {
  await newWorld();
  const reader = new FileReader();
  const loaded = new Promise((resolve) => (reader.onload = resolve));
  reader.readAsText(new Blob([new Uint8Array([0, 104, 0, 105])]), ["utf", "16be"].join("-"));
  await loaded;
  assert.equal(reader.result, "hi");
  assert.equal(new TextDecoder(["gb", "18030"].join("")).decode(new Uint8Array([0xc4, 0xe3])), "你");
  const stream = new TextDecoderStream();
  stream.readable.getReader().read().catch(() => {});
  await assert.rejects(stream.writable.getWriter().write(undefined), TypeError);
  assert.throws(() => Array.prototype.toLocaleString.call(undefined), TypeError);
});

test("QuotaExceededError is a DOMException with the limit", async () => {
  await newWorld();
  const error = new QuotaExceededError("too much", { quota: 1, requested: 2 });
  assert.ok(error instanceof DOMException && error instanceof Error);
  assert.deepEqual([error.name, error.code, error.message, error.quota, error.requested], ["QuotaExceededError", 22, "too much", 1, 2]);
  assert.deepEqual([new QuotaExceededError().quota, new QuotaExceededError().requested], [null, null]);
  assert.throws(() => new QuotaExceededError("", { quota: -1 }), RangeError);
  assert.throws(() => new QuotaExceededError("", { quota: 2, requested: 1 }), RangeError);
  assert.throws(() => crypto.getRandomValues(new Uint8Array(65537)), { name: "QuotaExceededError", quota: null, requested: null });
});
