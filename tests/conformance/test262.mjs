// test262: a sample of tests, each in an instance of its own, beside plain quickjs-ng. The same text runs in both.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { ask } from "./component.mjs";

const run = promisify(execFile);

const SAMPLE = 3000;
const SECONDS = 20;

/** What is not drawn: proposals that quickjs-ng has not begun, modules (which are bundled, and run at build), and what needs a second realm or a thread. */
const LEFT_OUT_FEATURES = ["Temporal", "ShadowRealm", "cross-realm", "dynamic-import", "import-defer", "source-phase-imports", "SharedArrayBuffer", "Atomics", "Atomics.waitAsync", "Atomics.pause", "IsHTMLDDA", "host-gc-required"];
const LEFT_OUT_FLAGS = ["module", "CanBlockIsTrue", "CanBlockIsFalse", "non-deterministic"];

function metaOf(source) {
  const yaml = /\/\*---([\s\S]*?)---\*\//.exec(source)?.[1] ?? "";
  const list = (key) => {
    const inline = new RegExp(`^${key}:\\s*\\[([^\\]]*)\\]`, "m").exec(yaml);
    if (inline) return inline[1].split(",").map((item) => item.trim()).filter(Boolean);
    const block = new RegExp(`^${key}:\\s*\\n((?:\\s+-\\s*\\S+\\n?)+)`, "m").exec(yaml);
    return block ? [...block[1].matchAll(/-\s*(\S+)/g)].map(([, item]) => item) : [];
  };
  const negative = /^negative:\s*\n((?:\s+\w+:.*\n?)+)/m.exec(yaml)?.[1];
  return { flags: list("flags"), features: list("features"), includes: list("includes"), negative: negative && /type:\s*(\w+)/.exec(negative)[1] };
}

/** The tests of the sample: of each second-level folder its share, those whose names hash lowest. */
function sampleOf(folder, filter) {
  const strata = new Map();
  let all = 0;
  for (const part of ["annexB", "built-ins", "language"]) {
    for (const name of readdirSync(join(folder, "test", part), { recursive: true })) {
      if (!name.endsWith(".js") || name.includes("_FIXTURE") || !`${part}/${name}`.includes(filter ?? "")) continue;
      const file = `test/${part}/${name}`;
      const source = readFileSync(join(folder, file), "utf8");
      const meta = metaOf(source);
      if (meta.features.some((feature) => LEFT_OUT_FEATURES.includes(feature)) || meta.flags.some((flag) => LEFT_OUT_FLAGS.includes(flag))) continue;
      const stratum = file.split("/").slice(0, 3).join("/");
      const order = createHash("sha256").update(file).digest("hex");
      if (!strata.has(stratum)) strata.set(stratum, []);
      strata.get(stratum).push({ file, source, meta, order });
      all++;
    }
  }
  const share = Math.min(1, SAMPLE / all);
  return [...strata.values()].flatMap((tests) => tests.sort((a, b) => (a.order < b.order ? -1 : 1)).slice(0, Math.ceil(tests.length * share)));
}

/** Runs in both engines: gives "pass", or what happened instead. */
async function judge(scripts, test, negative, isAsync) {
  const run = globalThis.eval;
  let told;
  globalThis.print = (text) => (told = `${text}`);
  const detach = (buffer) => void buffer.transfer();
  globalThis.$262 = { global: globalThis, evalScript: (text) => run(text), gc() {}, detachArrayBuffer: detach };
  try {
    for (const script of scripts) run(script);
    run(test);
  } catch (error) {
    const name = error?.constructor?.name;
    return name === negative ? "pass" : `${name}: ${error?.message}`;
  }
  if (negative) return `no ${negative}`;
  // Promise jobs; there are no timers in these tests.
  for (let turn = 0; isAsync && told === undefined && turn < 10_000; turn++) await undefined;
  return !isAsync || told === "Test262:AsyncTestComplete" ? "pass" : `${told}`;
}

