// Building and serving a component with the shipped binaries.
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Limits under which conformance is measured: large, since it is not they that are tested. */
const LIMITS = [
  "--fuel",
  "60000000000",
  "--memory-bytes",
  "536870912",
  "--response-bytes",
  "100000000",
  "--log-bytes-per-second",
  "1000000",
];

// Some tests call eval, and those of test262 are given to it.
const ELIAS_TOML = (ports) => `[build]
eval = true

[capabilities.http]
allow = [${ports.map((port) => `"http://127.0.0.1:${port}"`).join(", ")}]
private = ["127.0.0.1/32"]
`;

/** Builds the file `source` alone, serves it, asks it once: `{ status, body }`, or `{ failure }` without a response. */
export async function ask(binaries, source, seconds) {
  const folder = mkdtempSync(join(tmpdir(), "elias-conformance-"));
  try {
    writeFileSync(join(folder, "index.js"), source);
    return await askFolder(binaries, folder, "index.js", { ports: [1], seconds, path: "" });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The same for the file `entry` of a folder; `ports` of 127.0.0.1 it may reach, `path` is what is asked for. */
export async function askFolder(binaries, folder, entry, { ports, seconds, path }) {
  writeFileSync(join(folder, "elias.toml"), ELIAS_TOML(ports));
  const options = { cwd: folder, timeout: 120_000, maxBuffer: 64 << 20 };
  try {
    await run(join(binaries, "elias-build"), [entry, "-o", "app.wasm"], options);
  } catch (error) {
    return { failure: `it does not build: ${error.stderr || error.message}` };
  }
  const deadline = ["--deadline-ms", `${(seconds + 5) * 1000}`];
  const server = spawn(
    join(binaries, "elias"),
    ["serve", "app.wasm", "--listen", "127.0.0.1:0", "--dev", ...LIMITS, ...deadline],
    { cwd: folder },
  );
  try {
    let said = "";
    server.stderr.on("data", (data) => (said += data));
    const lines = createInterface({ input: server.stdout });
    const [line] = await Promise.race([once(lines, "line"), once(server, "exit").then(() => [undefined])]);
    const url = /http:\S+/.exec(line ?? "")?.[0];
    if (url === undefined) return { failure: `it cannot be served: ${said}` };
    const answer = await fetch(new URL(path, url), { signal: AbortSignal.timeout((seconds + 10) * 1000) });
    return { status: answer.status, body: await answer.text() };
  } catch (error) {
    return { failure: `no answer: ${error.message}` };
  } finally {
    server.kill("SIGKILL");
  }
}
