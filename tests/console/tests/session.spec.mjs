import { elias, expect, test } from "../fixtures.mjs";

test("a token that is wrong is refused, a good one signs in, and signing out ends it", async ({ page }) => {
  await page.goto("/console/t/default/jobs");
  await page.getByLabel("Token").fill("elias_wrong");
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("alert")).toContainText("You are not signed in");
  await page.getByLabel("Token").fill(process.env.CONSOLE_TOKEN);
  await page.keyboard.press("Enter");
  // The link that was opened leads on.
  await expect(page.getByRole("heading", { name: "Jobs" })).toBeVisible();
  await page.getByRole("button", { name: "Sign out" }).click();
  await expect(page.getByLabel("Token")).toBeVisible();
  expect(await page.evaluate(async () => (await fetch("/v1/whoami")).status)).toBe(401);
});

test("a token is not readable for scripts, nor kept by the page", async ({ signedIn: page }) => {
  await page.goto("/console/");
  await expect(page.getByRole("heading", { name: "Components" })).toBeVisible();
  const kept = await page.evaluate(() => document.cookie + JSON.stringify({ ...localStorage, ...sessionStorage }));
  expect(kept).not.toContain("elias_");
});

test("what was typed outlives the session", async ({ signedIn: page, context }) => {
  await page.goto("/console/t/default/tokens");
  await page.getByRole("button", { name: "Create token" }).click();
  const dialog = page.getByRole("dialog", { name: "Create token" });
  await dialog.getByLabel("Name").fill("outlives");
  await dialog.getByLabel("Role").fill("viewer");
  await context.clearCookies();
  await dialog.getByRole("button", { name: "Create token" }).click();
  const again = page.getByRole("dialog", { name: "Sign in again" });
  await expect(again).toContainText("Your session is over");
  await again.getByLabel("Token").fill(process.env.CONSOLE_TOKEN);
  await page.keyboard.press("Enter");
  await expect(again).toBeHidden();
  // The request went on by itself, once.
  await expect(page.getByText("Copy it now")).toBeVisible();
  const tokens = await elias("tokens", "list");
  expect(tokens.match(/outlives/g)).toHaveLength(1);
});

test("the language and the colours are those that were chosen", async ({ signedIn: page }) => {
  await page.goto("/console/t/default/schedules");
  await page.getByLabel("Language").selectOption("ru");
  await expect(page.getByRole("heading", { name: "Расписания" })).toBeVisible();
  await expect(page.locator("html")).toHaveAttribute("lang", "ru");
  await page.getByLabel("Язык").selectOption("uz");
  await expect(page.getByRole("heading", { name: "Jadvallar" })).toBeVisible();
  await page.getByLabel("Ranglar").selectOption("dark");
  await page.reload();
  await expect(page.getByRole("heading", { name: "Jadvallar" })).toBeVisible();
  await expect(page.locator("html")).toHaveAttribute("data-theme", "dark");
});

test("the keyboard reaches every page by the palette", async ({ signedIn: page }) => {
  await page.goto("/console/");
  await expect(page.getByRole("heading", { name: "Components" })).toBeVisible();
  await page.keyboard.press("Control+k");
  await expect(page.getByRole("combobox", { name: /Page, component/ })).toBeFocused();
  await page.keyboard.type("greet");
  await expect(page.getByRole("dialog").getByRole("option", { selected: true })).toContainText("greeting");
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/\/console\/t\/default\/components\/greeting$/);
  await page.keyboard.press("Control+k");
  await page.keyboard.press("Escape");
  await expect(page.getByRole("dialog")).toHaveCount(0);
});

test("an unknown page says so", async ({ signedIn: page }) => {
  await page.goto("/console/t/default/nothing");
  await expect(page.getByRole("heading", { name: "Page not found." })).toBeVisible();
  await page.goto("/console/t/default/jobs/01ARZ3NDEKTSV4RRFFQ69G5FAV");
  await expect(page.getByRole("alert")).toContainText("Not found, or you may not see it.");
});

test("what was typed outlives a platform that does not respond", async ({ signedIn: page }) => {
  await page.goto("/console/t/default/organizations");
  await page.getByRole("button", { name: "Create organization" }).click();
  const dialog = page.getByRole("dialog", { name: "Create organization" });
  await dialog.getByLabel("Name").fill("Analytical Engines");
  await page.route("**/organizations", (route) =>
    route.request().method() === "POST" ? route.abort() : route.continue(),
  );
  await dialog.getByRole("button", { name: "Create organization" }).click();
  await expect(dialog.getByRole("alert")).toContainText("The platform does not respond; what you typed is kept.");
  await expect(dialog.getByLabel("Name")).toHaveValue("Analytical Engines");
  await page.unroute("**/organizations");
  await dialog.getByRole("button", { name: "Create organization" }).click();
  await expect(page.getByRole("row", { name: /Analytical Engines/ })).toBeVisible();
});
