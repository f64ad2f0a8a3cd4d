import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { elias, expect, read, send, test } from "../fixtures.mjs";

/** Presses a button that asks in a dialog of its name, and answers. */
async function answer(page, within, name, fill = async () => {}) {
  await within.getByRole("button", { name, exact: true }).first().click();
  const dialog = page.getByRole("dialog", { name });
  await fill(dialog);
  await dialog.getByRole("button", { name, exact: true }).click();
  await expect(dialog).toBeHidden();
}

test("an issue is resolved by the page, comes back, and is ignored by the command line", async ({
  signedIn: page,
}) => {
  const found = async () => (await read("issues", "list", "--component", "breaking")).items[0];
  await elias("rollback", "breaking", "--to", "1");
  expect((await send("breaking", "/fail")).status).toBe(500);
  await expect.poll(async () => (await found())?.state).toBe("new");
  const { id } = await found();

  await page.goto("/console/t/default/issues?component=breaking&state=new,regressed");
  const row = page.getByRole("row", { name: /no stock for order/ });
  await expect(row).toContainText("New");
  await expect(row.getByRole("img", { name: /1 occurrence in 48 hours/ })).toBeVisible();
  await row.getByRole("link").first().click();
  await expect(page).toHaveURL(new RegExp(`/issues/${id}$`));
  const why = page.getByRole("region", { name: "Why?" });
  await expect(why).toContainText("Executions fail in a way that nobody has dealt with yet.");
  // Hostile text is text, and the line that threw is marked.
  await expect(page.getByRole("heading", { level: 1 })).toContainText("<b>more</b>");
  const source = page.getByRole("region", { name: "src/index.js" });
  await expect(source.locator("[aria-current=location]")).toContainText("throw new TypeError");
  await expect(source).toContainText('return new Response("first")');
  await expect(page.getByRole("region", { name: "Newest occurrences" }).getByRole("row")).toHaveCount(2);

  await answer(page, page.getByRole("main"), "Assign", (dialog) => dialog.getByLabel("Assigned to").fill("ada"));
  await expect.poll(async () => (await found()).assigned_to).toBe("ada");
  await answer(page, why, "Resolve");
  await expect(why).toBeHidden();
  expect(await found()).toMatchObject({ state: "resolved", version: 1 });

  // It occurs in a later version.
  await elias("rollback", "breaking", "--to", "2");
  expect((await send("breaking", "/fail")).status).toBe(500);
  await expect(why).toContainText("A failure that was resolved has come back in a later version.");
  await expect(why.getByRole("link", { name: "Roll back" })).toBeVisible();
  await expect(page.getByText("Came back in version")).toBeVisible();

  // What the command line does is seen by the page.
  await elias("issues", "ignore", id, "--count", "100");
  await expect(why).toBeHidden();
  await expect(page.getByText("Ignored until the occurrence")).toBeVisible();
  await page.getByRole("button", { name: "Reopen" }).click();
  await expect(why).toBeVisible();
  expect((await found()).state).toBe("new");
  // Somebody else changes it while the form is open: nothing is overwritten.
  await page.getByRole("button", { name: "Ignore" }).click();
  await elias("issues", "assign", id, "grace");
  const dialog = page.getByRole("dialog", { name: "Ignore" });
  await dialog.getByRole("button", { name: "Ignore" }).click();
  await expect(dialog.getByRole("alert")).toContainText("Somebody else changed it in the meantime");
  expect((await found()).state).toBe("new");
  await page.keyboard.press("Escape");
  await elias("issues", "resolve", id);
  await expect(why).toBeHidden();
});

test("a trace is drawn as a waterfall, the same that the command line shows", async ({ signedIn: page }) => {
  const id = "4bf92f3577b34da6a3ce929d0e0e4736";
  const headers = { traceparent: `00-${id}-00f067aa0ba902b7-01` };
  expect((await send("faulty", "/?fail=1", { headers })).status).toBe(500);
  const listed = async () => (await read("traces", "list", "--component", "faulty", "--failed")).items;
  await expect.poll(async () => (await listed()).map((trace) => trace.trace)).toContain(id);
  const shown = await read("traces", "show", id);
  const spans = shown.executions.flatMap((execution) => execution.spans);

  await page.goto("/console/t/default/traces?component=faulty&failed=true");
  await page.locator(`a[href$="/traces/${id}"]`).click();
  await expect(page.getByRole("region", { name: "Why?" })).toContainText("An execution of this trace failed.");
  const rows = page.getByRole("region", { name: "Waterfall" }).getByRole("listitem");
  await expect(rows).toHaveCount(spans.length);
  await expect(rows.first()).toContainText("GET");
  await rows.first().locator("summary").click();
  await expect(rows.first()).toContainText("http.request.method");
  await page.reload();
  await expect(rows).toHaveCount(spans.length);
  // To the execution, and back.
  await rows.first().locator("summary").click();
  await rows.first().getByRole("link", { name: shown.executions[0].execution }).click();
  await expect(page.getByRole("region", { name: "Why?" })).toContainText("An exception left the handler");
  await page.getByRole("link", { name: id }).click();
  await expect(rows).toHaveCount(spans.length);
  // A trace of which nothing is kept says so.
  await page.goto(`/console/t/default/traces/${"ab".repeat(16)}`);
  await expect(page.getByText("The spans of this trace are not kept")).toBeVisible();
});

