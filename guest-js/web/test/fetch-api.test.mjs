// Request options, bodies that are passed on, forms, data: and blob: URLs, and FileReader.
import assert from "node:assert/strict";
import { test } from "node:test";
import { newWorld } from "./world.mjs";

await newWorld();

test("FormData as a body: names are escaped, files keep name and type, and it comes back", async () => {
  const form = new FormData();
  form.append('a "quoted"\nname', "one\rtwo");
  form.append("upload", new File(["h\u00e9"], "b.txt", { type: "text/x" }));
  form.append("blob", new Blob(["x"]));
  const response = new Response(form);
  const type = response.headers.get("content-type");
  assert.match(type, /^multipart\/form-data; boundary=-+\w+$/);
  const text = await response.clone().text();
  assert.ok(text.includes('name="a %22quoted%22%0D%0Aname"\r\n\r\none\r\ntwo\r\n'), text);
  assert.ok(text.includes('name="upload"; filename="b.txt"\r\nContent-Type: text/x\r\n\r\n'), text);
  assert.ok(text.includes('name="blob"; filename="blob"\r\nContent-Type: application/octet-stream\r\n'), text);
  const back = await response.formData();
  const upload = back.get("upload");
  assert.ok(upload instanceof File);
  assert.deepEqual([upload.name, upload.type, await upload.text()], ["b.txt", "text/x", "h\u00e9"]);
  await assert.rejects(new Response("", { headers: { "content-type": "multipart/form-data" } }).formData(), /no boundary/);
});

test("Request: every option is checked, kept and passed on", () => {
  const init = { mode: "same-origin", cache: "only-if-cached", credentials: "include", integrity: "x", keepalive: true };
  const request = new Request(new Request("http://a/", { ...init, referrerPolicy: "origin", redirect: "error" }));
  for (const name of Object.keys(init)) assert.equal(request[name], init[name]);
  assert.deepEqual([request.referrerPolicy, request.redirect, request.referrer], ["origin", "error", "about:client"]);
  for (const name of ["mode", "cache", "credentials", "redirect", "referrerPolicy", "priority", "duplex"]) {
    assert.throws(() => new Request("http://a/", { [name]: "no" }), TypeError, name);
  }
  for (const wrong of [{ mode: "navigate" }, { cache: "only-if-cached" }, { window: 1 }, { mode: "no-cors", method: "PUT" }, 5]) {
    assert.throws(() => new Request("http://a/", wrong), TypeError, JSON.stringify(wrong));
  }
  const { headers } = new Request("http://a/", { mode: "no-cors", headers: { accept: "x", authorization: "y" } });
  assert.deepEqual([...headers], [["accept", "x"]]);
});

test("a URL is relative to location, if a script has defined it", () => {
  assert.throws(() => new Request("/x"), /not an absolute URL/);
  globalThis.location = new URL("http://a/b/c");
  try {
    assert.equal(new Request("d").url, "http://a/b/d");
    assert.equal(Response.redirect("/e").headers.get("location"), "http://a/e");
  } finally {
    delete globalThis.location;
  }
});

test("a body that was read is a stream in other hands, and one that was passed on too", async () => {
  const response = new Response("x");
  await response.text();
  assert.equal(response.body.locked, true);
  const first = new Request("http://a/", { method: "POST", body: "text" });
  const { body } = first;
  const second = new Request(first);
  assert.equal(first.bodyUsed && body.locked, true);
  assert.notEqual(second.body, body);
  assert.equal(await second.text(), "text");
});

test("what a body's stream hands out is not the bytes of its clone or its Blob", async () => {
  const blob = new Blob(["abc"]);
  const response = new Response(blob);
  const copy = response.clone();
  const { value } = await response.body.getReader().read();
  value[0] = 0;
  assert.equal(await copy.text(), "abc");
  assert.equal(await blob.slice(1).text(), "bc");
  assert.equal(await blob.text(), "abc");
});

test("data: and blob: URLs", async () => {
  const data = await fetch("data:text/x,a%20b");
  assert.deepEqual([data.status, data.headers.get("content-type"), await data.text()], [200, "text/x", "a b"]);
  const url = URL.createObjectURL(new Blob(["abcdef"], { type: "text/y" }));
  const request = new Request(url);
  const part = await fetch(url, { headers: { range: "bytes=1-2" } });
  assert.deepEqual([part.status, part.headers.get("content-range"), await part.text()], [206, "bytes 1-2/6", "bc"]);
  URL.revokeObjectURL(url);
  await assert.rejects(fetch(url), TypeError);
  assert.equal(await (await fetch(request)).text(), "abcdef");
  await assert.rejects(fetch(request, { method: "POST" }), TypeError);
});

test("FileReader: events in their order, results of each kind", async () => {
  const read = (method, blob) =>
    new Promise((resolve) => {
      const events = [];
      const reader = new FileReader();
      for (const type of ["loadstart", "progress", "load", "loadend"]) reader[`on${type}`] = () => events.push(type);
      reader.addEventListener("loadend", () => resolve([events.join(), reader.result]));
      reader[method](blob);
    });
  const all = "loadstart,progress,load,loadend";
  assert.deepEqual(await read("readAsText", new Blob(["\ufeffh\u00e9"])), [all, "h\u00e9"]);
  assert.deepEqual(await read("readAsDataURL", new Blob(["hi"], { type: "a/b" })), [all, "data:a/b;base64,aGk="]);
  assert.equal((await read("readAsArrayBuffer", new Blob(["abc"])))[1].byteLength, 3);
  const reader = new FileReader();
  reader.readAsText(new Blob(["x"]));
  assert.throws(() => reader.readAsText(new Blob(["x"])), { name: "InvalidStateError" });
  reader.abort();
  assert.deepEqual([reader.readyState, reader.result], [FileReader.DONE, null]);
  assert.equal(new FileReaderSync().readAsText(new Blob(["x"])), "x");
  assert.equal(reader.onload, null);
  assert.throws(() => FileReader.prototype.onload, TypeError);
});
