import { vitePreprocess } from "@sveltejs/vite-plugin-svelte";

// `injected` would put styles into the document by a script, which the Content-Security-Policy of the console refuses.
export default {
  preprocess: vitePreprocess(),
  compilerOptions: { runes: true, css: "external" },
};
