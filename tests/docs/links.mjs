// Every relative link of every page of this repository leads to a file that is there, and to a heading of it:
// `node tests/docs/links.mjs`. Pages of docs/ must be reachable from docs/README.md. Other servers are not asked.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, join, normalize, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { anchors, links } from "./markdown.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");

/** The pages: tracked, or new and not ignored. */
function pages() {
  const listed = ["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", "*.md"];
  const files = execFileSync("git", listed, { cwd: root, encoding: "utf8" }).split("\0");
  return files.filter((file) => file !== "" && existsSync(join(root, file)));
}

/** What is wrong with the links of all pages, a line each. */
export function brokenLinks() {
  const texts = new Map(pages().map((file) => [file, readFileSync(join(root, file), "utf8")]));
  const wrong = [];
  const from = new Map();
  for (const [file, text] of texts) {
    from.set(file, new Set());
    for (const { line, target } of links(text)) {
      if (/^[a-z]+:/i.test(target)) continue;
      const [path, anchor] = target.split("#");
      const at = path === "" ? file : normalize(join(dirname(file), decodeURI(path))).replace(/\/$/, "");
      const full = join(root, at);
      if (relative(root, full).startsWith("..") || !existsSync(full)) {
        wrong.push(`${file}:${line}: ${target}: there is no such file`);
        continue;
      }
      const page = statSync(full).isDirectory() ? join(at, "README.md") : at;
      from.get(file).add(page);
      if (anchor !== undefined && !(texts.has(page) && anchors(texts.get(page)).has(anchor))) {
        wrong.push(`${file}:${line}: ${target}: there is no such heading`);
      }
    }
  }
  const reached = new Set(["docs/README.md"]);
  for (const page of reached) for (const next of from.get(page) ?? []) reached.add(next);
  for (const file of texts.keys()) {
    if (file.startsWith("docs/") && !reached.has(file)) wrong.push(`${file}: docs/README.md does not lead there`);
  }
  return wrong;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const wrong = brokenLinks();
  for (const line of wrong) console.error(line);
  process.exitCode = wrong.length === 0 ? 0 : 1;
}
