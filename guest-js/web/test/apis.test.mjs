// The basic behaviour of each web API: Headers, Request, Response, URL, encodings, events, timers and others.
import assert from "node:assert/strict";
import { test } from "node:test";
import { newWorld, settle } from "./world.mjs";

const native = await newWorld();

test("Headers: combine, sort, set-cookie, live iteration", () => {
  const headers = new Headers([["B", " 2 "], ["a", "1"], ["Set-Cookie", "x"], ["b", "3"], ["set-cookie", "y"]]);
  assert.deepEqual([...headers], [["a", "1"], ["b", "2, 3"], ["set-cookie", "x"], ["set-cookie", "y"]]);
  assert.deepEqual(headers.getSetCookie(), ["x", "y"]);
  headers.set("B", "4");
  headers.delete("A");
  assert.equal(headers.get("b"), "4");
  assert.equal(headers.get("a"), null);
  assert.equal(headers.has("SET-COOKIE"), true);
  assert.deepEqual([...new Headers(headers).keys()], ["b", "set-cookie", "set-cookie"]);
  const iterator = headers[Symbol.iterator]();
  iterator.next();
  headers.append("c", "5");
  assert.deepEqual(iterator.next().value, ["c", "5"]);
  assert.equal(Object.prototype.toString.call(headers), "[object Headers]");
});

test("Headers: what HTTP does not allow is a TypeError", () => {
  for (const init of [{ "a b": "1" }, { a: "1\r\nb: 2" }, { a: "\0" }, { a: "€" }, [["a"]], { "": "x" }, null, 1]) {
    assert.throws(() => new Headers(init), TypeError, JSON.stringify(init));
  }
  assert.throws(() => new Headers().get("a b"), TypeError);
});

test("Headers: a record's key that is not a byte string throws before its value is read", () => {
  const seen = [];
  const record = { a: "b", get "\uffff"() { return seen.push("wide"); }, get [Symbol.toStringTag]() { return seen.push("symbol"); } };
  assert.throws(() => new Headers(record), TypeError);
  delete record["\uffff"];
  assert.throws(() => new Headers(record), TypeError);
  assert.deepEqual(seen, []);
});

test("Response: init, json, redirect, clone", async () => {
  assert.throws(() => new Response("", { status: 199 }), RangeError);
  assert.throws(() => new Response("", { status: 204 }), TypeError);
  assert.throws(() => new Response("", { statusText: "a\n" }), TypeError);
  const response = new Response("é", { headers: { "Content-Type": "x/y" } });
  const copy = response.clone();
  assert.equal(response.headers.get("content-type"), "x/y");
  assert.deepEqual([...(await response.bytes())], [0xc3, 0xa9]);
  assert.equal(response.bodyUsed, true);
  assert.throws(() => response.clone(), TypeError);
  assert.equal(await copy.text(), "é");
  assert.deepEqual(await Response.json({ a: 1 }).json(), { a: 1 });
  assert.throws(() => Response.json(undefined), TypeError);
  const redirect = Response.redirect("http://a/b", 303);
  assert.equal(`${redirect.status} ${redirect.headers.get("location")}`, "303 http://a/b");
  assert.throws(() => Response.redirect("http://a", 200), RangeError);
  assert.equal(new Response().body, null);
  assert.equal(await new Response().text(), "");
  const one = new Response("shared").headers;
  one.set("x", "y");
  assert.equal(new Response("other").headers.has("x"), false);
});

test("Body: every kind of init, and what each consumer makes of it", async () => {
  const bytes = new Uint8Array([104, 105]);
  for (const init of ["hi", bytes, bytes.buffer, new DataView(bytes.buffer), new Blob(["h", "i"]), ReadableStream.from([bytes])]) {
    assert.equal(await new Response(init).text(), "hi");
  }
  const stored = new Response(bytes);
  bytes[0] = 0;
  assert.equal(await stored.text(), "hi");
  const form = new Response(new URLSearchParams({ a: "1 2" }));
  assert.match(form.headers.get("content-type"), /^application\/x-www-form-urlencoded/);
  assert.equal((await form.formData()).get("a"), "1 2");
  await assert.rejects(new Response("x").formData(), /formData\(\) reads multipart.*and the content-type is text\/plain/);
  const blob = await new Response("x", { headers: { "content-type": "a/b" } }).blob();
  assert.equal(`${blob.type} ${blob.size}`, "a/b 1");
  const stream = new Response("abc").body;
  assert.equal((await stream.getReader().read()).value.byteLength, 3);
  assert.throws(() => new Response(stream), /locked/);
  assert.equal(await new Response("\ufeffx").text(), "x");
  const twice = new Response(ReadableStream.from([new Uint8Array([65])]));
  const other = twice.clone();
  assert.equal((await twice.text()) + (await other.text()), "AA");
  await assert.rejects(new Response("{").json(), SyntaxError);
});

