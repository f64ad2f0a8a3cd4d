// Runs the code blocks of the pages under docs/tutorials and docs/how-to: `node tests/docs/run.mjs [PAGE...]`.
//
// Each page has a temporary folder and one shell, whose folder and variables stay from block to block. The first words
// after ``` say what a block is:
//
//     ```js file=src/index.js    a file: it is written, relative to the shell's folder
//     ```sh                      commands, which must end with 0
//     ```console                 commands after "$ ", and what they print: "..." stands for any text within a line, and
//                                as a line of its own for any lines
//     ```sh service=8787         commands that go on running: the page waits until the port takes connections. They end
//                                with the page, or with the next service on the port
//     ```text                    after a service: what it has printed, somewhere in its output
//
// and further
//
//     needs=postgres             skipped where PostgreSQL, Redis or a program of that name is missing
//     check="nginx -t -c FILE"   a command that checks the file; skipped where its program is missing
//     skip="needs a registry"    never done, for the reason given
//     <!-- from: FILE#NAME -->   before a block: its text is that between `#region NAME` and `#endregion NAME` of FILE,
//                                or without a NAME the whole file
//
// Whatever was skipped is listed. A block of any other kind is an error, so that none is left out by accident.
//
// The pages use the default ports 8787 and 8788, and 8080 and 8443 for what else listens. Here free ports take their
// place, in the text of blocks and as defaults of `elias dev` and `elias serve`, so that others can run the same at the
// same time. `npm install NAME` takes packages from tests/packages, whose lockfile has their versions. `cargo run -p
// NAME` runs the program in target/release, and /usr/local/bin/elias is the one there. URLs of PostgreSQL and Redis in
// blocks that need them become those of toolchain/setup/with-services.sh.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { brokenLinks } from "./links.mjs";
import { endAll, runPage } from "./page.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const AT_A_TIME = 2;

function allPages() {
  const folders = ["docs/tutorials", "docs/how-to"];
  return folders.flatMap((folder) =>
    readdirSync(join(root, folder)).filter((file) => file.endsWith(".md")).map((file) => join(folder, file)),
  );
}

async function main(named) {
  const binaries = join(root, "target/release");
  if (!existsSync(join(binaries, "elias"))) throw new Error("target/release/elias is missing: make build");
  const wrong = named.length === 0 ? brokenLinks() : [];
  const pages = named.length === 0 ? allPages() : named.map((page) => relative(root, resolve(page)));
  const skipped = [];
  const worker = async () => {
    for (let page = pages.shift(); page !== undefined; page = pages.shift()) {
      const started = Date.now();
      const result = await runPage({ root, binaries, page, text: readFileSync(join(root, page), "utf8") });
      skipped.push(...result.skipped);
      if (result.failure) wrong.push(result.failure);
      const seconds = ((Date.now() - started) / 1000).toFixed(1);
      console.log(`${result.failure ? "FAILED" : "ok"}  ${page}: ${result.done} blocks, ${seconds} s`);
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, worker));
  for (const line of skipped) console.log(`skipped  ${line}`);
  for (const line of wrong) console.error(line);
  process.exitCode = wrong.length === 0 ? 0 : 1;
}

for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => endAll().then(() => process.exit(1)));
await main(process.argv.slice(2));
