// Every relative link of every page of this repository leads to a file that is there, and to a heading of it:
// `node tests/docs/links.mjs`. Pages of docs/ must be reachable from docs/README.md. Other servers are not asked.
//
// Paths in backquotes exist too, in README.md, ARCHITECTURE.md, CONTRIBUTING.md, SECURITY.md and docs/. A code span
// names a path of the repository if its first word begins with one of FOLDERS and a slash. A segment that is a glob
// (`*`, `{a,b}`) or a placeholder in capitals (`NAME`, `NAME.rs`) stands for others: what is before it must exist.
// Paths that git ignores are made by the build, and are not looked for. The tests that the page of faults names exist.
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, join, normalize, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { anchors, codeSpans, links } from "./markdown.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");

/** The pages: tracked, or new and not ignored. */
function pages() {
  const listed = ["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", "*.md"];
  const files = execFileSync("git", listed, { cwd: root, encoding: "utf8" }).split("\0");
  return files.filter((file) => file !== "" && existsSync(join(root, file)));
}

/** The folders of the repository, by which a path of it is told from other code. */
const FOLDERS = ["docs", "examples", "guest-js", "host", "tests", "toolchain", "wit"];
/** The pages whose paths are looked for. The changelog may name what is gone. */
const NAMES_PATHS = /^(?:README|ARCHITECTURE|CONTRIBUTING|SECURITY)\.md$|^docs\//;

/** The path of the repository that a code span names, up to its first glob or placeholder; undefined if it is none. */
function repositoryPath(code) {
  const [word] = code.split(/\s/);
  if (!FOLDERS.some((folder) => word.startsWith(`${folder}/`))) return undefined;
  const segments = word.replace(/#.*$|:\d+$/, "").split("/");
  const variable = segments.findIndex((segment) => /[*{]/.test(segment) || /^[A-Z]+(?:\.[a-z.]+)?$/.test(segment));
  const isName = (segment) => ["README.md", "LICENSE"].includes(segment);
  const end = variable === -1 || isName(segments[variable]) ? segments.length : variable;
  return segments.slice(0, end).join("/");
}

/** Whether git ignores the path: the build makes it. */
function isIgnored(path) {
  // With a slash too: a rule of .gitignore may be for folders only, and one that is missing has no kind.
  return spawnSync("git", ["check-ignore", path, `${path}/`], { cwd: root }).status === 0;
}

/** The paths in code spans of all pages that do not exist, a line each. */
function missingPaths(texts) {
  const wrong = [];
  for (const [file, text] of texts) {
    if (!NAMES_PATHS.test(file)) continue;
    for (const { line, code } of codeSpans(text)) {
      const path = repositoryPath(code);
      if (path === undefined || existsSync(join(root, path)) || isIgnored(path)) continue;
      wrong.push(`${file}:${line}: \`${code}\`: this path does not exist`);
    }
  }
  return wrong;
}

/** The page that names tests. */
const NAMES_TESTS = "docs/explanation/faults.md";

/** The tests in Rust that the page of faults names and that are not there, a line each. Three words make a name. */
function missingTests(texts) {
  const spans = codeSpans(texts.get(NAMES_TESTS) ?? "").filter(({ code }) => /^[a-z\d]+(?:_[a-z\d]+){2,}$/.test(code));
  const grep = ["grep", "--untracked", "-hoE", "fn [a-z0-9_]+", "--", "*.rs"];
  const functions = execFileSync("git", grep, { cwd: root, encoding: "utf8", maxBuffer: 1 << 26 });
  const names = new Set(functions.split("\n").map((line) => line.slice("fn ".length)));
  const missing = spans.filter(({ code }) => !names.has(code));
  return missing.map(({ line, code }) => `${NAMES_TESTS}:${line}: ${code}: this test does not exist`);
}

/** What is wrong with the links and paths of all pages, a line each. */
export function brokenLinks() {
  const texts = new Map(pages().map((file) => [file, readFileSync(join(root, file), "utf8")]));
  const wrong = [...missingPaths(texts), ...missingTests(texts)];
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