test("Request: method, URL, body and signal", async () => {
  assert.equal(new Request("http://a", { method: "post", body: "x" }).method, "POST");
  assert.equal(new Request("http://a", { method: "patch" }).method, "patch");
  assert.equal(new Request("http://a").url, "http://a/");
  for (const args of [["/a"], ["http://u:p@a"], ["http://a", { method: "TRACE" }], ["http://a", { body: "x" }], ["http://a", { signal: 1 }]]) {
    assert.throws(() => new Request(...args), TypeError, args[0]);
  }
  const stream = ReadableStream.from([]);
  assert.throws(() => new Request("http://a", { method: "POST", body: stream }), /duplex/);
  const controller = new AbortController();
  const request = new Request("http://a", { signal: controller.signal });
  controller.abort("x");
  assert.equal(request.clone().signal.reason, "x");
});

test("URL and its searchParams follow each other", () => {
  const url = new URL("../b?x=1#h", "http://u:p@host:81/a/c");
  assert.equal(url.href, "http://u:p@host:81/b?x=1#h");
  const { searchParams } = url;
  searchParams.append("y", "2 3");
  assert.equal(url.search, "?x=1&y=2+3");
  url.search = "?z=4";
  assert.deepEqual([...searchParams], [["z", "4"]]);
  searchParams.delete("z");
  assert.equal(url.href, "http://u:p@host:81/b#h");
  url.pathname = "/q";
  url.href = "http://other/?k=v";
  assert.equal(searchParams.get("k"), "v");
  assert.throws(() => (url.href = "nope"), TypeError);
  assert.throws(() => new URL("nope"), /Invalid URL: nope/);
  assert.equal(URL.canParse("nope"), false);
  assert.equal(URL.parse("nope"), null);
  assert.equal(JSON.stringify({ url }), '{"url":"http://other/?k=v"}');
});

test("URLSearchParams", () => {
  const params = new URLSearchParams("?b=1&a=2&b=3&%F0%9F%98%80=+");
  assert.equal(params.size, 4);
  assert.deepEqual(params.getAll("b"), ["1", "3"]);
  params.sort();
  assert.deepEqual([...params.keys()], ["a", "b", "b", "😀"]);
  params.set("b", "9");
  params.delete("a", "other");
  params.delete("😀", " ");
  assert.equal(`${params}`, "a=2&b=9");
  assert.equal(params.has("b", "8"), false);
  assert.equal(`${new URLSearchParams([["a", "&"]])}${new URLSearchParams({ b: 1 })}`, "a=%26b=1");
  assert.throws(() => new URLSearchParams([["a"]]), TypeError);
  const seen = [];
  params.forEach((value, key) => seen.push(key + value));
  assert.deepEqual(seen, ["a2", "b9"]);
});

test("TextDecoder: streaming, fatal, BOM, labels", () => {
  const decoder = new TextDecoder();
  const bytes = new TextEncoder().encode("€😀");
  let text = "";
  for (const byte of bytes) text += decoder.decode(new Uint8Array([byte]), { stream: true });
  assert.equal(text + decoder.decode(), "€😀");
  assert.equal(decoder.decode(new Uint8Array([0xe2, 0x82]), { stream: true }), "");
  assert.equal(decoder.decode(), "\ufffd");
  assert.equal(decoder.decode(new Uint8Array([0xed, 0xa0]), { stream: true }), "\ufffd\ufffd");
  assert.equal(decoder.decode(), "");
  assert.equal(decoder.decode(new Uint8Array([0xef, 0xbb, 0xbf, 65])), "A");
  assert.equal(new TextDecoder("utf8", { ignoreBOM: true }).decode(new Uint8Array([0xef, 0xbb, 0xbf, 65])), "\ufeffA");
  assert.throws(() => new TextDecoder(" UTF-8 ", { fatal: true }).decode(new Uint8Array([0xff])), TypeError);
  assert.equal(new TextDecoder("latin1").encoding, "windows-1252");
  assert.equal(new TextDecoder("shift_jis").decode(new Uint8Array([0x83, 0x65, 0x83, 0x58, 0x83, 0x67])), "テスト");
  const message = /the encoding "utf-32" does not exist/;
  assert.throws(() => new TextDecoder("utf-32"), { name: "RangeError", message });
  assert.deepEqual(new TextEncoder().encodeInto("é€", new Uint8Array(4)), { read: 1, written: 2 });
  const shared = new SharedArrayBuffer(2);
  new Uint8Array(shared).fill(65);
  assert.equal(decoder.decode(shared), "AA");
  const detached = new Uint8Array([65]);
  structuredClone(detached.buffer, { transfer: [detached.buffer] });
  assert.deepEqual([detached, detached.buffer, new DataView(shared)].map((bytes) => decoder.decode(bytes)), ["", "", "AA"]);
});

