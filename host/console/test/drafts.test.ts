import { describe, expect, test } from "vitest";
import { ambient, packagesOf } from "../src/editor/libraries";
import { inOrder, isPath, merge, sameFiles } from "../src/lib/merge";
import { endpointFields, requestOf } from "../src/lib/request";
import { definitionOf, fieldsOf, sharesOf, withShares, type Definition } from "../src/pages/flags";
import { markersOf, type Build } from "../src/pages/drafts";

describe("two saves of a draft", () => {
  const base = { a: "1", b: "1", c: "1", d: "1" };

  test("of different files are merged, also when files were added and deleted", () => {
    const own = { a: "2", b: "1", d: "1", e: "own" };
    const other = { a: "1", b: "2", c: "1", f: "other" };
    expect(merge(base, own, other)).toEqual({
      files: { a: "2", b: "2", e: "own", f: "other" },
      conflicts: [],
    });
  });

  test("of one file are a conflict, unless they are alike", () => {
    expect(merge(base, { ...base, a: "own" }, { ...base, a: "other" })).toEqual({
      files: { ...base, a: "own" },
      conflicts: [{ file: "a", own: "own", other: "other" }],
    });
    expect(merge(base, { ...base, a: "same" }, { ...base, a: "same" }).conflicts).toEqual([]);
    const { a: _, ...without } = base;
    expect(merge(base, without, { ...base, a: "other" })).toEqual({
      files: without,
      conflicts: [{ file: "a", own: undefined, other: "other" }],
    });
    expect(merge(base, without, without).conflicts).toEqual([]);
  });

  test("are told apart by their files", () => {
    expect([sameFiles(base, { ...base }), sameFiles(base, { ...base, a: "2" }), sameFiles(base, { a: "1" })]).toEqual([
      true,
      false,
      false,
    ]);
  });
});

test("paths of files are those that the server takes", () => {
  const good = ["src/index.ts", ".gitignore", "a b/é.txt"];
  const bad = ["", "/a", "a/", "a//b", "../a", "a/../b", "./a", "a\\b", "a\u0000", "a\nb", "node_modules/x.js", ".git/a"];
  expect(good.filter((path) => !isPath(path))).toEqual([]);
  expect([...bad, "x".repeat(257), "é".repeat(129)].filter(isPath)).toEqual([]);
  expect(inOrder({ "package.json": "", "test/a.ts": "", "src/b.ts": "", "elias.toml": "" })).toEqual([
    "src/b.ts",
    "test/a.ts",
    "elias.toml",
    "package.json",
  ]);
});

describe("the libraries of a project", () => {
  test("declare the packages that its package.json names, and nothing that is no name", () => {
    const text = JSON.stringify({ dependencies: { hono: "4", "@a/b": "1", 'x";evil()': "1" }, devDependencies: { elias: "1" } });
    expect(packagesOf(text)).toEqual(["hono", "@a/b"]);
    expect(ambient(["hono"])).toBe('declare module "hono";\ndeclare module "hono/*";\ndeclare module "node:*";\n');
  });

  test("are those of the SDK alone while package.json cannot be read", () => {
    for (const text of [undefined, "", "{", "null", "[]", '{"dependencies":null}']) expect(packagesOf(text)).toEqual([]);
  });
});

test("what the server found stands in its line; without a place in the first of the entry", () => {
  const diagnostics = [
    { severity: "error", code: "syntax-error", message: "what", file: "src/a.ts", line: 3, column: 7, help: "mend it" },
    { severity: "warning", code: "unused-grant", message: "that" },
  ];
  const build = { diagnostics } as unknown as Build;
  expect(markersOf(build, "src/index.ts")).toEqual([
    { severity: "error", code: "syntax-error", message: "what\nmend it", file: "src/a.ts", line: 3, column: 7 },
    { severity: "warning", code: "unused-grant", message: "that", file: "src/index.ts", line: 1, column: 1 },
  ]);
  expect(markersOf(undefined, "a")).toEqual([]);
});

describe("requests from forms", () => {
  test("have the path, query and body that the schemas describe", () => {
    const endpoint = {
      method: "PUT",
      path: "/users/:id/files/*rest",
      query: { type: "object", properties: { limit: { type: "integer" }, all: { type: "boolean" } } },
      body: { type: "object", required: ["text"], properties: { text: { type: "string" }, tags: { type: "array" } } },
    };
    expect(endpointFields(endpoint).map(({ name, kind }) => [name, kind])).toEqual([
      ["params:id", "text"],
      ["params:rest", "text"],
      ["query:limit", "number"],
      ["query:all", "check"],
      ["body:text", "text"],
      ["body:tags", "json"],
    ]);
    const values = {
      "params:id": "a/b?c",
      "params:rest": "x/y z",
      "query:limit": "5",
      "query:all": "",
      "body:text": "é & <b>",
      "body:tags": '["a"]',
    };
    expect(requestOf(endpoint, values)).toEqual({
      method: "PUT",
      path: "/users/a%2Fb%3Fc/files/x/y%20z?limit=5",
      headers: "content-type: application/json",
      body: '{"text":"é & <b>","tags":["a"]}',
    });
  });

  test("ask for JSON where no form can show the schema", () => {
    const endpoint = { method: "POST", path: "/", body: { type: "array" } };
    expect(endpointFields(endpoint).map(({ name, kind }) => [name, kind])).toEqual([["body:", "json"]]);
    expect(requestOf(endpoint, { "body:": "[1]" }).body).toBe("[1]");
    expect(requestOf({ method: "GET", path: "/a" }, {})).toEqual({ method: "GET", path: "/a", headers: "", body: "" });
  });
});

describe("the form of a flag", () => {
  const variants = { on: true, off: false } as unknown as Definition["variants"];
  const flag: Definition = { variants, defaultVariant: "off", rules: [{ users: ["ada"], variant: "on" }] };

  test("changes the shares of all, and no rule of some", () => {
    const shared = withShares(flag, { on: 25, off: 0 });
    expect(shared.rules).toEqual([...(flag.rules ?? []), { split: [{ variant: "on", percent: 25 }] }]);
    expect(sharesOf(shared)).toEqual({ on: 25 });
    expect(withShares(shared, { on: 30, off: 70 }).rules).toHaveLength(2);
    expect(withShares(shared, {}).rules).toEqual(flag.rules);
    expect(sharesOf({ ...flag, rules: [{ variant: "on" }] })).toEqual({ on: 100 });
    expect(sharesOf(flag)).toEqual({});
  });

  test("gives back what it was given", () => {
    const whole: Definition = {
      ...withShares(flag, { on: 10 }),
      state: "DISABLED",
      description: "what for",
      metadata: { team: "a" } as never,
    };
    const values = Object.fromEntries(fieldsOf(whole).map(({ name, value = "" }) => [name, value]));
    expect(definitionOf(whole, values)).toEqual(whole);
    expect(definitionOf(whole, { ...values, state: "ENABLED", default: "on", description: "", "share:on": "0" })).toEqual({
      variants,
      metadata: { team: "a" },
      rules: flag.rules,
      state: "ENABLED",
      defaultVariant: "on",
    });
  });
});
