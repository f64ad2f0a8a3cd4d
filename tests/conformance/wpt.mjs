// web-platform-tests: from an `.any.js` file to the module that runs it.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { createInterface } from "node:readline";
import { UNDECLARED } from "./areas.mjs";

/** The scopes of a worker, in which server runtimes are nearest to what the files expect. */
const SCOPES = ["worker", "dedicatedworker"];

/** Where the suite's server finds what it calls by another name. */
const ALIASES = { "resources/WebIDLParser.js": "resources/webidl2/lib/webidl2.js" };

/** Where the suite takes a SharedArrayBuffer from, since pages may not be shown the constructor. */
const SHARED_MEMORY = /WebAssembly\.Memory\(\{ shared/;

const META = /^\/\/\s*META:\s*(\w+)=(.*)$/;

/** `{ globals, scripts, variants, long }` from the comments at a file's beginning. */
export function metaOf(source) {
  const meta = { globals: undefined, scripts: [], variants: [], long: false };
  for (const line of source.split("\n")) {
    if (!line.startsWith("//") && line.trim() !== "") break;
    const [, key, value] = META.exec(line.trim()) ?? [];
    if (key === "global") meta.globals = value.split(",").map((scope) => scope.trim());
    if (key === "script") meta.scripts.push(value.trim());
    if (key === "variant") meta.variants.push(value.trim());
    if (key === "timeout") meta.long = value.trim() === "long";
  }
  return meta;
}

export const runsInWorkers = ({ globals }) => globals === undefined || globals.some((scope) => SCOPES.includes(scope));

/** A test and all scripts that it names, each as `{ name, text }`. */
export function scriptsOf(root, file, meta) {
  const load = (path) => ({ name: path, text: readFileSync(join(root, ALIASES[path] ?? path), "utf8") });
  const resolve = (script) => (script.startsWith("/") ? script.slice(1) : posix.join(dirname(file), script));
  return [...meta.scripts.map(resolve), file].map(load);
}

/** Templates (`.sub.js`) as the suite's server fills them in. */
export async function fillIn(scripts, server) {
  return Promise.all(
    scripts.map(async ({ name, text }) =>
      name.includes(".sub.") ? { name, text: await (await fetch(`${server}/${name}`)).text() } : { name, text },
    ),
  );
}

export const harnessOf = (root) => readFileSync(join(root, "resources/testharness.js"), "utf8");

/**
 * The module `test.js`: the suite's harness, the scripts and the test, in one function, as a file that is built,
 * bundled or imported like any other. `run(base, seconds)` gives the promise of the results.
 *
 * Classic scripts share their declarations, and may declare a function twice: so does the body of a function. Names of
 * worker scopes are hidden from the harness, which would else wait for events of a worker or of a page. Functions and
 * variables of a classic script are properties of the global object; the IDL harness relies on it, and so does text that
 * runs there. What such a script assigns to without a declaration is declared here, since a module is strict. A memory
 * that is shared, and of which the suite wants only that, there is without WebAssembly too.
 */
export function moduleOf(harness, scripts) {
  const idl = scripts.some(({ name }) => name === "resources/idlharness.js");
  const declared = (pattern) => [
    ...new Set(scripts.flatMap(({ text }) => [...text.matchAll(pattern)].map(([, name]) => name))),
  ];
  const functions = declared(/^(?:async )?function\*? (\w+)/gm);
  const variables = declared(/^var (\w+) *(?:=|;|$)/gm).filter((name) => !functions.includes(name));
  const undeclared = UNDECLARED.find(({ file }) => scripts.at(-1).name.startsWith(file))?.names ?? [];
  const memory = scripts.some(({ text }) => SHARED_MEMORY.test(text))
    ? "const WebAssembly = globalThis.WebAssembly ?? SHARED_MEMORY;"
    : "";
  return `import { observe, prepare, share, SHARED_MEMORY } from "./harness.js";

export default function run(base, seconds) {
  prepare(base, { idl: ${idl} });
  (function () {
    class Hidden { static [Symbol.hasInstance]() { return false; } }
    const DedicatedWorkerGlobalScope = Hidden, SharedWorkerGlobalScope = Hidden, ServiceWorkerGlobalScope = Hidden, WorkerGlobalScope = Hidden;
${harness}
  }).call(globalThis);
  const results = observe(seconds);
  try {${undeclared.length === 0 ? "" : ` let ${undeclared.join(", ")};`}
    ${memory}
    (function () {
      ${variables.map((name) => `share("${name}", () => ${name}, (value) => void (${name} = value));`).join(" ")}
      ${functions.map((name) => `if (typeof ${name} === "function") globalThis.${name} = ${name};`).join(" ")}
${scripts.map(({ text }) => text).join("\n;\n")}
    }).call(globalThis);
  } catch (error) {
    results.fail(error);
  }
  return results.promise;
}
`;
}

/** Starts the suite's own server; `ports` are its two, `close()` ends it. */
export async function serveSuite(root) {
  const server = spawn("python3", [join(import.meta.dirname, "server.py"), root], { stdio: ["pipe", "pipe", "pipe"] });
  let said = "";
  server.stderr.on("data", (data) => (said += data));
  const lines = createInterface({ input: server.stdout });
  const [line] = await Promise.race([once(lines, "line"), once(server, "exit").then(() => [undefined])]);
  if (line === undefined)
    throw new Error(
      `the suite's server, ${root}/tools/wptserve, does not start; it needs Python 3.8 or later: ${said}`,
    );
  const close = async () => {
    server.stdin.end();
    await once(server, "exit");
  };
  return { ports: JSON.parse(line), close };
}
