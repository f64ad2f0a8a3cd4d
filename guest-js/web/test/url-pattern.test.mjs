// URLPattern: what the standard says of host names, ports, names of groups, sets and whole URLs.
import assert from "node:assert/strict";
import { test } from "node:test";
import { newWorld } from "./world.mjs";

await newWorld();
const matches = (pattern, input) => new URLPattern(pattern).test(input);
const groups = (pattern, input, component) => new URLPattern(pattern).exec(input)?.[component].groups;

test("groups of host names", () => {
  const optional = { hostname: "{*.}?example.com" };
  assert.equal(matches(optional, "https://example.com/"), true);
  assert.equal(matches(optional, "https://a.b.example.com/x"), true);
  assert.equal(matches(optional, "https://badexample.com/"), false);
  assert.deepEqual(groups({ hostname: ":sub.example.com" }, "https://shop.example.com/", "hostname"), { sub: "shop" });
  assert.equal(matches({ hostname: ":sub.example.com" }, "https://a.b.example.com/"), false);
  assert.deepEqual(groups("https://*.example.com/*", "https://x.example.com/y/z", "pathname"), { 0: "y/z" });
  assert.equal(new URLPattern({ hostname: "{*.}?example.com" }).hostname, "{*.}?example.com");
});

test("international host names are in their canonical form, part by part", () => {
  assert.equal(new URLPattern({ hostname: "ESPAÑA.com" }).hostname, "xn--espaa-rta.com");
  assert.equal(new URLPattern({ hostname: ":sub.日本.jp" }).hostname, ":sub.xn--wgv71a.jp");
  assert.deepEqual(groups({ hostname: ":sub.日本.jp" }, "https://x.日本.jp/", "hostname"), { sub: "x" });
  assert.equal(matches({ hostname: "xn--wgv71a.jp" }, { hostname: "日本.jp" }), true);
  assert.equal(new URLPattern({ hostname: "[\\:\\:AB]" }).hostname, "[\\:\\:ab]");
  for (const hostname of ["a b", "a<b", "[\\:g]", "a\\:80", "a@b"]) assert.throws(() => new URLPattern({ hostname }), TypeError, hostname);
  // What ends a host name in a URL ends it here.
  assert.equal(new URLPattern({ hostname: "bad#hostname" }).hostname, "bad");
  assert.equal(new URLPattern({ hostname: "a\tb\nc" }).hostname, "abc");
});

test("sets of regular expressions", () => {
  assert.equal(matches({ pathname: "/([[a-z]--a])" }, { pathname: "/z" }), true);
  assert.equal(matches({ pathname: "/([[a-z]--a])" }, { pathname: "/a" }), false);
  assert.equal(matches({ pathname: "/([\\d&&[0-1]])" }, { pathname: "/0" }), true);
  assert.equal(matches({ pathname: "/([\\d&&[0-1]])" }, { pathname: "/3" }), false);
  assert.throws(() => new URLPattern({ pathname: "/([z-a])" }), TypeError);
  assert.equal(new URLPattern({ pathname: "/(a)" }).hasRegExpGroups, true);
  assert.equal(new URLPattern({ pathname: "/:a/*" }).hasRegExpGroups, false);
});

test("names beyond the basic plane, ports, modifiers, and what a URL lacks", () => {
  assert.deepEqual(groups({ pathname: "/:a𐑐b" }, { pathname: "/foo" }, "pathname"), { a𐑐b: "foo" });
  assert.equal(new URLPattern({ protocol: "http", port: "80 " }).port, "80");
  assert.equal(matches({ port: "80" }, { port: "80?x" }), true);
  assert.equal(matches({ port: "80" }, { port: "x80" }), false);
  assert.deepEqual(groups({ pathname: "/files/:name+" }, { pathname: "/files/a/b" }, "pathname"), { name: "a/b" });
  assert.deepEqual(groups({ pathname: "/:a/:b?" }, { pathname: "/x" }, "pathname"), { a: "x", b: undefined });
  assert.equal(new URLPattern("/books/:id\\?x=1#top", "https://example.com/a/").pathname, "/books/:id");
  assert.equal(new URLPattern({ pathname: "b", baseURL: "https://example.com/a+/" }).pathname, "/a\\+/b");
  assert.equal(new URLPattern("data\\:foobar").protocol, "data");
  assert.equal(new URLPattern({ pathname: "/A" }, { ignoreCase: true }).test({ pathname: "/a" }), true);
  assert.throws(() => new URLPattern("/a"), TypeError);
  assert.throws(() => new URLPattern({}, "https://a.b"), TypeError);
  assert.throws(() => new URLPattern({ pathname: "/:a/:a" }), TypeError);
  assert.throws(() => new URLPattern("(\\"), TypeError);
  assert.equal(new URLPattern({ pathname: "/a" }).exec("no url"), null);
  assert.deepEqual(new URLPattern({ pathname: "/a" }).exec("/a", "https://b.c").inputs, ["/a", "https://b.c"]);
  const user = new URLPattern("https://:team.example.com/users/:name");
  assert.equal(user.generate("pathname", { name: "Ada Lovelace" }), "/users/Ada%20Lovelace");
  assert.equal(user.generate("hostname", { team: "bücher" }), "xn--bcher-kva.example.com");
  for (const groups of [{}, undefined, { name: "a/b" }, { name: ".." }, { name: "" }]) {
    assert.throws(() => user.generate("pathname", groups), TypeError, JSON.stringify(groups));
  }
  assert.throws(() => user.generate("toString", {}), TypeError);
  assert.throws(() => new URLPattern({ pathname: "/*" }).generate("pathname", { 0: "a" }), TypeError);
  assert.equal(URLPattern.compareComponent("pathname", new URLPattern({ pathname: "/*" }), new URLPattern({ pathname: "/a" })), -1);
});