test("an alert rule of the page fires, and is silenced by the page and by the command line", async ({
  signedIn: page,
}) => {
  test.setTimeout(120_000);
  const active = async () => (await read("alerts", "list")).items.filter((alert) => alert.rule === "busy-greeting");
  await page.goto("/console/t/default/alerts/rules");
  await answer(page, page.getByRole("main"), "Create rule", async (dialog) => {
    await dialog.getByLabel("Name").fill("busy-greeting");
    await dialog.getByLabel("Metric").selectOption("executions");
    await dialog.getByLabel("Component").fill("greeting");
    await dialog.getByLabel("Threshold").fill("2");
    await dialog.getByLabel("Window (seconds)").fill("600");
    await dialog.getByLabel("Severity").selectOption("critical");
    await dialog.getByLabel("Summary").fill("<i>Greetings</i> in plenty");
  });
  await expect(page).toHaveURL(/\/alerts\/rules\/busy-greeting$/);
  await expect(page.getByText("executions > 2")).toBeVisible();
  await expect(page.getByText("<i>Greetings</i> in plenty")).toBeVisible();
  const { items } = await read("alerts", "rules");
  expect(items.find((rule) => rule.name === "busy-greeting").settings).toMatchObject({
    metric: "executions",
    component: "greeting",
    threshold: 2,
    window_seconds: 600,
    severity: "critical",
    enabled: true,
  });

  for (let count = 0; count < 5; count += 1) await send("greeting");
  const why = page.getByRole("region", { name: "Why?" });
  await expect(why).toContainText("The condition of the alert holds, and its receivers were told.", {
    timeout: 60_000,
  });
  await expect(why).toContainText("greeting, Production");
  expect((await active())[0].state).toBe("firing");

  await page.goto("/console/t/default/alerts");
  const row = page.getByRole("row", { name: /busy-greeting.*Firing/ });
  await answer(page, row, "Silence", async (dialog) => {
    await dialog.getByLabel("Hours").fill("0.5");
    await dialog.getByLabel("Reason").fill("known");
  });
  await expect(row).toContainText("Somebody silenced the alert");
  const silence = (await active())[0].silence;
  expect((await read("alerts", "silences")).items).toContainEqual(
    expect.objectContaining({ id: silence, reason: "known" }),
  );
  await elias("alerts", "unsilence", silence);
  await expect(row).not.toContainText("Somebody silenced");
  await elias("alerts", "silence", "--rule", "busy-greeting", "--for", "1h", "--reason", "by the command line");
  await expect(row.getByRole("button", { name: "End the silence" })).toBeVisible();
  await page.getByRole("link", { name: "Silences" }).click();
  await page
    .getByRole("row", { name: /by the command line/ })
    .getByRole("button", { name: "End the silence" })
    .click();
  await expect(page.getByText("Nothing is silenced.")).toBeVisible();

  // The command line changes the rule, the page switches it off and deletes it.
  const file = join(process.env.CONSOLE_FOLDER, "rule.json");
  writeFileSync(file, JSON.stringify({ metric: "executions", component: "greeting", threshold: 1000 }));
  await elias("alerts", "set-rule", "busy-greeting", file);
  await page.goto("/console/t/default/alerts/rules/busy-greeting");
  await expect(page.getByText("executions > 1,000")).toBeVisible();
  await page.getByRole("button", { name: "Switch off" }).click();
  await expect(why.getByRole("button", { name: "Switch the rule on" })).toBeVisible();
  const rules = async () => (await read("alerts", "rules")).items;
  expect((await rules()).find((rule) => rule.name === "busy-greeting").settings.enabled).toBe(false);
  await answer(page, page.getByRole("main"), "Delete");
  await expect(page).toHaveURL(/\/alerts\/rules$/);
  expect((await rules()).map((rule) => rule.name)).not.toContain("busy-greeting");
});

test("a built-in rule is changed, and holds again", async ({ signedIn: page }) => {
  await page.goto("/console/t/default/alerts/rules/memory");
  await answer(page, page.getByRole("main"), "Edit", (dialog) => dialog.getByLabel("Threshold").fill("90"));
  await expect(page.getByText("memory-percent > 90")).toBeVisible();
  expect(JSON.parse(await elias("alerts", "show-rule", "memory", "--json"))).toMatchObject({ built_in: true });
  await answer(page, page.getByRole("main"), "Back to the built-in rule");
  await expect(page.getByRole("row", { name: /memory-percent > 80/ })).toContainText("Built in");
});

