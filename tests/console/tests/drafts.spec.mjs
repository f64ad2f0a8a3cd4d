import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { elias, expect, read, send, service, test } from "../fixtures.mjs";

const GOOD = `import type { Component } from "elias";

export default {
  fetch() {
    return new Response("written here");
  },
} satisfies Component;

export const escape = (text: string): string => text;
`;

/** Creates a draft from a template by the page, and waits for its editor. */
async function create(page, name, template = "HTML page") {
  await page.goto("/console/t/default/drafts");
  await page.getByRole("button", { name: "Create a draft" }).click();
  const dialog = page.getByRole("dialog", { name: "Create a draft" });
  await dialog.getByLabel("Name").fill(name);
  await dialog.getByLabel("Template").selectOption({ label: template });
  await dialog.getByRole("button", { name: "Create a draft" }).click();
  await expect(page).toHaveURL(new RegExp(`/drafts/${name}$`));
  await expect(lines(page)).toContainText("fetch(request)");
}

const frame = (page) => page.frameLocator("iframe");
// Monaco draws spaces as no-break ones; texts are compared by Playwright's own rules for spaces.
const lines = (page) => frame(page).locator(".view-lines").last();

/** Replaces the text of the file that is shown. */
async function write(page, text) {
  await lines(page).click();
  await page.keyboard.press("Control+A");
  await page.keyboard.press("Delete");
  await page.keyboard.insertText(text);
}

const problems = (page) => page.getByRole("region", { name: "Problems" });
const delivery = (page) => page.getByRole("region", { name: /^Delivery/ });

/** Answers the dialog of a button of the same name. */
async function press(page, within, name) {
  await within.getByRole("button", { name, exact: true }).click();
  await page.getByRole("dialog", { name }).getByRole("button", { name, exact: true }).click();
  await expect(page.getByRole("dialog")).toHaveCount(0);
}

test("a draft is written, broken, mended, built, deployed to staging and promoted", async ({ signedIn: page }) => {
  test.setTimeout(180_000);
  await create(page, "written");
  expect((await read("drafts", "list")).items.map(({ draft }) => draft)).toContain("written");

  // TypeScript says at once what is wrong, by the types of the SDK: the handler must return a response.
  await write(page, GOOD.replace('new Response("written here")', "42"));
  await expect(problems(page)).toContainText("TS2322");
  await expect(page.getByText("Not saved yet").first()).toBeVisible();

  // The server finds what cannot be built, by the codes of `elias check`, and it stands in its line.
  await write(page, 'const = "broken";\n' + GOOD);
  await page.getByRole("button", { name: "Save and check" }).click();
  const found = problems(page).getByRole("listitem").filter({ hasText: "syntax-error" });
  await expect(found).toContainText("src/index.ts:1:7");
  await expect(page.getByRole("region", { name: "Why?" })).toContainText("The sources have errors");
  await expect(frame(page).locator(".squiggly-error").first()).toBeVisible();
  await found.getByRole("link").click();
  await expect(page).toHaveURL(/line=1&column=7/);

  // Mended, and typed without care for spaces: saving formats.
  await write(page, GOOD.replaceAll("    return", "return"));
  await expect(problems(page)).not.toContainText("TS");
  const pulled = join(process.env.CONSOLE_FOLDER, "pulled");
  // A formatter that takes long does not keep the text from being saved: then the next save has what it made.
  await expect(async () => {
    await page.getByRole("button", { name: "Save and check" }).click();
    await expect(problems(page)).toContainText("Nothing is wrong.");
    await elias("drafts", "pull", "written", "pulled", "--force");
    expect(readFileSync(join(pulled, "src/index.ts"), "utf8")).toBe(GOOD);
  }).toPass();

  await page.getByRole("button", { name: "Build a version" }).click();
  await expect(delivery(page)).toContainText("Delivery of version 1");
  expect((await read("versions", "written")).items.map(({ number }) => number)).toEqual([1]);
  await press(page, delivery(page), "Deploy to: Staging");
  const staging = () => service("written", "staging");
  await expect.poll(async () => (await staging())?.release.version).toBe(1);
  const { host } = await staging();
  // The first request is served.
  expect(await send("written", "/", { headers: { host } })).toEqual({ status: 200, body: "written here" });
  await press(page, delivery(page), "Promote to: Production");
  await expect.poll(async () => (await service("written"))?.release.version).toBe(1);
  expect((await send("written")).body).toBe("written here");

  // What the command line saves is what the page shows.
  writeFileSync(join(pulled, "src/index.ts"), GOOD.replace("written here", "by the command line"));
  await elias("drafts", "push", "pulled");
  await elias("drafts", "build", "written");
  await page.reload();
  await expect(lines(page)).toContainText("by the command line");
  await expect(delivery(page)).toContainText("Delivery of version 2");
  await delivery(page).getByRole("link", { name: "Compare with version 1" }).first().click();
  await expect(page.getByRole("heading", { level: 1 })).toContainText("Changes since version 1");
  await expect(page.getByText(/digests?\.|source/).first()).toBeVisible();
  await page.getByRole("link", { name: "Packages (SBOM)" }).click();
  await expect(page).toHaveURL(/of=packages/);
});

