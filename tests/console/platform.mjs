// A platform for the tests: the shipped binaries, a folder and ports of its own.
import { execFile, spawn } from "node:child_process";
import { cpSync, mkdtempSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const root = resolve(import.meta.dirname, "../..");
const programs = resolve(process.env.ELIAS_PROGRAMS ?? join(root, "target/release"));

/** Starts a platform; `elias(...)` runs a command for it. */
export async function start() {
  const folder = mkdtempSync(join(tmpdir(), "elias-console-"));
  const home = join(folder, "home");
  mkdirSync(home);
  const env = { ...process.env, HOME: home, XDG_CONFIG_HOME: join(home, ".config"), NO_COLOR: "1" };
  const host = spawn(
    join(programs, "elias"),
    ["serve", "--platform", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data-dir", join(folder, "data")],
    { env, stdio: ["ignore", "pipe", "pipe"] },
  );
  let output = "";
  let log = "";
  host.stderr.on("data", (piece) => (log = (log + piece).slice(-20_000)));
  const admin = await new Promise((resolve, reject) => {
    host.on("exit", (code) => reject(new Error(`elias serve ended with ${code}: ${log}`)));
    host.stdout.on("data", (piece) => {
      output += piece;
      const found = /admin API at (http:\/\/[^/]*)\/v1/.exec(output);
      if (found !== null) resolve(found[1]);
    });
  });
  const services = /platform at (http:\/\/\S+)/.exec(output)[1];
  const token = readFileSync(join(folder, "data/operator-token"), "utf8").trim();
  const elias = async (args, cwd = folder) => (await run(join(programs, "elias"), args, { cwd, env })).stdout;
  await elias(["login", admin, "--data-dir", join(folder, "data")]);
  return {
    admin,
    services,
    token,
    folder,
    elias,
    /** Deploys a project of the examples, or one of a few files. */
    async deploy(name, files, ...options) {
      const project = join(folder, "projects", name);
      if (files === undefined) cpSync(join(root, "examples", name), project, { recursive: true });
      for (const [path, content] of Object.entries(files ?? {})) {
        mkdirSync(join(project, path, ".."), { recursive: true });
        writeFileSync(join(project, path), content);
      }
      await elias(["deploy", ...options], project);
    },
    async stop() {
      host.removeAllListeners("exit");
      const ended = new Promise((resolve) => host.on("exit", resolve));
      host.kill("SIGTERM");
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
