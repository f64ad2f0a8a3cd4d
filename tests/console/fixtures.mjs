// What every test has: a browser page in which nothing may be refused by a policy and nothing may throw, the command
// line, and requests to the services.
import { test as base, expect } from "@playwright/test";
import { existsSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { extname, join, resolve } from "node:path";
import * as platform from "./platform.mjs";

/** Runs a command of the command line for the platform of the tests. */
export const elias = (...args) => platform.elias(process.env.CONSOLE_FOLDER, args);

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

// The files of a build that elias-serve does not embed yet, under the headers of its own: CONSOLE_DIST names their
// folder, for whoever changes the console and does not want to wait for a new elias-serve.
const TYPES = { ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".ttf": "font/ttf" };
const SERVERS_OWN = /^\/console\/(session|sign-in|callback|csp-reports)$/;
async function serveBuild(context, dist) {
  await context.route("**/console/**", async (route) => {
    const { pathname } = new URL(route.request().url());
    if (SERVERS_OWN.test(pathname)) return route.fallback();
    const file = join(dist, pathname.replace("/console/", ""));
    if (pathname.startsWith("/console/assets/") && existsSync(file)) {
      const policy = "default-src 'none'; script-src 'self'";
      const headers = { "content-type": TYPES[extname(file)], "content-security-policy": policy };
      return route.fulfill({ path: file, headers });
    }
    const response = await route.fetch();
    const document = pathname === "/console/editor" ? "editor.html" : "index.html";
    if (!(response.headers()["content-type"] ?? "").startsWith("text/html")) return route.fulfill({ response });
    return route.fulfill({ response, path: join(dist, document) });
  });
}

/** Origins that pages may ask beside that of the platform's console. */
export const origins = new Set();

export const test = base.extend({
  page: async ({ page }, use) => {
    if (process.env.CONSOLE_DIST) await serveBuild(page.context(), resolve(process.env.CONSOLE_DIST));
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
    // A user has ten sessions at most: one more would end that of a test that takes long.
    const { origin } = new URL(process.env.CONSOLE_URL);
    await page.context().request.delete(`${origin}/console/session`, { headers: { origin } });
  },
});

export { expect };