test("files are added, renamed and deleted, and complete one another", async ({ signedIn: page }) => {
  await create(page, "several");
  const answer = async (name, file) => {
    await page.getByRole("button", { name, exact: true }).click();
    const dialog = page.getByRole("dialog", { name });
    if (file !== undefined) await dialog.getByLabel("Path").fill(file);
    await dialog.getByRole("button", { name, exact: true }).click();
  };
  await answer("Add a file", "../outside.ts");
  await expect(page.getByRole("dialog")).toContainText("A path is relative");
  await page.keyboard.press("Escape");
  await answer("Add a file", "src/money.ts");
  const files = page.getByRole("navigation", { name: "Files" });
  await expect(files.getByRole("link", { name: /src\/money\.ts/ })).toHaveAttribute("aria-current", "page");
  await write(page, "export const inCents = (euros: number): number => euros * 100;\n");
  await answer("Rename", "src/euro.ts");
  await files.getByRole("link", { name: /src\/index\.ts/ }).click();
  const imported = 'import { inCents } from "./euro.ts";\n\n';
  await write(page, `${imported}export default { fetch: () => new Response(inCents("1")) };\n`);
  // The types of the other file hold.
  await expect(problems(page)).toContainText("TS2345");
  await lines(page).click();
  await page.keyboard.press("Control+End");
  await page.keyboard.insertText("inCen");
  await page.keyboard.press("Control+Space");
  await expect(frame(page).locator(".suggest-widget")).toContainText("inCents");
  await page.keyboard.press("Escape");
  await files.getByRole("link", { name: /src\/euro\.ts/ }).click();
  await answer("Delete the file");
  await expect(files.getByRole("link", { name: /euro/ })).toHaveCount(0);
  await expect(problems(page)).toContainText("TS2307");
  // Nothing that was typed is lost by a reload.
  page.removeAllListeners("dialog");
  page.on("dialog", (dialog) => void dialog.accept());
  await page.reload();
  await expect(page.getByText("What you had not saved is here again.")).toBeVisible();
  await expect(lines(page)).toContainText("inCents");
});

test("two people who save the same draft get a merge", async ({ signedIn: page }) => {
  await create(page, "shared");
  await elias("drafts", "pull", "shared", "others");
  const others = join(process.env.CONSOLE_FOLDER, "others");
  writeFileSync(join(others, "src/index.ts"), GOOD.replace("written here", "theirs"));
  mkdirSync(join(others, "src"), { recursive: true });
  writeFileSync(join(others, "src/new.ts"), "export const added = 1;\n");
  await elias("drafts", "push", "others");

  await write(page, GOOD.replace('new Response("written here")', '"mine"'));
  await expect(problems(page)).toContainText("TS2322");
  await page.getByRole("button", { name: "Save and check" }).click();
  await expect(page.getByRole("region", { name: "Why?" })).toContainText("Somebody else saved the draft");
  await expect(frame(page).locator(".view-lines").first()).toContainText("theirs");
  await expect(frame(page).locator(".view-lines").last()).toContainText("mine");
  // What a button takes is what the editor has.
  await page.getByRole("button", { name: "What was saved" }).click();
  await expect(frame(page).locator(".view-lines").last()).toContainText("theirs");
  await page.getByRole("button", { name: "Mine" }).click();
  await expect(frame(page).locator(".view-lines").last()).toContainText("mine");
  // Mended in the merge: what was wrong before it is not told of any more.
  await write(page, GOOD.replace("written here", "mine"));
  await page.getByRole("button", { name: "Save the merge" }).click();
  await expect(problems(page)).toContainText("Nothing is wrong.");
  await elias("drafts", "pull", "shared", "merged");
  const merged = join(process.env.CONSOLE_FOLDER, "merged");
  expect(readFileSync(join(merged, "src/index.ts"), "utf8")).toContain("mine");
  expect(readFileSync(join(merged, "src/new.ts"), "utf8")).toContain("added");
});

