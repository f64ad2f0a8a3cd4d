// A platform for the tests: the shipped binaries, a folder and ports of its own.
import { execFile, spawn } from "node:child_process";
import { cpSync, mkdtempSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const root = resolve(import.meta.dirname, "../..");
export const program = join(resolve(process.env.ELIAS_PROGRAMS ?? join(root, "target/release")), "elias");

/** The arguments of `spawn` for the shipped `elias`, with a home of its own in the folder. */
export function command(folder, args, options = {}) {
  const home = join(folder, "home");
  const env = { ...process.env, HOME: home, XDG_CONFIG_HOME: join(home, ".config"), NO_COLOR: "1" };
  return [program, args, { cwd: folder, env, ...options }];
}

/** Runs a command of the command line for the platform in the folder; gives what it prints. */
export const elias = async (folder, args, options) => (await run(...command(folder, args, options))).stdout;

/** Starts a platform. */
export async function start() {
  const folder = mkdtempSync(join(tmpdir(), "elias-console-"));
  const data = join(folder, "data");
  mkdirSync(join(folder, "home"));
  const serve = ["serve", "--platform", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data-dir", data];
  const host = spawn(...command(folder, serve, { stdio: ["ignore", "pipe", "pipe"] }));
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
  const token = readFileSync(join(data, "operator-token"), "utf8").trim();
  await elias(folder, ["login", admin, "--data-dir", data]);
  return {
    admin,
    services,
    token,
    folder,
    /** Deploys a project of the examples, or one of a few files. */
    async deploy(name, files, ...options) {
      const project = join(folder, "projects", name);
      if (files === undefined) cpSync(join(root, "examples", name), project, { recursive: true });
      for (const [path, content] of Object.entries(files ?? {})) {
        mkdirSync(join(project, path, ".."), { recursive: true });
        writeFileSync(join(project, path), content);
      }
      await elias(folder, ["deploy", ...options], { cwd: project });
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