function argumentsOf(folder, { source, meta }) {
  const { flags, includes, negative } = meta;
  const isAsync = flags.includes("async");
  const names = flags.includes("raw") ? [] : ["assert.js", "sta.js", ...(isAsync ? ["doneprintHandle.js"] : []), ...includes];
  const scripts = names.map((name) => readFileSync(join(folder, "harness", name), "utf8"));
  const text = flags.includes("onlyStrict") ? `"use strict";\n${source}` : source;
  return [scripts, text, negative, isAsync].map((value) => JSON.stringify(value) ?? "undefined").join(", ");
}

const componentOf = (given) => `${judge}\nexport default { fetch: async () => new Response(await judge(${given})) };`;

/** Compiles the `qjs` of the quickjs-ng whose source the engine is made of. */
async function plainQuickjs(root) {
  const home = join(process.env.CARGO_HOME ?? join(process.env.HOME, ".cargo"), "registry/src");
  const crates = existsSync(home) ? readdirSync(home).flatMap((registry) => readdirSync(join(home, registry)).map((name) => join(home, registry, name))) : [];
  const crate = crates.find((path) => /rquickjs-sys-[\d.]+$/.test(path));
  if (crate === undefined) throw new Error("the source of quickjs-ng is not there: run `make engine` first");
  const [out, source] = [join(root, "target/conformance"), join(crate, "quickjs")];
  mkdirSync(out, { recursive: true });
  const qjs = join(out, "qjs");
  if (!existsSync(qjs)) {
    const files = ["qjs.c", "quickjs-libc.c", "quickjs.c", "libregexp.c", "libunicode.c", "dtoa.c", "gen/repl.c", "gen/standalone.c"];
    await run("cc", ["-O1", "-w", "-D_GNU_SOURCE", "-DQUICKJS_NG_BUILD", "-o", qjs, ...files.map((file) => join(source, file)), "-lm", "-lpthread", "-ldl"]);
  }
  return qjs;
}

async function askPlain(qjs, given) {
  const folder = mkdtempSync(join(tmpdir(), "elias-plain-"));
  try {
    writeFileSync(join(folder, "test.js"), `const say = print;\n${judge}\njudge(${given}).then((verdict) => say("VERDICT " + verdict));`);
    const { stdout } = await run(qjs, ["--script", join(folder, "test.js")], { timeout: SECONDS * 1000, maxBuffer: 64 << 20 });
    return /^VERDICT ([\s\S]*)/m.exec(stdout)?.[1].trim() ?? "no verdict";
  } catch (error) {
    return `crash: ${error.message.split("\n")[0]}`;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export async function runTest262({ folder, root, binaries, inParallel, filter, verbose }) {
  const qjs = await plainQuickjs(root);
  const sample = sampleOf(folder, filter);
  const verdicts = await inParallel(sample, async (test) => {
    const given = argumentsOf(folder, test);
    const plain = await askPlain(qjs, given);
    const answer = await ask(binaries, componentOf(given), SECONDS);
    return { file: test.file, plain, ours: answer.status === 200 ? answer.body : (answer.failure ?? answer.body) };
  });
  const passes = (engine) => verdicts.filter((verdict) => verdict[engine] === "pass").length;
  const worse = verdicts.filter(({ plain, ours }) => plain === "pass" && ours !== "pass");
  const better = verdicts.filter(({ plain, ours }) => plain !== "pass" && ours === "pass");
  console.log(`test262: ${passes("ours")} of ${sample.length}, plain quickjs-ng ${passes("plain")}; ${worse.length} fail that it passes`);
  for (const { file, ours } of worse.slice(0, verbose ? Infinity : 20)) console.log(`  ${file}: ${ours.split("\n").slice(0, 2).join(" ").slice(0, 200)}`);
  const text = `## test262

Of a sample of ${sample.length} tests, drawn evenly from annexB, built-ins and language, ${passes("ours")} pass; plain quickjs-ng of the
same version passes ${passes("plain")}. ${worse.length === 0 ? "No test fails that it passes" : `${worse.length} fail that it passes`}; ${better.length} pass that it fails.
Not drawn: tests of modules, and of ${LEFT_OUT_FEATURES.join(", ")}.
${worse.length === 0 ? "" : `\n| fails here and passes there | |\n|---|---|\n${worse.map(({ file, ours }) => `| ${file} | ${ours.split("\n")[0].replaceAll("|", "\\|").slice(0, 160)} |`).join("\n")}\n`}`;
  return { text };
}
