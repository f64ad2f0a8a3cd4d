import { elias, expect, read, send, test } from "../fixtures.mjs";

test("a schedule is paused, resumed and run, by the page and by the command line", async ({ signedIn: page }) => {
  const paused = async () => (await read("schedules")).items[0].paused;
  await page.goto("/console/t/default/schedules/shop/production/report");
  await expect(page.getByRole("heading", { name: "report" })).toBeVisible();
  await expect(page.getByRole("region", { name: "Next runs" }).getByRole("definition").first()).toBeVisible();
  await page.getByRole("button", { name: "Pause" }).click();
  const why = page.getByRole("region", { name: "Why?" });
  await expect(why).toContainText("Somebody paused the schedule");
  expect(await paused()).toBe(true);
  await page.getByRole("button", { name: "Resume" }).first().click();
  await expect(why).toBeHidden();
  expect(await paused()).toBe(false);
  await page.getByRole("button", { name: "Run now" }).click();
  await expect(page.getByText(/Enqueued: 01/)).toBeVisible();
  await expect
    .poll(async () => (await read("jobs")).items.some((job) => job.name === "report" && job.state === "done"))
    .toBe(true);
});

test("a job is enqueued with its input, runs its steps, and is found by its id", async ({ signedIn: page }) => {
  const order = { id: "o-1", customer: "ada", item: "tea", total: 900 };
  expect(
    (
      await send("shop", "/orders", {
        method: "POST",
        body: JSON.stringify(order),
        headers: { "content-type": "application/json" },
      })
    ).status,
  ).toBe(202);
  await page.goto("/console/t/default/workflows");
  await page
    .getByRole("row", { name: /fulfil/ })
    .first()
    .getByRole("link")
    .first()
    .click();
  await expect(page.getByRole("region", { name: "Steps" })).toContainText("charge");
  await expect(page.getByRole("region", { name: "Steps" })).toContainText("book parcel");

  await page.goto("/console/t/default/components/shop?tab=run");
  await page.getByRole("button", { name: "Enqueue a job" }).click();
  const dialog = page.getByRole("dialog", { name: "Enqueue a job" });
  await dialog.getByLabel("Input").fill("{ not json");
  await dialog.getByRole("button", { name: "Enqueue a job" }).click();
  await expect(dialog.getByText("Must be JSON")).toBeVisible();
  await expect(dialog.getByLabel("Input")).toBeFocused();
  await dialog.getByLabel("Input").fill('{"id":"o-1"}');
  await dialog.getByRole("button", { name: "Enqueue a job" }).click();
  await expect(page).toHaveURL(/\/jobs\/01/);
  const id = page.url().split("/").at(-1);
  expect((await read("jobs")).items.map((job) => job.id)).toContain(id);
});

test("an event is published by the page and read by the command line, and hostile ones are text", async ({
  signedIn: page,
}) => {
  await page.goto("/console/t/default/events");
  await page.getByRole("button", { name: "Publish an event" }).click();
  const dialog = page.getByRole("dialog", { name: "Publish an event" });
  await dialog.getByLabel("Type").fill("console.tried");
  await dialog.getByLabel("Subject").fill("<script>alert(1)</script>");
  await dialog.getByLabel("Content").fill(`{"html":"<img src=x onerror=alert(1)>","long":"${"x".repeat(5000)}"}`);
  await dialog.getByRole("button", { name: "Publish an event" }).click();
  const row = page.getByRole("row", { name: /console\.tried/ });
  await expect(row).toContainText("<script>alert(1)</script>");
  await row.getByText("{ 2 }").click();
  await expect(row).toContainText("<img src=x onerror=alert(1)>");
  await row.getByRole("button", { name: /Show all/ }).click();
  await expect(row.getByRole("button", { name: "Show less" })).toBeVisible();
  expect(await elias("events", "--limit", "1000")).toContain("console.tried");
});

test("a token is created, works, and is revoked", async ({ signedIn: page }) => {
  await page.goto("/console/t/default/tokens");
  await page.getByRole("button", { name: "Create token" }).click();
  const dialog = page.getByRole("dialog", { name: "Create token" });
  await dialog.getByLabel("Name").fill("from-the-page");
  await dialog.getByLabel("Components").fill("shop");
  await dialog.getByRole("button", { name: "Create token" }).click();
  const token = await page.getByRole("dialog").locator("code").innerText();
  const whoami = () =>
    fetch(`${process.env.CONSOLE_ADMIN}/v1/whoami`, { headers: { authorization: `Bearer ${token}` } }).then(
      (response) => response.status,
    );
  expect(await whoami()).toBe(200);
  await page.keyboard.press("Escape");
  await page
    .getByRole("row", { name: /from-the-page/ })
    .getByRole("button", { name: "Revoke" })
    .click();
  await page.getByRole("dialog").getByRole("button", { name: "Revoke" }).click();
  await expect(page.getByRole("row", { name: /from-the-page.*Revoked/ })).toBeVisible();
  expect(await whoami()).toBe(401);
});