test("a flag is set by the page and seen by the command line, and the reverse", async ({ signedIn: page }) => {
  await page.goto("/console/t/default/flags?environment=staging");
  await page.getByRole("button", { name: "Create a flag" }).click();
  const dialog = page.getByRole("dialog", { name: "Create a flag" });
  await dialog.getByLabel("Name").fill("new-checkout");
  await dialog.getByRole("button", { name: "Create a flag" }).click();
  await expect(page).toHaveURL(/\/flags\/staging\/new-checkout$/);
  const flag = () => read("flags", "show", "new-checkout", "--env", "staging");
  expect((await flag()).definition).toMatchObject({ state: "ENABLED", defaultVariant: "off" });

  await page.getByRole("button", { name: "Edit", exact: true }).click();
  const form = page.getByRole("dialog", { name: "Edit" });
  await form.getByLabel("Share of on in percent").fill("140");
  await form.getByRole("button", { name: "Edit", exact: true }).click();
  await expect(form).toContainText("A share is between 0 and 100.");
  await form.getByLabel("Share of on in percent").fill("25");
  await form.getByRole("button", { name: "Edit", exact: true }).click();
  await expect(form).toBeHidden();
  expect((await flag()).definition.rules).toEqual([{ split: [{ variant: "on", percent: 25 }] }]);

  await elias("flags", "set", "new-checkout", "--env", "staging", "--disable");
  await page.getByRole("button", { name: "Reload" }).first().click();
  const why = page.getByRole("region", { name: "Why?" });
  await expect(why).toContainText("The flag is switched off");
  await why.getByRole("button", { name: "Switch the flag on" }).click();
  await expect(why).toBeHidden();
  expect((await flag()).definition.state).toBe("ENABLED");
  await expect(page.getByRole("region", { name: "History" }).getByRole("row")).toHaveCount(5);
  await page.goto("/console/t/default/flags?environment=staging");
  await expect(page.getByRole("row", { name: /new-checkout.*on 25 %/ })).toBeVisible();
});

test("a version has a specification, and a form of its schema", async ({ signedIn: page }) => {
  await page.goto("/console/t/default/components/described/versions/1");
  await page.getByRole("button", { name: "Specification" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toContainText("Specification of described, version 1");
  const spec = await read("spec", "described@1");
  await expect(page.getByText(spec.digests.component)).toBeVisible();
  await expect(page.getByRole("region", { name: "Schema of the input" })).toContainText("pieces");

  await page.goto("/console/t/default/components/described?tab=run");
  const form = page.getByRole("region", { name: "Form" });
  await form.getByLabel("pieces").fill("1.5");
  await form.getByRole("button", { name: "Make the request" }).click();
  await expect(form).toContainText("whole number");
  await form.getByLabel("pieces").fill("3");
  await form.getByLabel("article").fill("tea & 'cake'");
  await form.getByRole("button", { name: "Make the request" }).click();
  const sent = JSON.stringify({ article: "tea & 'cake'", pieces: 3 });
  await expect(page.getByLabel("Body")).toHaveValue(sent);
  expect(JSON.parse((await send("described", "/", { method: "POST", body: sent })).body)).toEqual({ got: 3 });
});
