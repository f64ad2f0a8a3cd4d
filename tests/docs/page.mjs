// One page, from its first block to its last.
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { blocks } from "./markdown.mjs";
import { Shell } from "./shell.mjs";

/** The ports that pages name, in whose place free ones are used. */
const PORTS = ["8787", "8788", "8080", "8443"];
const SERVICE_MS = 30_000;
const OUTPUT_MS = 10_000;
const REBUILD_MS = 1_000;
const AGAIN_MS = 5_000;
const SLEPT_AGAIN_MS = 60_000;

/** The pages that are being run. */
const running = new Set();
let stopped = false;

/** Ends what all pages have started, and removes it. */
export async function endAll() {
  stopped = true;
  await Promise.all([...running].map((run) => run.end()));
}

/** Runs a page: `{ done, skipped, failure }`. */
export async function runPage({ root, binaries, page, text }) {
  const folder = mkdtempSync(join(tmpdir(), "elias-docs-"));
  const run = new PageRun(root, binaries, page, folder);
  running.add(run);
  let line = 1;
  try {
    if (stopped) throw new Error("stopped");
    await run.start();
    for (const block of blocks(text)) {
      if (stopped) throw new Error("stopped");
      line = block.line;
      await run.block(block);
    }
    return { done: run.done, skipped: run.skipped };
  } catch (error) {
    return { done: run.done, skipped: run.skipped, failure: `${page}:${line}: ${error.message}${run.logs()}` };
  } finally {
    await run.end();
    running.delete(run);
  }
}

class PageRun {
  done = 0;
  skipped = [];
  #services = new Map();
  #lastService;
  #urls = new Map();
  #saved;

  constructor(root, binaries, page, folder) {
    Object.assign(this, { root, binaries, page, folder });
  }

  async start() {
    this.ports = await freePorts(PORTS.length);
    const [bin, home, work] = ["bin", "home", "work"].map((name) => join(this.folder, name));
    for (const each of [bin, home, work]) mkdirSync(each);
    writeFileSync(join(home, ".curlrc"), "silent\nshow-error\n");
    program(bin, "elias", wrapper(join(this.binaries, "elias"), this.ports));
    program(bin, "npm", `exec node ${JSON.stringify(join(this.root, "tests/docs/npm.mjs"))} "$@"`);
    const { ELIAS_URL, ELIAS_TOKEN, ELIAS_TENANT, ELIAS_STORE, ELIAS_CONFIG_DIR, ...environment } = process.env;
    program(bin, "cargo", `[ "$1 $2 $4" = "run -p --" ] || exit 2; name=$3; shift 4; exec ${this.binaries}/$name "$@"`);
    this.shell = new Shell(work, {
      ...environment,
      HOME: home,
      XDG_STATE_HOME: join(home, "state"),
      XDG_CONFIG_HOME: join(home, "config"),
      XDG_CACHE_HOME: join(this.root, "target/docs-cache"),
      ELIAS_CACHE_DIR: process.env.ELIAS_CACHE_DIR ?? join(this.root, "target/elias-cache"),
      PATH: `${bin}:${this.binaries}:${process.env.PATH}`,
      NO_COLOR: "1",
    });
  }

  async block({ line, language, attributes, text, source }) {
    const where = `${this.page}:${line}`;
    if (language === "indented") throw new Error("an indented block: fence it, and say what it is");
    if (source) this.#compare(source, text);
    if (attributes.skip !== undefined) {
      if (attributes.skip.length < 8) throw new Error("skip= needs a reason");
      return void this.skipped.push(`${where}: ${attributes.skip}`);
    }
    const missing = this.#missing(attributes.needs);
    if (missing) return void this.skipped.push(`${where}: ${missing} is missing`);
    const own = this.#substituted(text, attributes.needs);
    if (attributes.file !== undefined) {
      await this.#file(where, attributes, own);
    } else if (attributes.service !== undefined) {
      await this.#service(this.#substituted(attributes.service), own);
    } else if (language === "sh") {
      await this.shell.run(own);
    } else if (language === "console") {
      await this.#console(own);
    } else if (language === "text" && this.#lastService) {
      await this.#printed(own);
    } else if (!source) {
      throw new Error(`a block of the kind "${language}" that says neither file= nor skip=`);
    }
    this.done += 1;
  }

