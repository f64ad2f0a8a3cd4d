import AxeBuilder from "@axe-core/playwright";
import { expect, send, test } from "../fixtures.mjs";

const PAGES = [
  "/t/default/components",
  "/t/default/components/shop",
  "/t/default/components/shop?tab=run",
  "/t/default/components/shop?tab=log",
  "/t/default/components/shop?tab=versions",
  "/t/default/components/shop?tab=database",
  "/t/default/components/shop/versions/1",
  "/t/default/components/described?tab=run",
  "/t/default/components/greeting/versions/2/spec",
  "/t/default/components/greeting/versions/2/diff/1",
  "/t/default/drafts",
  "/t/default/flags",
  "/t/default/executions",
  "/t/default/schedules",
  "/t/default/schedules/shop/production/report",
  "/t/default/jobs",
  "/t/default/events",
  "/t/default/workers",
  "/t/default/components/shop?tab=metrics",
  "/t/default/issues",
  "/t/default/traces",
  "/t/default/alerts",
  "/t/default/alerts/rules",
  "/t/default/alerts/rules/errors",
  "/t/default/alerts/silences",
  "/t/default/alerts/receivers",
  "/t/default/security",
  "/t/default/usage",
  "/t/default/adoption",
  "/t/default/sessions",
  "/t/default/tokens",
  "/t/default/roles",
  "/t/default/quotas",
  "/t/default/audit",
  "/tenants",
  "/health",
  "/log?entry=0",
];

// The pages are there when their heading is and nothing is being loaded.
async function settled(page) {
  await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
  await expect(page.getByText("Loading…")).toHaveCount(0);
}

for (const scheme of ["light", "dark"]) {
  test(`axe finds nothing serious in ${scheme}`, async ({ signedIn: page }) => {
    test.setTimeout(600_000);
    await page.emulateMedia({ colorScheme: scheme });
    await send("faulty", "/?fail=1");
    for (const path of PAGES) {
      await page.goto(`/console${path}`);
      await settled(page);
      const { violations } = await new AxeBuilder({ page }).analyze();
      const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
      expect
        .soft(
          serious.map(
            ({ id, nodes }) =>
              `${path}: ${id}: ${nodes
                .map((node) => node.html)
                .join(" ")
                .slice(0, 400)}`,
          ),
        )
        .toEqual([]);
    }
    await page.goto("/console/t/default/tokens");
    await page.getByRole("button", { name: "Create token" }).click();
    const { violations } = await new AxeBuilder({ page }).include("dialog").analyze();
    expect(
      violations.filter(({ impact }) => impact === "serious" || impact === "critical").map(({ id }) => id),
    ).toEqual([]);
  });
}

test("pages fit a phone", async ({ signedIn: page }) => {
  test.setTimeout(600_000);
  await page.setViewportSize({ width: 360, height: 740 });
  for (const path of PAGES) {
    await page.goto(`/console${path}`);
    await settled(page);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    expect.soft(wide, path).toBeLessThanOrEqual(0);
  }
  await page.getByRole("button", { name: "Menu" }).click();
  await page.getByRole("link", { name: "Jobs" }).click();
  await expect(page.getByRole("heading", { name: "Jobs" })).toBeVisible();
});
