// The console of `elias dev`, whose project the pages show and change. The files are those that the program has.
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, origins, test } from "../fixtures.mjs";
import { program } from "../platform.mjs";

const SOURCE = `import { db, log } from "elias";
export default {
  async fetch(request) {
    const text = await request.text();
    log.info("a note came", { text });
    await db.query("create table if not exists notes (text text not null)");
    await db.query("insert into notes values ($1)", [text]);
    return new Response("noted " + text);
  },
  scheduled(tick) { log.info("tick of " + tick.name); },
  job(job) { throw new Error("not this one"); },
};`;
const CONFIG = `[capabilities.db]
[[triggers.schedule]]
name = "yearly"
cron = "0 0 1 1 *"
[triggers.jobs.work]
retry = { attempts = 1 }
`;

let folder;
let server;
let url;

test.beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "elias-development-"));
  mkdirSync(join(folder, "src"));
  writeFileSync(join(folder, "package.json"), '{"name":"notes","version":"1.0.0","type":"module"}');
  writeFileSync(join(folder, "elias.toml"), CONFIG);
  writeFileSync(join(folder, "src/index.js"), SOURCE);
  server = spawn(program, ["dev", "--listen", "127.0.0.1:0"], { cwd: folder, stdio: ["ignore", "pipe", "inherit"] });
  url = await new Promise((resolve, reject) => {
    let output = "";
    server.on("exit", (code) => reject(new Error(`elias dev ended with ${code}`)));
    server.stdout.on("data", (piece) => {
      output += piece;
      const found = /console (http:\/\/\S+)/.exec(output);
      if (found !== null) resolve(found[1]);
    });
  });
  origins.add(new URL(url).origin);
});

test.afterAll(async () => {
  server.removeAllListeners("exit");
  const ended = new Promise((resolve) => server.on("exit", resolve));
  server.kill("SIGTERM");
  await ended;
  rmSync(folder, { recursive: true, force: true });
});

test("a request is shown with its bodies and sent again", async ({ page }) => {
  const answer = await fetch(new URL("/a?b=c", url), { method: "POST", body: "<b>hello</b>" });
  expect(await answer.text()).toBe("noted <b>hello</b>");
  await page.goto(url);
  await expect(page.getByRole("heading", { name: "Requests" })).toBeVisible();
  await expect(page.getByText("/a?b=c").first()).toBeVisible();
  await page.goto(`${url}requests/1`);
  await expect(page.getByRole("heading", { name: "POST /a?b=c" })).toBeVisible();
  await expect(page.getByText("noted <b>hello</b>")).toBeVisible();
  await page.getByRole("button", { name: "Send again" }).first().click();
  await expect(page.getByRole("dialog", { name: "Send again" })).toContainText("noted <b>hello</b>");
});

test("the log has the lines of before, and the database its tables", async ({ page }) => {
  await fetch(url.replace("/__elias/", "/"), { method: "POST", body: "second" });
  await page.goto(`${url}t/default/log`);
  await expect(page.getByRole("log")).toContainText("a note came");
  await page.getByRole("link", { name: "Database" }).click();
  await page.getByRole("button", { name: "notes" }).click();
  await expect(page.getByRole("region", { name: "Result" })).toContainText("second");
  await page.getByLabel("SQL").fill("delete from notes");
  await page.getByRole("button", { name: "Run" }).click();
  await expect(page.getByRole("alert")).toBeVisible();
});

test("a schedule is run, and a job that died is run again", async ({ page }) => {
  await page.goto(`${url}t/default/schedules`);
  await page.getByRole("link", { name: "yearly" }).click();
  await page.getByRole("button", { name: "Run now" }).first().click();
  await page.goto(`${url}t/default/log`);
  await expect(page.getByRole("log")).toContainText("tick of yearly");
  const enqueued = await fetch(`${url}api/v1/tenants/default/components/notes/environments/dev/jobs`, {
    method: "POST",
    headers: { "content-type": "application/json", "elias-console": "1" },
    body: JSON.stringify({ name: "work", input: {} }),
  });
  const { id } = await enqueued.json();
  await page.goto(`${url}t/default/jobs/${id}`);
  await expect(page.getByText("not this one").first()).toBeVisible();
  await page.getByRole("button", { name: "Discard" }).first().click();
  await page.getByRole("dialog").getByRole("button", { name: "Discard" }).click();
  await expect(async () => {
    expect((await fetch(`${url}api/v1/tenants/default/jobs/${id}`)).status).toBe(404);
  }).toPass();
});