  async end() {
    for (const service of this.#services.values()) await this.shell.stop(service.pid);
    await this.shell?.end();
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }

  /** What the services printed last, for the message of a failure. */
  logs() {
    const tail = ([port, { log }]) => `\n--- the service on ${port}:\n${readFileSync(log, "utf8").slice(-2000)}`;
    return [...this.#services].map(tail).join("");
  }

  #compare({ file, region }, text) {
    const lines = readFileSync(join(this.root, file), "utf8").split("\n");
    const marker = (word) => lines.findIndex((each) => new RegExp(`#${word} ${region}\\s*$`).test(each));
    const [from, to] = region ? [marker("region"), marker("endregion")] : [-1, lines.length];
    if (region && (from < 0 || to < from)) throw new Error(`${file} has no region ${region}`);
    const part = lines.slice(from + 1, to).filter((each) => !/#(end)?region /.test(each));
    const indent = Math.min(...part.filter((each) => each.trim() !== "").map((each) => each.search(/\S/)));
    const expected = part.map((each) => each.slice(indent).trimEnd()).join("\n").trim();
    if (expected !== text.trim()) throw new Error(`the text is not that of ${file}, which is\n${expected}`);
  }

  #missing(needs) {
    if (needs === undefined) return undefined;
    if (needs === "postgres") return process.env.ELIAS_TEST_POSTGRES ? undefined : "PostgreSQL";
    if (needs === "redis") return process.env.ELIAS_TEST_REDIS ? undefined : "Redis";
    return this.shell.has(needs) ? undefined : needs;
  }

  #substituted(text, needs) {
    let own = text.replaceAll("/usr/local/bin/elias", join(this.binaries, "elias"));
    for (const [index, port] of PORTS.entries()) {
      own = own.replaceAll(new RegExp(`\\b${port}\\b`, "g"), this.ports[index]);
    }
    if (needs === "postgres") own = own.replace(/postgres:\/\/[^\s"'`]+/g, (url) => this.#database(url));
    if (needs === "redis") own = own.replace(/redis:\/\/[^\s"'`]+/g, process.env.ELIAS_TEST_REDIS);
    return own;
  }

  /** A new database for each URL of a page. */
  #database(url) {
    if (!this.#urls.has(url)) {
      const name = `docs_${process.pid}_${this.ports[0]}_${this.#urls.size}`;
      const psql = join(process.env.ELIAS_TEST_POSTGRES_BIN, "psql");
      const command = ["-q", process.env.ELIAS_TEST_POSTGRES, "-c", `CREATE DATABASE ${name}`];
      const made = spawnSync(existsSync(psql) ? psql : "psql", command, { encoding: "utf8" });
      if (made.status !== 0) throw new Error(`no database: ${made.stderr}`);
      this.#urls.set(url, process.env.ELIAS_TEST_POSTGRES.replace(/\/[^/]*$/, `/${name}`));
    }
    return this.#urls.get(url);
  }

  async #file(where, { file, check }, text) {
    const path = join(this.shell.folder, file);
    mkdirSync(dirname(path), { recursive: true });
    this.#saved ??= this.#built();
    writeFileSync(path, text);
    if (check === undefined) return;
    const program = check.split(" ")[0];
    if (this.shell.has(program)) await this.shell.run(check);
    else this.skipped.push(`${where}: ${program} is missing, so ${file} is not checked`);
  }

  /** How often `elias dev` has said what came of a build; undefined if it does not run. */
  #built() {
    const service = this.#lastService;
    if (!service?.watches || !alive(service.pid)) return undefined;
    return readFileSync(service.log, "utf8").match(/serving the new version|keeps serving/g)?.length ?? 0;
  }

  /** `elias dev` serves what was saved within a moment, in which a reader has not yet typed the next command. */
  async #rebuilt() {
    const before = this.#saved;
    for (const end = Date.now() + REBUILD_MS; this.#built() === before && Date.now() < end; ) await sleep(10);
  }

  async #service(ports, text) {
    const listed = ports.split(",");
    for (const [key, service] of this.#services) {
      if (!listed.some((port) => key.split(",").includes(port))) continue;
      await this.shell.stop(service.pid);
      this.#services.delete(key);
    }
    const service = await this.shell.background(text);
    service.watches = text.includes("elias dev");
    this.#services.set(ports, service);
    this.#lastService = service;
    const end = Date.now() + SERVICE_MS;
    for (const port of listed) {
      while (!(await takesConnections(Number(port)))) {
        if (!alive(service.pid)) throw new Error("the service has ended");
        if (Date.now() > end) throw new Error(`nothing listens on ${port}`);
        await sleep(20);
      }
    }
  }

