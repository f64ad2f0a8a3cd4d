// What every test has: a browser page in which nothing may be refused by a policy and nothing may throw, the command
// line, and requests to the services.
import { test as base, expect } from "@playwright/test";
import { execFile } from "node:child_process";
import { request as httpRequest } from "node:http";
import { join, resolve } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const programs = resolve(process.env.ELIAS_PROGRAMS ?? join(import.meta.dirname, "../../target/release"));
const folder = () => process.env.CONSOLE_FOLDER;

/** Runs a command of the command line for the platform of the tests. */
export async function elias(...args) {
  const env = {
    ...process.env,
    HOME: join(folder(), "home"),
    XDG_CONFIG_HOME: join(folder(), "home/.config"),
    NO_COLOR: "1",
  };
  return (await run(join(programs, "elias"), args, { cwd: folder(), env })).stdout;
}

/** The response of a command as JSON. */
export const read = async (...args) => JSON.parse(await elias(...args, "--json"));

/** The service of a component in an environment, as `elias status` has it. */
export async function service(component, environment = "production") {
  const { items } = await read("status", component);
  return items.find((item) => item.environment === environment);
}

/** Sends a request to a service; gives status and body. */
export function send(component, path = "/", options = {}) {
  const url = new URL(process.env.CONSOLE_SERVICES);
  return new Promise((resolve, reject) => {
    const sent = httpRequest(
      {
        host: url.hostname,
        port: url.port,
        path,
        method: options.method ?? "GET",
        headers: { host: `${component}.default.localhost`, ...options.headers },
      },
      (response) => {
        let body = "";
        response.on("data", (piece) => (body += piece));
        response.on("end", () => resolve({ status: response.statusCode, body }));
      },
    );
    sent.on("error", reject);
    sent.end(options.body);
  });
}

/** Origins that pages may ask beside that of the platform's console. */
export const origins = new Set();

export const test = base.extend({
  page: async ({ page }, use) => {
    const refused = [];
    await page.exposeFunction("reportViolation", (text) => refused.push(text));
    await page.addInitScript(() => {
      document.addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI, sourceFile }) => {
        window.reportViolation(`${violatedDirective}: ${blockedURI} in ${sourceFile}`);
      });
    });
    page.on("console", (message) => {
      if (/content security policy|trusted ?type/i.test(message.text())) refused.push(message.text());
    });
    page.on("pageerror", (error) => refused.push(`thrown: ${error.stack}`));
    page.on("dialog", (dialog) => {
      refused.push(`a dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    // No request leaves the origin of the console.
    page.on("request", (request) => {
      const { origin, protocol } = new URL(request.url());
      if (protocol !== "blob:" && origin !== new URL(process.env.CONSOLE_URL).origin && !origins.has(origin))
        refused.push(`a request to ${request.url()}`);
    });
    await use(page);
    expect(refused).toEqual([]);
  },
  /** The page, signed in as the operator. */
  signedIn: async ({ page }, use) => {
    await page.goto("/console/signed-in");
    const status = await page.evaluate(async (token) => {
      const headers = { "content-type": "application/json" };
      return (await fetch("/console/session", { method: "POST", headers, body: JSON.stringify({ token }) })).status;
    }, process.env.CONSOLE_TOKEN);
    expect(status).toBe(201);
    await use(page);
  },
});

export { expect };