test("TextEncoder: its members throw for other objects", () => {
  const { encode, encodeInto } = TextEncoder.prototype;
  for (const other of [null, undefined, {}, TextEncoder.prototype, new TextDecoder()]) {
    assert.throws(() => encode.call(other, "a"), TypeError);
    assert.throws(() => encodeInto.call(other, "a", new Uint8Array(1)), TypeError);
  }
  assert.throws(() => TextEncoder.prototype.encoding, TypeError);
  assert.throws(() => TextEncoderStream.prototype.encoding, TypeError);
  assert.equal(new TextEncoder().encoding, "utf-8");
  assert.equal(new TextEncoderStream().encoding, "utf-8");
});

test("base64", () => {
  for (const text of ["", "a", "ab", "abc", "\xff\x00\x80"]) {
    assert.equal(btoa(text), Buffer.from(text, "latin1").toString("base64"));
    assert.equal(atob(btoa(text)), text);
  }
  assert.equal(atob(" YQ\n"), "a");
  assert.equal(atob(btoa("x".repeat(10000))).length, 10000);
  for (const text of ["a", "YQ=", "Y===", "Y*Q=", "€€€€"]) assert.throws(() => atob(text), { name: "InvalidCharacterError", code: 5 });
  assert.throws(() => btoa("€"), { name: "InvalidCharacterError" });
});

test("events", () => {
  const target = new EventTarget();
  const seen = [];
  const listener = (event) => seen.push(event.detail);
  target.addEventListener("x", listener);
  target.addEventListener("x", listener);
  target.addEventListener("x", { handleEvent: (event) => event.preventDefault() }, { once: true });
  assert.equal(target.dispatchEvent(new CustomEvent("x", { detail: 1, cancelable: true })), false);
  assert.equal(target.dispatchEvent(new CustomEvent("x", { detail: 2, cancelable: true })), true);
  const controller = new AbortController();
  target.addEventListener("x", () => seen.push("never"), { signal: controller.signal });
  controller.abort();
  target.removeEventListener("x", listener);
  target.dispatchEvent(new Event("x"));
  assert.deepEqual(seen, [1, 2]);
});

test("node:events names the listeners of an EventTarget", async () => {
  const { getEventListeners } = await import(`../src/node/events.js${native.world}`);
  const target = new EventTarget();
  const [first, second] = [() => {}, { handleEvent() {} }];
  target.addEventListener("a", first);
  target.addEventListener("a", second, { once: true });
  assert.deepEqual([getEventListeners(target, "a"), getEventListeners(target, "b")], [[first, second], []]);
  target.dispatchEvent(new Event("a"));
  assert.deepEqual(getEventListeners(target, "a"), [first]);
});

test("abort", async () => {
  const controller = new AbortController();
  const { signal } = controller;
  const seen = [];
  signal.onabort = (event) => seen.push(event.type);
  const any = AbortSignal.any([AbortSignal.any([signal]), new AbortController().signal]);
  any.addEventListener("abort", () => seen.push("any"));
  controller.abort();
  controller.abort("again");
  assert.deepEqual(seen, ["abort", "any"]);
  assert.equal(any.reason, signal.reason);
  assert.throws(() => signal.throwIfAborted(), { name: "AbortError", code: 20 });
  assert.equal(AbortSignal.abort("r").reason, "r");
  assert.throws(() => new AbortSignal(), TypeError);
  const timeout = AbortSignal.timeout(1);
  await new Promise((resolve) => timeout.addEventListener("abort", resolve));
  assert.equal(timeout.reason.name, "TimeoutError");
});

