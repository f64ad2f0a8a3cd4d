// web-platform-tests: from an `.any.js` file to the source of a component that runs it when it is asked.
import { readFileSync } from "node:fs";
import { dirname, join, posix } from "node:path";

/** The scopes of a worker, in which we are nearest to what the files expect. */
const SCOPES = ["worker", "dedicatedworker"];

/** Where the suite's server finds what it calls by another name. */
const ALIASES = { "resources/WebIDLParser.js": "resources/webidl2/lib/webidl2.js" };

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

/** The text of a test and of all scripts that it names. */
export function scriptsOf(root, file, meta) {
  const load = (path) => ({ name: path, text: readFileSync(join(root, ALIASES[path] ?? path), "utf8") });
  const resolve = (script) => (script.startsWith("/") ? script.slice(1) : posix.join(dirname(file), script));
  return [...meta.scripts.map(resolve), file].map(load);
}

/**
 * The source of a component that runs a test upon a request, as global scripts, and answers with its results as JSON:
 * `{ status, message, tests: [{ name, status, message }] }`. Status 0 is a pass. `server` is where the suite's files are.
 */
export function componentOf(root, file, variant, scripts, server, seconds) {
  const harness = { name: "resources/testharness.js", text: readFileSync(join(root, "resources/testharness.js"), "utf8") };
  const uses = scripts.map(({ text }) => text).join("\n");
  // What `elias-build` decides by the names in the source, for text that is run by eval.
  const mentions = [
    /\bfetch\s*\(/.test(uses) ? "void globalThis.fetch;" : "",
    /\b(?:TextDecoder|FileReader)/.test(uses) ? 'globalThis.mentioned = [TextDecoder, "big5"];' : "",
  ].join("");
  const idl = scripts.some(({ name }) => name === "resources/idlharness.js");
  return `
const scripts = ${JSON.stringify([harness, ...scripts])};
${mentions}
export default {
  async fetch() {
    const run = globalThis.eval;
    const { promise, resolve } = Promise.withResolvers();
    const tests = [];
    const finish = (status, message) => resolve({ status, message, tests });
    globalThis.self ??= globalThis;
    globalThis.GLOBAL = { isWindow: () => false, isWorker: () => true, isShadowRealm: () => false };
    run(scripts[0].text);
    const { href, search, origin, protocol, host, hostname, port, pathname, hash } = new URL(${JSON.stringify(`${server}/${file}${variant}`)});
    globalThis.location = { href, search, origin, protocol, host, hostname, port, pathname, hash };
    globalThis.setup({ explicit_timeout: true });
    globalThis.add_result_callback(({ name, status, message }) => tests.push({ name, status, message }));
    globalThis.add_completion_callback((_, { status, message }) => finish(status, message));
    setTimeout(() => finish(2, "the test did not end in time"), ${seconds * 1000});
    // The IDL harness asks which scope it is in, when the test harness has taken this one for a shell.
    if (${idl}) globalThis.DedicatedWorkerGlobalScope = class { static [Symbol.hasInstance](value) { return value === globalThis; } };
    try {
      // At once, since what \`let\` and \`const\` declare is seen by later scripts, and by nothing after an eval.
      run(scripts.slice(1).map(({ text }) => text).join("\\n;\\n"));
    } catch (error) {
      finish(1, error + "\\n" + error?.stack);
    }
    return new Response(JSON.stringify(await promise), { headers: { "content-type": "application/json" } });
  },
};
`;
}