test("who changes what somebody else has changed is told, and loses nothing", async ({ signedIn: page }) => {
  await elias("tenants", "create", "shared");
  await page.goto("/console/t/shared/quotas");
  await page.getByRole("button", { name: "Edit quotas" }).click();
  const dialog = page.getByRole("dialog", { name: "Edit quotas" });
  await dialog.getByLabel("components").fill("7");
  const admin = process.env.CONSOLE_ADMIN;
  const headers = { authorization: `Bearer ${process.env.CONSOLE_TOKEN}`, "content-type": "application/json" };
  const { settings } = await fetch(`${admin}/v1/tenants/shared`, { headers }).then((response) => response.json());
  await fetch(`${admin}/v1/tenants/shared`, {
    method: "PUT",
    headers,
    body: JSON.stringify({ ...settings, trusted: true }),
  });
  await dialog.getByRole("button", { name: "Edit quotas" }).click();
  await expect(dialog.getByRole("alert")).toContainText("Somebody else changed it in the meantime");
  await expect(dialog.getByLabel("components")).toHaveValue("7");
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Reload" }).first().click();
  await expect(page.getByText("Trusted").locator("..")).toContainText("Yes");
  await page.getByRole("button", { name: "Edit quotas" }).click();
  await page.getByRole("dialog").getByLabel("components").fill("7");
  await page.getByRole("dialog").getByRole("button", { name: "Edit quotas" }).click();
  await expect(page.getByRole("dialog")).toHaveCount(0);
  const now = await fetch(`${admin}/v1/tenants/shared`, { headers }).then((response) => response.json());
  expect([now.settings.quotas.components, now.settings.trusted]).toEqual([7, true]);
});

test("an entry of the transparency log is proved in the browser", async ({ signedIn: page }) => {
  await page.goto("/console/log");
  await expect(page.getByText("Good, checked in this browser")).toBeVisible();
  await page.getByRole("row", { name: /shop/ }).first().getByRole("link").first().click();
  await expect(page.getByText(/The entry is in the log: \d+ hash/)).toBeVisible();
  await page.reload();
  await expect(page.getByText(/Contains the \d+ entr/)).toBeVisible();
  // A server that shows other files is found out.
  await page.route("**/v1/log/tile/entries/**", async (route) => {
    const response = await route.fetch();
    const body = Buffer.from(
      (await response.body()).toString("latin1").replaceAll('"version":1', '"version":9'),
      "latin1",
    );
    await route.fulfill({ response, body });
  });
  await page.reload();
  await expect(page.getByRole("region", { name: "Why?" })).toContainText(
    "The entry does not lead to the root that was signed",
  );
});

test("users, roles and packages are changed by the page", async ({ signedIn: page }) => {
  await page.goto("/console/t/default/users");
  await page.getByRole("button", { name: "Create user" }).click();
  const dialog = page.getByRole("dialog", { name: "Create user" });
  await dialog.getByLabel("Id").fill("grace");
  await dialog.getByLabel("Name").fill("Grace <i>Hopper</i>");
  await dialog.getByLabel("Role").fill("viewer");
  await dialog.getByRole("button", { name: "Create user" }).click();
  const row = page.getByRole("row", { name: /Grace <i>Hopper<\/i>/ });
  await expect(row).toBeVisible();
  await row.getByRole("button", { name: "Edit" }).click();
  await page.getByRole("dialog").getByLabel("Disabled").check();
  await page.getByRole("dialog").getByRole("button", { name: "Edit" }).click();
  await expect(row).toContainText("Disabled");

  await page.goto("/console/t/default/roles");
  await page.getByRole("button", { name: "Create role" }).click();
  const role = page.getByRole("dialog", { name: "Create role" });
  await role.getByLabel("Name").fill("reader");
  await role.getByLabel("Policy").fill("permit(nonsense");
  await role.getByRole("button", { name: "Create role" }).click();
  await expect(role.getByRole("alert")).toContainText("A value that was sent is wrong");
  await role.getByLabel("Policy").fill('permit(principal, action == Action::"read", resource);');
  await role.getByRole("button", { name: "Create role" }).click();
  await expect(page.getByRole("row", { name: /reader/ })).toBeVisible();
  expect(await elias("roles", "list")).toContain("reader");

  await page.goto("/console/t/default/packages");
  await page.getByRole("button", { name: "Edit the policy" }).click();
  await page.getByRole("dialog").getByLabel("Denied packages").fill("left-pad");
  await page.getByRole("dialog").getByRole("button", { name: "Edit the policy" }).click();
  await expect(page.getByText("left-pad")).toBeVisible();

  await page.goto("/console/t/default/audit");
  await expect(page.getByRole("row", { name: /role/ }).first()).toBeVisible();
  await page.goto("/console/health");
  await expect(page.getByRole("row", { name: /transparency log/ })).toBeVisible();
});

test("a dead letter says why, is retried and discarded", async ({ signedIn: page }) => {
  await elias("events", "publish", "order.refused", "--data", '{"order":"o-7"}');
  const dead = async () => (await read("jobs", "--state", "dead")).items.filter((job) => job.name === "refused");
  await expect.poll(async () => (await dead()).length).toBe(1);
  await page.goto("/console/t/default/dead-letters");
  await page
    .getByRole("row", { name: /refused/ })
    .getByRole("link")
    .first()
    .click();
  const why = page.getByRole("region", { name: "Why?" });
  await expect(why).toContainText("The job failed for good");
  await expect(why).toContainText("there is no order o-7");
  const [{ finished_at }] = await dead();
  await why.getByRole("button", { name: "Retry" }).click();
  // It is refused again, so it is dead once more, since later.
  await expect.poll(async () => (await dead())[0]?.finished_at ?? 0).toBeGreaterThan(finished_at);
  await page.goto("/console/t/default/dead-letters");
  await page
    .getByRole("row", { name: /refused/ })
    .getByRole("button", { name: "Discard" })
    .click();
  await page.getByRole("dialog").getByRole("button", { name: "Discard" }).click();
  await expect(page.getByText("No delivery has failed for good.")).toBeVisible();
  expect(await dead()).toEqual([]);
});