  /**
   * The first command after files were saved is tried again while `elias dev` may still build, and one that sleeps and
   * then looks: a machine may be slower than the page's author thought.
   */
  async #console(text) {
    if (this.#saved !== undefined) await this.#rebuilt();
    let again = this.#saved === undefined ? 0 : Date.now() + AGAIN_MS;
    this.#saved = undefined;
    for (const { command, expected } of commands(text)) {
      if (LOOKS_AFTER_SLEEP.test(command)) again = Math.max(again, Date.now() + SLEPT_AGAIN_MS);
      let printed = await this.shell.run(command);
      while (!pattern(expected, true).test(normal(printed))) {
        if (Date.now() > again) {
          throw new Error(`$ ${command}\n--- is to print\n${expected}\n--- and prints\n${printed}`);
        }
        await sleep(50);
        printed = await this.shell.run(command);
      }
      again = 0;
    }
  }

  async #printed(expected) {
    const end = Date.now() + OUTPUT_MS;
    for (;;) {
      const printed = readFileSync(this.#lastService.log, "utf8");
      if (pattern(expected, false).test(normal(printed))) return;
      if (Date.now() > end) throw new Error(`the service is to print\n${expected}\n--- and prints\n${printed}`);
      await sleep(50);
    }
  }
}

/** The commands of a console block, each with what it prints. A command goes on in the next line after a backslash. */
function commands(text) {
  const found = [];
  let continued = false;
  for (const line of text.trimEnd().split("\n")) {
    if (continued) found.at(-1).command += `\n${line}`;
    else if (line.startsWith("$ ")) found.push({ command: line.slice(2), expected: "" });
    else if (found.length === 0) throw new Error("a console block begins with a command after `$ `");
    else found.at(-1).expected += `${line}\n`;
    continued = (continued || line.startsWith("$ ")) && line.endsWith("\\");
  }
  return found;
}

/** Only what changes nothing may be done twice. */
const LOOKS_AFTER_SLEEP = /^sleep \d+(;| &&) (curl [^ ]+|elias (jobs|events|executions)( --[^ ]+ [^ ]+)*)$/;

const normal = (text) => text.replace(/[ \t\r]+$/gm, "").trim();

/** A pattern for text in which `...` stands for anything. */
function pattern(expected, whole) {
  const lines = normal(expected).split("\n").map((line) => {
    if (line.trim() === "...") return "(?:.*(?:\\n|$))*?";
    return `${line.split("...").map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&")).join(".*")}(?:\\n|$)`;
  });
  return new RegExp(whole ? `^${lines.join("")}$` : lines.join(""));
}

function program(folder, name, script) {
  writeFileSync(join(folder, name), `#!/bin/sh\n${script}\n`);
  chmodSync(join(folder, name), 0o755);
}

/** `elias`, with the page's ports as the defaults. */
function wrapper(elias, [port, admin]) {
  return `case "$1" in dev|serve) ;; *) exec ${elias} "$@" ;; esac
case " $* " in *" --listen"*) ;; *) set -- "$@" --listen 127.0.0.1:${port} ;; esac
case " $* " in *" --admin"*) ;; *" --platform"*) set -- "$@" --admin 127.0.0.1:${admin} ;; esac
exec ${elias} "$@"`;
}

function alive(pid) {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

function takesConnections(port) {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}

async function freePorts(count) {
  const servers = await Promise.all(
    Array.from({ length: count }, () => new Promise((resolve) => {
      const server = createServer();
      server.listen(0, "127.0.0.1", () => resolve(server));
    })),
  );
  const ports = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