test("receivers are created, tested and deleted", async ({ signedIn: page }) => {
  await page.goto("/console/t/default/alerts/receivers");
  await answer(page, page.getByRole("main"), "Create receiver", async (dialog) => {
    await dialog.getByLabel("Name").fill("bus");
    await dialog.getByLabel("Kind").selectOption("events");
  });
  const bus = page.getByRole("row", { name: /^bus/ });
  await bus.getByRole("button", { name: "Send a test" }).click();
  await expect(page.getByText("Delivered to bus")).toBeVisible();
  // A webhook into the host's own network is refused, and says so; its secret is shown once.
  await page.getByRole("button", { name: "Create receiver" }).click();
  const dialog = page.getByRole("dialog", { name: "Create receiver" });
  await dialog.getByLabel("Name").fill("inward");
  await dialog.getByLabel("Target").fill("https://localhost:9/hook?secret=in-the-url");
  await dialog.getByRole("button", { name: "Create receiver" }).click();
  await expect(page.getByRole("dialog").locator("code")).toContainText("whsec_");
  await page.keyboard.press("Escape");
  const inward = page.getByRole("row", { name: /^inward/ });
  await expect(inward).toContainText("https://localhost");
  expect(await page.content()).not.toContain("in-the-url");
  await inward.getByRole("button", { name: "Send a test" }).click();
  await expect(page.getByText("The test could not be delivered to its receiver.")).toBeVisible();
  expect((await read("alerts", "receivers")).items.map((receiver) => receiver.name)).toEqual(["bus", "inward"]);
  for (const row of [inward, bus]) await answer(page, row, "Delete");
  await expect(page.getByText("No receivers: nobody is told of alerts.")).toBeVisible();
  expect((await read("alerts", "receivers")).items).toEqual([]);
});

test("usage and metrics are drawn, and downloaded", async ({ signedIn: page }) => {
  await send("shop", "/orders");
  await page.goto("/console/t/default/usage");
  await expect(page.getByRole("figure", { name: "Executions" })).toBeVisible();
  await expect(page.getByRole("region", { name: "By hours" })).toBeVisible();
  const started = page.waitForEvent("download");
  await page.getByRole("link", { name: "Download as CSV" }).click();
  expect((await started).suggestedFilename()).toMatch(/\.csv$/);
  await page.goto("/console/t/default/adoption");
  await expect(page.getByRole("row", { name: /elias-build/ })).toBeVisible();

  // Hosts add the points of a minute when it has ended.
  test.setTimeout(150_000);
  await page.goto("/console/t/default/components/shop?tab=metrics");
  await expect(page.getByRole("figure", { name: "Executions" })).toBeVisible({ timeout: 120_000 });
  await page.getByRole("button", { name: "Last 24 hours" }).click();
  await expect(page).toHaveURL(/range=24h/);
  await expect(page.getByRole("figure", { name: "Executions" })).toBeVisible();
});

test("a session of another browser is ended, and security events are listed", async ({ signedIn: page }) => {
  const url = process.env.CONSOLE_URL;
  const opened = await fetch(`${url}/console/session`, {
    method: "POST",
    headers: { "content-type": "application/json", origin: url, "user-agent": "another <b>browser</b>" },
    body: JSON.stringify({ token: process.env.CONSOLE_TOKEN }),
  });
  const cookie = opened.headers.get("set-cookie").split(";")[0];
  const whoami = () => fetch(`${url}/v1/whoami`, { headers: { cookie } }).then((response) => response.status);
  expect(await whoami()).toBe(200);
  await page.goto("/console/t/system/sessions");
  await expect(page.getByRole("row", { name: /This browser/ })).toBeVisible();
  await answer(page, page.getByRole("row", { name: /another <b>browser<\/b>/ }), "End");
  await expect(page.getByRole("row", { name: /another/ })).toHaveCount(0);
  expect(await whoami()).toBe(401);

  const token = await elias("tokens", "create", "watcher", "--role", "viewer");
  const headers = { authorization: `Bearer ${/elias_\S+/.exec(token)[0]}` };
  const address = `${process.env.CONSOLE_ADMIN}/v1/tenants/default/components/shop/environments/production/stop`;
  expect((await fetch(address, { method: "POST", headers })).status).toBe(403);
  await page.goto("/console/t/default/security?kind=denied");
  await expect(page.getByRole("row", { name: /Denied.*POST .*stop/ }).first()).toContainText(
    "A token asked for something that its role does not allow.",
  );
});
