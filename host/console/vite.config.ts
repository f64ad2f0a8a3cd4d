import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";

// While developing, `npm run dev` speaks to a running platform in place of its own listener:
// ELIAS_ADMIN=http://127.0.0.1:8788 ELIAS_TOKEN=$(cat .elias/operator-token) npm run dev
const admin = process.env["ELIAS_ADMIN"] ?? "http://127.0.0.1:8788";
const token = process.env["ELIAS_TOKEN"];

export default defineConfig({
  base: "/console/",
  plugins: [svelte()],
  experimental: {
    // Scripts and styles refer to one another from where they are: a development server has them at another path, and
    // writes that into the document alone.
    renderBuiltUrl: (_file: string, { hostType }: { hostType: string }) =>
      hostType === "html" ? undefined : { relative: true },
  },
  build: {
    // Browsers with Trusted Types, `dialog` and Ed25519 in WebCrypto.
    target: ["chrome123", "firefox128", "safari17.5"],
    // Data URLs are refused by the policy of the console, for workers and images too.
    assetsInlineLimit: 0,
    manifest: true,
    modulePreload: { polyfill: false },
    sourcemap: false,
    // Monaco and its worker of TypeScript, which nothing but the editor's frame fetches.
    chunkSizeWarningLimit: 8_000,
    rollupOptions: { input: { index: "index.html", editor: "editor.html" } },
  },
  worker: { format: "es" },
  server: {
    proxy: Object.fromEntries(
      ["/v1", "/console/session", "/console/sign-in", "/console/callback"].map((path) => [
        path,
        { target: admin, headers: token === undefined ? {} : { authorization: `Bearer ${token}` } },
      ]),
    ),
  },
  // The deadlines tell what does not end, such as an expression that backtracks, from a machine that has other work.
  test: { include: ["test/**/*.test.ts"], environment: "node", testTimeout: 60_000, hookTimeout: 60_000 },
} as never);
