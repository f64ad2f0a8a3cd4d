// A shell that stays from one block of a page to the next, with its folder and its variables.
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const COMMAND_MS = 60_000;
const STOP_MS = 3_000;

export class Shell {
  #process;
  #steps;
  #environment;
  #waiting;
  #said = "";
  #count = 0;

  /** A bash in `folder`. Its own files are beside that folder. */
  constructor(folder, environment) {
    this.folder = folder;
    this.#environment = environment;
    this.#steps = mkdtempSync(join(dirname(folder), "steps-"));
    const options = { cwd: folder, env: environment, detached: true, stdio: ["pipe", "pipe", "ignore"] };
    this.#process = spawn("bash", ["--noprofile", "--norc"], options);
    this.#process.stdout.setEncoding("utf8").on("data", (text) => {
      this.#said += text;
      const end = this.#said.indexOf("\0");
      if (end < 0) return;
      const [status, ...folder] = this.#said.slice(0, end).split(" ");
      this.#said = this.#said.slice(end + 1);
      this.folder = folder.join(" ");
      this.#waiting?.resolve(Number(status));
    });
    this.#process.once("exit", () => this.#waiting?.resolve(undefined));
    this.#process.stdin.on("error", () => {});
  }

  /** Runs commands, which must succeed, and gives what they print. */
  async run(text) {
    const [step, output] = this.#step(text);
    const line = `set -e; . '${step}' </dev/null >'${output}' 2>&1; set +e`;
    const status = await this.#send(line, text);
    const printed = readFileSync(output, "utf8");
    if (status !== 0) throw new Error(`fails:\n${text.trimEnd()}\n--- prints\n${printed.slice(-4000)}`);
    return printed;
  }

  /** Starts commands in a process group of their own. */
  async background(text) {
    const [step, log] = this.#step(text);
    const pid = `${step}.pid`;
    await this.#send(`setsid bash -e '${step}' </dev/null >'${log}' 2>&1 & echo $! >'${pid}'`, text);
    return { pid: Number(readFileSync(pid, "utf8")), log };
  }

  /** Whether there is a program of this name. */
  has(name) {
    const found = spawnSync("sh", ["-c", 'command -v "$0"', name], { env: this.#environment });
    return found.status === 0;
  }

  /** Ends a process group: first it is asked to. */
  async stop(pid) {
    const send = (signal) => {
      try {
        return process.kill(-pid, signal);
      } catch {
        return false;
      }
    };
    send("SIGTERM");
    for (const end = Date.now() + STOP_MS; send(0) && Date.now() < end; ) await sleep(20);
    send("SIGKILL");
  }

  async end() {
    await this.stop(this.#process.pid);
  }

  #step(text) {
    const step = join(this.#steps, String((this.#count += 1)));
    mkdirSync(this.#steps, { recursive: true });
    writeFileSync(step, text.endsWith("\n") ? text : `${text}\n`);
    return [step, `${step}.output`];
  }

  async #send(line, text) {
    if (this.#process.exitCode !== null) throw new Error("the shell has ended");
    let timer;
    const answer = new Promise((resolve, reject) => {
      this.#waiting = { resolve };
      timer = setTimeout(() => reject(new Error(`takes too long:\n${text}`)), COMMAND_MS);
    });
    this.#process.stdin.write(`${line}\nprintf '%s %s\\0' "$?" "$PWD"\n`);
    try {
      return await answer;
    } finally {
      clearTimeout(timer);
    }
  }
}
