// elias/forms: what the build is told of schemas, for the component's manifest.
import assert from "node:assert/strict";
import { test } from "node:test";
import { newWorld } from "./world.mjs";

async function forms() {
  const native = await newWorld();
  const told = [];
  native.setApplication = () => {};
  native.describeSchema = (...described) => void told.push(described);
  return { told, ...(await import(`../src/forms/index.js${native.world}`)) };
}

test("each endpoint is told with its schemas", async () => {
  const { createAPI, told } = await forms();
  const [params, body] = [(value) => value, { parse: (value) => value }];
  createAPI({ endpoint: "GET /users/:id", params, handler() {} });
  createAPI({ endpoint: { path: "/" }, body, handler() {} });
  const schemas = told.filter(([, , , schema]) => schema !== undefined);
  assert.deepEqual(schemas, [
    [1, "GET /users/:id", "params", params],
    [1, "GET /", "body", body],
  ]);
  const endpoints = told.filter(([, , part]) => part === "").map(([, endpoint]) => endpoint);
  assert.deepEqual(endpoints, ["GET /users/:id", "GET /"]);
});

test("an endpoint that is refused is not told", async () => {
  const { createAPI, told } = await forms();
  assert.throws(() => createAPI({ endpoint: "no path", handler() {} }), TypeError);
  assert.deepEqual(told, []);
});

test("input and output are told with the number of their implementation", async () => {
  const { component, told } = await forms();
  const [input, faster] = [(value) => value, (value) => value];
  component("a").implement({ process() {}, input }).stage2().implement({ process() {}, input: faster });
  assert.deepEqual(told.filter(([, , part, schema]) => part === "input" && schema !== undefined), [
    [1, "", "input", input],
    [2, "", "input", faster],
  ]);
});
