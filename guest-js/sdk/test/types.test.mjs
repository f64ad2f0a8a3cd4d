// The types say what the contract and the modules say: a name on one side alone is a mistake.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";

const read = (path) => readFileSync(new URL(`../../../${path}`, import.meta.url), "utf8");
const modules = readdirSync(new URL("../modules/", import.meta.url)).map((file) => file.replace(".d.ts", ""));

/** The names that the body of the interface declares, methods and properties. */
function membersOf(types, name) {
  const start = types.indexOf(`export interface ${name} `);
  assert.notEqual(start, -1, `there is no interface ${name}`);
  const body = types.slice(types.indexOf("{", start), types.indexOf("\n}", start));
  const own = [...body.matchAll(/^ {2}(?:readonly )?(\w+)\??[(<:]/gm)].map(([, member]) => member);
  const parent = /extends (\w+)/.exec(types.slice(start, types.indexOf("{", start)));
  return new Set(parent ? [...own, ...membersOf(types, parent[1])] : own);
}

const INTERFACES = {
  cache: "Cache", config: "Config", db: "Database", events: "Events", flags: "Flags", forms: "Forms", http: "Http", jobs: "Jobs",
  log: "Log", trace: "Trace", workers: "Workers", workflow: "Step",
};
/** The names of what modules export, where they are not those of the modules. */
const EXPORTS = { forms: "ELIAS", workflow: "step" };

test("every module that can be imported has types, and the other way round", () => {
  const index = JSON.parse(read("guest-js/web/src/index.json"));
  const nameOf = (entry) => entry.words.find((word) => word.startsWith("elias/")).slice("elias/".length);
  const exported = index.filter((entry) => entry.exports).map(nameOf);
  assert.deepEqual(exported.sort(), modules.sort());
  for (const entry of index.filter((entry) => entry.exports)) {
    const types = read(`guest-js/sdk/modules/${nameOf(entry)}.d.ts`);
    for (const name of entry.exports) {
      assert.match(types, new RegExp(`export (?:const|function|class) ${name}\\b`), name);
    }
  }
});

test("a project gets the types of every module", () => {
  const written = read("toolchain/project/src/types.rs");
  for (const module of modules) assert.ok(written.includes(`("types/modules/${module}.d.ts", `), module);
});

test("the types have the methods that the modules have", async () => {
  // Hardly a module asks for natives before it is called; what asks then gives them a class and wants one back.
  const { register } = await import("node:module");
  const native = 'export default new Proxy({}, { get: () => (value) => value })';
  register(`data:text/javascript,${encodeURIComponent(`
    export const resolve = (name, context, next) => name === "elias:native"
      ? { url: "data:text/javascript,${encodeURIComponent(native)}", shortCircuit: true } : next(name, context);`)}`);
  for (const module of modules.filter((module) => module in INTERFACES)) {
    const file = module === "forms" ? "forms/index.js" : `capabilities/${module}.js`;
    const implementation = (await import(`../../web/src/${file}`))[EXPORTS[module] ?? module];
    const types = read(`guest-js/sdk/modules/${module}.d.ts`);
    assert.deepEqual(new Set(Object.keys(implementation)), membersOf(types, INTERFACES[module]), module);
  }
});

test("the types of workers have the members of the function that makes their classes", async () => {
  const { worker } = await import("../../web/src/capabilities/workers.js");
  const types = read("guest-js/sdk/modules/workers.d.ts");
  assert.deepEqual(new Set(Object.keys(worker)), membersOf(types, "WorkerFactory"));
  const methods = Object.getOwnPropertyNames(worker.Worker.prototype).filter((name) => name !== "constructor");
  const start = types.indexOf("export declare class Worker");
  const body = types.slice(start, types.indexOf("\n}", start));
  for (const name of methods) assert.match(body, new RegExp(`^  (?:readonly ${name}:|${name}\\()`, "m"));
});

test("the types of services have the members of their classes", async () => {
  const eiasw = await import("../../web/src/capabilities/eiasw.js");
  const types = read("guest-js/sdk/modules/eiasw.d.ts");
  const emitter = ["on", "once", "off", "emit"];
  for (const name of ["ServiceWorker", "ServiceRegistry"]) {
    const declared = membersOf(types.replace(`class ${name} `, `interface ${name} `), name);
    declared.delete("constructor");
    const members = Object.getOwnPropertyNames(eiasw[name].prototype).filter((member) => member !== "constructor");
    assert.deepEqual(new Set([...members, ...emitter]), declared, name);
  }
});

test("the types have the error codes that the contract has", () => {
  for (const module of ["cache", "db", "events", "jobs", "workers", "workflow"]) {
    const body = /enum error-code \{([^}]*)\}/.exec(read(`wit/${module}/${module}.wit`))[1];
    const all = [...body.matchAll(/^\s*([a-z-]+),$/gm)].map(([, code]) => code);
    // What a worker throws is thrown as it is.
    const codes = all.filter((code) => code !== "exception");
    const types = /readonly code: ([^;]*);/.exec(read(`guest-js/sdk/modules/${module}.d.ts`))[1];
    assert.deepEqual([...types.matchAll(/"([a-z-]+)"/g)].map(([, code]) => code).sort(), codes.sort(), module);
  }
});
