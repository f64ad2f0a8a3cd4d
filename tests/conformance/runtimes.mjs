// ELIAS and the runtimes beside it: how each runs the module of a test.
import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { askFolder } from "./component.mjs";

/** Time to start and to end, beside what a test may take, in seconds. */
const MARGIN = 15;

const RIVALS = join(import.meta.dirname, "rivals");

/** Finds the program of a package whose platform's files are in an optional dependency. */
function programOf(name) {
  const modules = join(RIVALS, "node_modules");
  if (!existsSync(modules))
    throw new Error(`${name} is not installed: run \`toolchain/setup/packages.sh tests/conformance/rivals\``);
  for (const scope of readdirSync(modules).filter((entry) => entry.startsWith("@"))) {
    for (const entry of readdirSync(join(modules, scope))) {
      for (const file of [join(modules, scope, entry, name), join(modules, scope, entry, "bin", name)])
        if (existsSync(file)) return file;
    }
  }
  throw new Error(`the package ${name} has no program for this platform`);
}

const sha256 = (...files) =>
  files.reduce((hash, file) => hash.update(readFileSync(file)), createHash("sha256")).digest("hex");
const versionOf = (program, pattern) => pattern.exec(execFileSync(program, ["--version"], { encoding: "utf8" }))[1];

/** Runs `script.mjs` with a program, and gives what it wrote. */
function script(program, flags, environment = {}) {
  return async ({ folder, base, seconds }) => {
    const result = join(folder, "result.json");
    const args = [...flags(base), "script.mjs", base, `${seconds}`, result];
    const child = spawn(program, args, {
      cwd: folder,
      env: { ...process.env, ...environment },
      stdio: ["ignore", "ignore", "pipe"],
    });
    let said = "";
    child.stderr.on("data", (data) => (said = (said + data).slice(-2000)));
    const timer = setTimeout(() => child.kill("SIGKILL"), (seconds + MARGIN) * 1000);
    const [code, signal] = await once(child, "exit");
    clearTimeout(timer);
    if (!existsSync(result)) return { failure: `it ended by ${signal ?? `code ${code}`}: ${said}` };
    return { outcome: JSON.parse(readFileSync(result, "utf8")) };
  };
}

const pathOf = ({ base, seconds }) => `/?${new URLSearchParams({ base, seconds })}`;

const WORKERD_CONFIG = (date) => `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = .main), (name = "internet", network = (allow = ["public", "private"]))],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
const main :Workerd.Worker = (
  modules = [
    (name = "worker.mjs", esModule = embed "worker.mjs"),
    (name = "test.js", esModule = embed "test.js"),
    (name = "harness.js", esModule = embed "harness.js"),
  ],
  compatibilityDate = "${date}",
);
`;

function workerd(program, date) {
  return async (job) => {
    writeFileSync(join(job.folder, "config.capnp"), WORKERD_CONFIG(date));
    const server = spawn(program, ["serve", "config.capnp", "--control-fd=3"], {
      cwd: job.folder,
      stdio: ["ignore", "ignore", "pipe", "pipe"],
    });
    try {
      let said = "";
      server.stderr.on("data", (data) => (said = (said + data).slice(-2000)));
      const lines = createInterface({ input: server.stdio[3] });
      const listening = (async () => {
        for await (const line of lines) {
          const { event, port } = JSON.parse(line);
          if (event === "listen") return port;
        }
      })();
      const port = await Promise.race([listening, once(server, "exit").then(() => undefined)]);
      if (port === undefined) return { failure: `it cannot be served: ${said}` };
      return judge(
        await fetch(`http://127.0.0.1:${port}${pathOf(job)}`, {
          signal: AbortSignal.timeout((job.seconds + MARGIN) * 1000),
        }),
      );
    } catch (error) {
      return { failure: `no answer: ${error.message}` };
    } finally {
      server.kill("SIGKILL");
    }
  };
}

async function judge(response) {
  const body = await response.text();
  return response.status === 200 ? { outcome: JSON.parse(body) } : { failure: `${response.status}: ${body}` };
}

function elias(binaries) {
  return async (job) => {
    const { status, body, failure } = await askFolder(binaries, job.folder, "worker.mjs", {
      ...job,
      path: pathOf(job),
    });
    if (status === 200) return { outcome: JSON.parse(body) };
    return { failure: failure ?? `${status}: ${body}` };
  };
}

/** The runtimes as `{ name, version, key, run }`: `key` changes with what they would answer, `run` runs a job. */
export function runtimesOf(binaries, wanted) {
  const all = {
    ELIAS: () => {
      const programs = ["elias", "elias-build", "elias-serve"].map((name) => join(binaries, name));
      return { version: versionOf(programs[0], /(\d\S*)/), key: sha256(...programs).slice(0, 16), run: elias(binaries) };
    },
    Node: () => ({ version: process.versions.node, run: script(process.execPath, () => []) }),
    Deno: () => {
      const program = programOf("deno");
      const quiet = { DENO_NO_UPDATE_CHECK: "1", NO_COLOR: "1" };
      return {
        version: versionOf(program, /deno (\S+)/),
        run: script(program, (base) => ["run", "-A", "--no-lock", "--no-config", `--location=${base}`], quiet),
      };
    },
    Bun: () => {
      const program = programOf("bun");
      return { version: versionOf(program, /(\S+)/), run: script(program, () => ["run"]) };
    },
    workerd: () => {
      const program = programOf("workerd");
      const date = versionOf(program, /(\d{4}-\d\d-\d\d)/);
      return { version: date, run: workerd(program, date) };
    },
  };
  return Object.entries(all)
    .filter(([name]) => wanted.length === 0 || wanted.some((other) => other.toLowerCase() === name.toLowerCase()))
    .map(([name, make]) => ({ name, ...make() }))
    .map((runtime) => ({ key: runtime.version, ...runtime }));
}
