// Changes that a program makes to the built-ins must not change how we treat our own values: see src/internal/primordials.js.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";
import { index, newWorld } from "./world.mjs";

const source = new URL("../src/", import.meta.url);
const core = index.filter((entry) => entry.core).map((entry) => entry.file);

/** Code that calls built-ins which a program may have changed. */
const FORBIDDEN = [
  [/\bfor (?:await )?\((?:const|let) [^;]*? of /, "for of"],
  [/(?<![({,] ?|=> ?)\.\.\.(?!args\b|#?this\.#options)[\w[({]/, "spreading"],
  [/\b(?:const|let) \[/, "destructuring of an array"],
  [/\.(?:test|exec|replace|replaceAll|match|matchAll|split|push|splice|includes|indexOf|slice|concat|map|filter|some|every|find|join|sort|charCodeAt|startsWith|endsWith|toLowerCase|toUpperCase|toWellFormed|call|apply|bind)\(/, "a method of a built-in"],
  [/\b(?:JSON|Reflect)\.|\bObject\.keys\(|\bArray\.isArray\(|\bPromise\.(?:resolve|reject)\(/, "a function of a built-in"],
];

/** Lines that may: they run during the build, or on values of the program's own, whose iterators it may have made itself. */
const ALLOWED = [
  "for (const entry of { [Symbol.iterator]: () => apply(iterator, init, []) }) {",
  'const pair = typeof entry === "object" && entry !== null ? [...entry] : [];',
  "for (const name of keys(ENUMERATIONS)) DEFAULTS[name] = ENUMERATIONS[name][0];",
  "for (const name of Object.keys(members)) {",
  "for (const key of Object.getOwnPropertyNames(target)) {",
  "for (const name of Object.keys(methods)) defineHidden(cls.prototype, name, methods[name]);",
  "native.waitUntil(Promise.resolve(promise));",
  // A Uint8Array is copied by its own method.
  "this.stream = this.whole ? streamOf(null, this.bytes.slice()) : streamOf(pullerOf(this.source), null);",
  "if (bytes !== undefined) return new Body(bytes.slice(), undefined);",
  "return bytes.byteLength === bytes.buffer.byteLength ? bytes : bytes.slice();",
  'return typeof body.source === "string" ? native.utf8Encode(body.source) : body.source.slice();',
  "const [mine, other] = requireRegistered(\"teeForClone\", \"clone() of a streamed body\")(this.toStream());",
];

/** The lines of a module, without comments. */
function linesOf(file) {
  const text = readFileSync(new URL(file, source), "utf8").replace(/\/\*[\s\S]*?\*\//g, "");
  return text.split("\n").map((line) => line.replace(/(?:^|\s)\/\/.*$/, "").trim());
}

test("the core modules ask no built-in that a program may have changed", () => {
  const found = [];
  for (const file of core) {
    if (file === "internal/primordials.js" || file === "webidl/dom-exception.js") continue; // made of them; and nothing of a request's way
    for (const line of linesOf(file)) {
      if (ALLOWED.includes(line)) continue;
      for (const [pattern, what] of FORBIDDEN) if (pattern.test(line)) found.push(`${file}: ${what}: ${line}`);
    }
  }
  assert.deepEqual(found, []);
});

/** Runs `damage`, answers a request with headers, and repairs what was damaged. */
async function respondAfter(damage) {
  const native = await newWorld((entry) => entry.core || entry.file === "url/url.js");
  native.incoming = { method: "POST", url: "http://a/b", headers: ["x-a", "1", "host", "a"], chunks: ["{}"] };
  let broken, sent;
  // The fake, too, must not ask what was damaged.
  native.responseWhole = (status, headers, body) => (sent ??= ["whole", status, headers, body]);
  const handler = (request) => {
    const repair = damage();
    try {
      const seen = request.headers.get("x-a");
      const headers = { "X-Seen": seen, a: " b ", "set-cookie": "c=1", location: "/" };
      const response = new Response("ok", { status: 201, headers });
      response.headers.append("later", "d");
      response.headers.set("a", "e");
      response.headers.delete("location");
      native.handlers.fetch({ fetch: () => response });
    } catch (error) {
      broken = error;
    } finally {
      repair();
    }
    return new Response();
  };
  native.handlers.fetch({ fetch: handler });
  if (broken !== undefined) throw broken;
  return [sent[0], sent[1], Array.from(sent[2]), sent[3]];
}

/** Puts something else in place of a property until what it returns is called. */
function replacing(target, key, descriptor) {
  return () => {
    const former = Object.getOwnPropertyDescriptor(target, key);
    if (descriptor === undefined) delete target[key];
    else Object.defineProperty(target, key, { configurable: true, ...descriptor });
    return () => (former === undefined ? delete target[key] : Object.defineProperty(target, key, former));
  };
}

test("a response with headers is sent whatever a program did to the built-ins", async () => {
  const expected = [
    "whole",
    201,
    ["x-seen", "1", "a", "e", "set-cookie", "c=1", "content-type", "text/plain;charset=UTF-8", "later", "d"],
    "ok",
  ];
  const liar = { value: () => ({ 0: "" }) };
  const thrower = { value: () => assert.fail("asked") };
  const damages = {
    iterator: replacing(Array.prototype, Symbol.iterator, undefined),
    index: replacing(Array.prototype, "1", { set() {}, get: () => "wrong" }),
    exec: replacing(RegExp.prototype, "exec", liar),
    test: replacing(RegExp.prototype, "test", thrower),
    replace: replacing(RegExp.prototype, Symbol.replace, thrower),
    push: replacing(Array.prototype, "push", thrower),
    includes: replacing(Array.prototype, "includes", thrower),
    lower: replacing(String.prototype, "toLowerCase", thrower),
    code: replacing(String.prototype, "charCodeAt", thrower),
    call: replacing(Function.prototype, "call", thrower),
    apply: replacing(Function.prototype, "apply", thrower),
    map: replacing(Map.prototype, "get", thrower),
    isArray: replacing(Array, "isArray", thrower),
    ownKeys: replacing(Reflect, "ownKeys", thrower),
    json: replacing(JSON, "stringify", thrower),
    proto: replacing(Object.prototype, "content-type", { value: "wrong", writable: true }),
  };
  for (const [name, damage] of Object.entries(damages)) assert.deepEqual(await respondAfter(damage), expected, name);
});

test("natives ask for the bytes of a buffer in a way that leaves no exception behind", () => {
  const natives = new URL("../../engine/src/native/", import.meta.url);
  for (const file of readdirSync(natives)) {
    if (!file.endsWith(".rs") || file === "bytes.rs") continue;
    const text = readFileSync(new URL(file, natives), "utf8");
    assert.doesNotMatch(text, /ArrayBuffer::from_object|as_bytes\(\)\.unwrap_or|\.as_slice\(\)\.ok|get\("\w+"\)\.ok\(\)/, file);
  }
});
