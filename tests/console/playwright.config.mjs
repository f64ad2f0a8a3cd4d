import { defineConfig } from "@playwright/test";

export default defineConfig({
  testDir: "./tests",
  globalSetup: "./setup.mjs",
  outputDir: "../../target/console-tests",
  reporter: [["list"]],
  // One platform serves all tests, each of which has components of its own; the machine has few cores.
  workers: 2,
  timeout: 60_000,
  expect: { timeout: 15_000 },
  use: {
    baseURL: process.env.CONSOLE_URL,
    locale: "en-US",
    trace: "retain-on-failure",
    launchOptions: { executablePath: process.env.ELIAS_BROWSER, args: ["--no-sandbox", "--disable-dev-shm-usage"] },
  },
});
