// Runs a test in Node, Deno or Bun: `script.mjs BASE SECONDS RESULT`. The results go to the file RESULT, since a test may print.
import { writeFileSync } from "node:fs";
import process from "node:process";

const [base, seconds, result] = process.argv.slice(2);

// What a test leaves unhandled ends no other runtime, and so not these.
process.on("uncaughtException", () => {});
process.on("unhandledRejection", () => {});
globalThis.addEventListener?.("unhandledrejection", (event) => event.preventDefault());
globalThis.addEventListener?.("error", (event) => event.preventDefault());

const exit = process.exit.bind(process);
let outcome;
try {
  const { default: run } = await import("./test.js");
  outcome = await run(base, Number(seconds));
} catch (error) {
  outcome = { status: 1, message: `${error}\n${error?.stack}`, tests: [] };
}
writeFileSync(result, JSON.stringify(outcome));
exit(0);
