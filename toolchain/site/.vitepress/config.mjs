// The site of the documentation: the pages of docs/ and those at the top of the repository, as they are.
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitepress";
import { slug } from "../../../tests/docs/markdown.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "../../..");

const vue = join(root, "toolchain/site/node_modules/vue");

/** Pages beside docs/, which pages link to. */
const TOP = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"];

/** A sidebar's group: the pages of a folder, as docs/README.md lists them under a heading. */
function group(heading, folder) {
  const [, section = ""] = readFileSync(join(root, "docs/README.md"), "utf8").split(`\n## ${heading}\n`);
  const links = section.split("\n## ")[0].matchAll(/\[([^\]]+)\]\(([^)#]+)\.md\)/g);
  const address = (page) => `/docs/${page.replace(/README$/, "")}`;
  const own = [...links].filter(([, , page]) => page.startsWith(`${folder}/`));
  const items = own.map(([, text, page]) => ({ text: text.replace(/\s+/g, " "), link: address(page) }));
  return { text: heading, collapsed: false, items };
}

/**
 * Links as the site has them: README.md is a folder's index. A link to a file of the repository that is not a page is
 * shown as text, since the site does not have the sources.
 */
function siteLinks(markdown) {
  markdown.core.ruler.push("site-links", ({ tokens, env }) => {
    for (const { children } of tokens) {
      let dropped = false;
      for (const token of children ?? []) {
        if (token.type === "link_open") {
          const href = token.attrGet("href");
          dropped = isFile(href, env);
          token.attrSet("href", href.replace(/(^|\/)README\.md(?=#|$)/, "$1index.md"));
        }
        const closes = token.type === "link_close";
        if (dropped && (closes || token.type === "link_open")) {
          Object.assign(token, { type: "text", content: "", nesting: 0 });
        }
        if (closes) dropped = false;
      }
    }
  });
}

function isFile(href, { path }) {
  if (/^([a-z]+:|#)/i.test(href)) return false;
  const file = relative(root, join(dirname(path), href.split("#")[0]));
  return existsSync(join(root, file)) && !TOP.includes(file) && !/^docs\/.*\.md$/.test(file);
}

export default defineConfig({
  title: "ELIAS",
  description: "Write JavaScript. Deploy once. Run forever.",
  srcDir: "../..",
  srcExclude: ["target/**", "{host,guest-js,toolchain,tests,examples,wit}/**", "**/node_modules/**"],
  outDir: "../../target/docs",
  cacheDir: "../../target/docs-cache/vitepress",
  rewrites: { "README.md": "index.md", ":folder(.*)/README.md": ":folder/index.md" },
  cleanUrls: true,
  markdown: { config: siteLinks, anchor: { slugify: slug }, languageAlias: { wit: "rust" } },
  // The pages are outside of the folder that has Vue.
  vite: {
    resolve: {
      alias: [
        { find: /^vue$/, replacement: join(vue, "dist/vue.runtime.esm-bundler.js") },
        { find: /^vue\/server-renderer$/, replacement: join(vue, "server-renderer/index.mjs") },
      ],
    },
  },
  themeConfig: {
    search: { provider: "local" },
    outline: [2, 3],
    nav: [
      { text: "Documentation", link: "/docs/" },
      { text: "Changelog", link: "/CHANGELOG" },
    ],
    sidebar: [
      group("Tutorials", "tutorials"),
      group("How-to", "how-to"),
      group("Reference", "reference"),
      group("Explanation", "explanation"),
    ],
  },
});
