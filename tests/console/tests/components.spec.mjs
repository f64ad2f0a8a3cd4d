import { elias, expect, read, send, service, test } from "../fixtures.mjs";

const open = (page, component, query = "") => page.goto(`/console/t/default/components/${component}${query}`);

test("components are listed with their health, and found by a search", async ({ signedIn: page }) => {
  await page.goto("/console/");
  await expect(page.getByRole("row", { name: /shop.*Healthy/ })).toBeVisible();
  await page.getByLabel("Search").first().fill("gree");
  await expect(page.getByRole("row", { name: /shop/ })).toHaveCount(0);
  await expect(page).toHaveURL(/q=gree/);
  await page.reload();
  await expect(page.getByRole("row", { name: /greeting/ })).toBeVisible();
  await expect(page.getByRole("row", { name: /shop/ })).toHaveCount(0);
});

test("a version is deployed by the page, and rolled back", async ({ signedIn: page }) => {
  await open(page, "greeting", "?tab=versions");
  await page.getByRole("row", { name: /^1 / }).getByRole("button", { name: "Deploy a version" }).click();
  const dialog = page.getByRole("dialog", { name: "Deploy a version" });
  await dialog.getByLabel("Environment").selectOption("staging");
  await dialog.getByLabel("Reason").fill("to look at it");
  await dialog.getByRole("button", { name: "Deploy a version" }).click();
  await expect(page).toHaveURL(/environment=staging/);
  await expect(page.getByText("Healthy").first()).toBeVisible();
  expect((await service("greeting", "staging")).release.version).toBe(1);

  await open(page, "greeting");
  await page.getByRole("button", { name: "Roll back" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Roll back" }).click();
  await expect.poll(async () => (await service("greeting")).release.version).toBe(1);
  expect((await send("greeting")).body).toBe("first");
  // And what the command line does is seen by the page.
  await elias("rollback", "greeting", "--to", "2");
  await expect(page.getByRole("link", { name: "2", exact: true })).toBeVisible();
});

test("a component that was stopped says why, and one button starts it", async ({ signedIn: page }) => {
  await open(page, "stopping");
  await page.getByRole("button", { name: "Stop" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Stop" }).click();
  const why = page.getByRole("region", { name: "Why?" });
  await expect(why).toContainText("Somebody stopped the component");
  expect((await service("stopping")).stopped).toBe(true);
  await why.getByRole("button", { name: "Start" }).click();
  await expect(why).toBeHidden();
  expect((await service("stopping")).stopped).toBe(false);
  await elias("stop", "stopping");
  await expect(why).toBeVisible();
  await elias("start", "stopping");
  await expect(why).toBeHidden();
});

test("an execution that failed has its stack, its timeline and the reason", async ({ signedIn: page }) => {
  expect((await send("faulty", "/?fail=1")).status).toBe(500);
  await page.goto("/console/t/default/executions?component=faulty&failed=true");
  await page
    .getByRole("row", { name: /exception/ })
    .first()
    .getByRole("link")
    .first()
    .click();
  await expect(page.getByRole("region", { name: "Why?" })).toContainText("An exception left the handler");
  // Hostile text is text.
  await expect(page.getByRole("region", { name: "Error" })).toContainText("<img src=x onerror=alert(1)> failed");
  await expect(page.getByRole("region", { name: "Error" })).toContainText("src/index.js:4");
  await expect(page.getByRole("region", { name: "Timeline" })).toContainText("Own work");
  const address = page.url();
  await page.reload();
  await expect(page).toHaveURL(address);
  await expect(page.getByRole("region", { name: "Timeline" })).toBeVisible();
});

test("the log comes live, cleaned, and is filtered", async ({ signedIn: page }) => {
  await open(page, "faulty", "?tab=log");
  const log = page.getByRole("log");
  // Lines are those from when the stream began on.
  await expect
    .poll(async () => {
      await send("faulty", "/?log=needle");
      return log.getByText("needle").count();
    })
    .toBeGreaterThan(0);
  await expect(log).toContainText("<b>bold</b> \\u{202e}txt needle");
  expect(await log.innerText()).not.toMatch(/[\u001b\u202e]/);
  await send("faulty", "/?log=haystack");
  await expect(log).toContainText("haystack");
  await page.getByRole("searchbox", { name: "Search" }).fill("haystack");
  await expect(log).not.toContainText("needle");
  await expect(log).toContainText("haystack");
  await page.getByLabel("Level").selectOption("ERROR");
  await expect(log).toContainText("Nothing matches");
});

test("secrets are set and deleted, and never shown", async ({ signedIn: page }) => {
  await open(page, "shop", "?tab=secrets");
  await page.getByRole("button", { name: "Set a secret" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Name").fill("API_KEY");
  await dialog.getByLabel("Value").fill("s3cr3t-value");
  await dialog.getByRole("button", { name: "Set a secret" }).click();
  await expect(page.getByRole("row", { name: /API_KEY/ })).toBeVisible();
  expect(await elias("secrets", "list", "shop")).toContain("API_KEY");
  expect(await page.content()).not.toContain("s3cr3t-value");
  await page
    .getByRole("row", { name: /API_KEY/ })
    .getByRole("button", { name: "Delete" })
    .click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await expect(page.getByText("No secrets in this environment.")).toBeVisible();
  expect(await elias("secrets", "list", "shop")).not.toContain("API_KEY");
});

test("a canary is drawn beside its base, and aborted by the page", async ({ signedIn: page }) => {
  await elias("rollback", "greeting", "--to", "2").catch(() => {});
  await open(page, "greeting", "?environment=dev");
  for (const [version, canary] of [
    ["1", ""],
    ["2", "20, 100"],
  ]) {
    await page.getByRole("button", { name: "Deploy a version" }).click();
    const dialog = page.getByRole("dialog", { name: "Deploy a version" });
    await dialog.getByLabel("Version").fill(version);
    await dialog.getByLabel("Environment").selectOption("dev");
    await dialog.getByLabel("Canary steps in percent").fill(canary);
    await dialog.getByRole("button", { name: "Deploy a version" }).click();
    await expect(dialog).toBeHidden();
  }
  await expect(page).toHaveURL(/tab=rollout/);
  await expect(page.getByRole("img", { name: /^Canary: / })).toBeVisible();
  await expect(page.getByRole("region", { name: "Why?" })).toContainText("The rollout goes on by itself");
  expect((await service("greeting", "dev")).rollout.percent).toBe(20);
  await page.getByRole("button", { name: "Pause" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Pause" }).click();
  await expect(page.getByRole("region", { name: "Why?" })).toContainText("Somebody paused the rollout");
  await page.getByRole("button", { name: "Abort" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Abort" }).click();
  await expect(page.getByText("No rollout is under way")).toBeVisible();
  expect((await service("greeting", "dev")).release.version).toBe(1);
});

test("two versions are compared in the editor's frame", async ({ signedIn: page }) => {
  await page.goto("/console/t/default/components/greeting/versions/2");
  await page.getByRole("button", { name: "Compare line by line" }).click();
  const frame = page.frameLocator("iframe");
  await expect(frame.locator(".monaco-diff-editor")).toBeVisible();
  await expect(frame.locator(".view-lines").first()).toContainText("handlers");
});

test("a statement runs on the database of a component", async ({ signedIn: page }) => {
  await open(page, "shop", "?tab=database");
  await page.getByLabel("SQL").fill("SELECT name FROM sqlite_schema WHERE name = 'orders'");
  await page.getByRole("button", { name: "Run", exact: true }).click();
  await expect(page.getByRole("cell", { name: "orders" })).toBeVisible();
  await page.getByLabel("SQL").fill("SELEC nothing");
  await page.getByRole("button", { name: "Run", exact: true }).click();
  await expect(page.getByRole("alert")).toContainText("The database refused the statement");
  await expect(page.getByLabel("SQL")).toHaveValue("SELEC nothing");
  // What one environment said is not shown at another.
  await page.getByRole("link", { name: "Staging" }).click();
  await expect(page).toHaveURL(/environment=staging/);
  await expect(page.getByRole("cell", { name: "orders" })).toHaveCount(0);
  await expect(page.getByRole("alert")).toHaveCount(0);
});

test("an HTTP request is composed in the address, and a worker's message sent", async ({ signedIn: page }) => {
  await open(page, "faulty", "?tab=run");
  await page.getByLabel("Method").selectOption("POST");
  await page.getByLabel("Path").fill("/it's?fail=1");
  await page.getByLabel("Headers").fill("x-a: b");
  await expect(page.getByLabel("curl")).toContainText("curl -X POST -H 'x-a: b'");
  await expect(page).toHaveURL(/method=POST/);
  await page.getByLabel("Path").fill("//evil.example/x");
  await expect(page.getByText("The path is not one of this service.")).toBeVisible();
});

test("workers are shown at a turn, asked, and forked", async ({ signedIn: page }) => {
  for (const sku of ["tea", "cup"]) await send("cart", `/carts/ada/${sku}`, { method: "POST" });
  await page.goto("/console/t/default/workers");
  await page
    .getByRole("row", { name: /ada.*Cart/ })
    .getByRole("link")
    .first()
    .click();
  await expect(page.getByRole("heading", { name: "Cart/ada" })).toBeVisible();
  await expect(page.getByRole("region", { name: "State" }).first()).toContainText("cup");
  await page.getByRole("button", { name: "Send a message" }).click();
  const dialog = page.getByRole("dialog", { name: "Send a message" });
  await dialog.getByLabel("Method").fill("list");
  await dialog.getByRole("button", { name: "Send a message" }).click();
  const answer = page.getByRole("dialog", { name: "Send a message" });
  await expect(answer).toContainText("tea");
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Fork" }).click();
  await page.getByRole("dialog").getByLabel("Name of the copy").fill("ada.copy");
  await page.getByRole("dialog").getByRole("button", { name: "Fork" }).click();
  await expect(page.getByRole("heading", { name: "Cart/ada.copy" })).toBeVisible();
  const { items } = await read("workers", "list", "cart");
  expect(items.map((worker) => worker.name)).toContain("ada.copy");
  // A name with a dot is a page and no file.
  await page.reload();
  await expect(page.getByRole("heading", { name: "Cart/ada.copy" })).toBeVisible();
});