test("structuredClone", () => {
  const source = { d: new Date(1), r: /x/gi, m: new Map([[{ k: 1 }, new Set([1])]]), e: new RangeError("bad"), n: Object(1n) };
  source.self = source;
  source.list = [source, , 3];
  source.bytes = new Uint8Array([1, 2, 3]).subarray(1);
  const copy = structuredClone(source);
  assert.notEqual(copy, source);
  assert.equal(copy.self, copy);
  assert.equal(copy.list[0], copy);
  assert.equal(1 in copy.list, false);
  assert.deepEqual([...copy.bytes], [2, 3]);
  assert.ok(copy.e instanceof RangeError && copy.e.message === "bad");
  assert.deepEqual([...copy.m], [[{ k: 1 }, new Set([1])]]);
  assert.equal(`${copy.r}${copy.d.getTime()}`, "/x/gi1");
  for (const value of [() => {}, Symbol("s"), { f() {} }, new Headers(), Promise.resolve(), new WeakMap()]) {
    assert.throws(() => structuredClone(value), { name: "DataCloneError", code: 25 });
  }
});

test("structuredClone: transfer", { skip: ArrayBuffer.prototype.transfer === undefined }, () => {
  const view = new Uint8Array([1, 2, 3]).subarray(1);
  const copy = structuredClone({ view }, { transfer: [view.buffer] });
  assert.deepEqual([...copy.view], [2, 3]);
  assert.equal(view.byteLength, 0);
  assert.throws(() => structuredClone(view.buffer, { transfer: [view.buffer] }), { name: "DataCloneError" });
});

test("a timer is a number that can be unreferenced", () => {
  for (const [set, clear] of [[setTimeout, clearTimeout], [setInterval, clearInterval]]) {
    const timer = set(() => {}, 1e6);
    assert.equal(typeof timer, "number");
    assert.deepEqual([timer.hasRef(), timer.unref(), timer.hasRef(), timer.ref(), timer.hasRef()], [true, timer, false, timer, true]);
    assert.equal(clear(timer.unref()), undefined);
    assert.equal(timer.hasRef(), true);
    assert.equal(timer.refresh, undefined);
  }
  assert.deepEqual(Object.keys(Number.prototype), []);
});

test("timers, crypto, performance, the rest of the global scope", async () => {
  const seen = [];
  clearTimeout(setTimeout(() => seen.push("never"), 0));
  await new Promise((resolve) => setTimeout((a, b) => (seen.push(a + b), resolve()), 1, "x", "y"));
  assert.deepEqual(seen, ["xy"]);
  assert.throws(() => setTimeout(null), /needs a function/);
  const array = new Uint16Array(4);
  assert.equal(crypto.getRandomValues(array), array);
  assert.ok(array.some((it) => it !== 0));
  assert.throws(() => crypto.getRandomValues(new Float64Array(1)), { name: "TypeMismatchError" });
  assert.throws(() => crypto.getRandomValues(new Uint8Array(65537)), { name: "QuotaExceededError" });
  for (const wrong of [undefined, null, [1], new ArrayBuffer(1)]) assert.throws(() => crypto.getRandomValues(wrong), TypeError);
  const { getRandomValues, randomUUID } = Crypto.prototype;
  assert.throws(() => getRandomValues.call(null, array), TypeError);
  assert.throws(() => randomUUID.call({}), TypeError);
  assert.throws(() => Crypto.prototype.subtle, TypeError);
  assert.deepEqual([Crypto.length, CryptoKey.length, SubtleCrypto.length], [0, 0, 0]);
  assert.match(crypto.randomUUID(), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.ok(Math.abs(performance.timeOrigin + performance.now() - Date.now()) < 50);
  assert.equal(self, globalThis);
  assert.equal(navigator.userAgent, "ELIAS/0.1");
  const exception = new DOMException("m", "NotFoundError");
  assert.equal(`${exception} ${exception.code} ${DOMException.NOT_FOUND_ERR}`, "NotFoundError: m 8 8");
  assert.equal(DOMException.DATA_CLONE_ERR + DOMException.INUSE_ATTRIBUTE_ERR, 35);
  const form = new FormData();
  form.append("a", new Blob(["x"]), "n.txt");
  form.append("a", "2");
  assert.equal(`${form.get("a").name} ${form.getAll("a").length}`, "n.txt 2");
  form.set("a", "3");
  assert.deepEqual([...form], [["a", "3"]]);
  assert.equal(await new Blob(["abc"]).slice(-2).text(), "bc");
  await settle();
});
