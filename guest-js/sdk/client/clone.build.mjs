// Writes clone.js: the structured clone encoding of workers (guest-js/web/src/messaging/clone-encoding.js) as a module
// without imports, for browsers, Node.js and what is bundled into a component. `node clone.build.mjs` writes it anew; a
// test compares.
import { readFileSync, writeFileSync } from "node:fs";

const SOURCE = new URL("../../web/src/messaging/clone-encoding.js", import.meta.url);
const CLONE = new URL("../../web/src/messaging/structured-clone.js", import.meta.url);
const TARGET = new URL("clone.js", import.meta.url);

const HEAD = `// The structured clone encoding of workers: values as texts that keep what JSON alone would lose.
// Written by clone.build.mjs from the module that components have.
const { atob, btoa, DOMException } = globalThis;

/** Whether a value is an ArrayBuffer, of whichever realm. */
function isArrayBuffer(value) {
  try {
    Reflect.get(ArrayBuffer.prototype, "byteLength", value);
    return true;
  } catch {
    return false;
  }
}
`;

/** A function of a module with the comment before it, as it stands there. */
function functionOf(source, name) {
  const comment = String.raw`(?:/\*\*(?:(?!\*/)[\s\S])*\*/\n)?`;
  const found = new RegExp(`${comment}export ${String.raw`(function ${name}\([\s\S]*?\n\}\n)`}`).exec(source);
  if (!found) throw new Error(`structured-clone.js has no function ${name}`);
  return found[0].replace("export function", "function");
}

/** The text of clone.js. */
export function written() {
  const clone = readFileSync(CLONE, "utf8");
  const errors = /export (const ERRORS = .*;)/.exec(clone)?.[1];
  if (!errors) throw new Error("structured-clone.js has no ERRORS");
  const source = readFileSync(SOURCE, "utf8");
  const body = source.slice(source.lastIndexOf("\nimport ")).replace(/^\nimport .*\n/, "");
  const functions = ["hiddenState", "tracksLength"].map((name) => functionOf(clone, name));
  return [HEAD, `${errors}\n`, ...functions, body.trimStart()].join("\n");
}

if (process.argv[1] && import.meta.url.endsWith(process.argv[1].split("/").pop())) writeFileSync(TARGET, written());
