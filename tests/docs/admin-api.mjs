// The table of docs/reference/admin-api.md has every path of the OpenAPI document, and no other:
// `node tests/docs/admin-api.mjs OPENAPI_JSON`.
//
// The table abbreviates. A segment in capitals is a parameter, `[?...]` a query. The first path of a row is whole, or
// begins with `…/` and is the end of one path. The others of a row continue the beginning of the first: after
// `…/schedules/NAME`, the text `NAME/pause` is `…/schedules/NAME/pause`.
import { readFileSync } from "node:fs";

const PAGE = "docs/reference/admin-api.md";
const HEADING = "| path below `/v1` |";
const PARAMETER = "{}";

const segmentsOf = (path) => path.split("/").map((segment) => (segment.startsWith("{") ? PARAMETER : segment));

/** The segments of a path as the table writes it. */
function read(text) {
  const segments = text.replace(/\[.*\]$/, "").replace(/^…\//, "").split("/");
  return segments.map((segment) => (segment === "…" || /^[A-Z][A-Z0-9]*$/.test(segment) ? PARAMETER : segment));
}

const isPrefix = (prefix, of) => prefix.every((segment, at) => segment === of[at]);
const endsWith = (path, end) => path.length >= end.length && isPrefix(end, path.slice(-end.length));

/** The one of `paths` that a row's text names, where `first` is the row's first path; undefined if it is none. */
function resolve(text, first, paths) {
  const end = read(text);
  const ending = paths.filter((path) => endsWith(path, end));
  if (first === undefined) {
    const found = text.startsWith("…/") ? ending : ending.filter((path) => path.length === end.length);
    return found.length === 1 ? found[0] : undefined;
  }
  const continuing = ending.filter((path) => isPrefix(path.slice(0, path.length - end.length), first));
  return continuing.sort((one, other) => other.length - one.length)[0];
}

/** What differs between the table of a page and the paths of an OpenAPI document, a line each. */
function differences(page, document) {
  const paths = Object.keys(document.paths).map((path) => segmentsOf(path.replace(/^\/v1\//, "")));
  const lines = page.split("\n");
  const start = lines.findIndex((line) => line.startsWith(HEADING));
  if (start === -1) return [`${PAGE}: there is no table that begins with "${HEADING}"`];
  const wrong = [];
  const named = new Set();
  for (let at = start + 2; lines[at]?.startsWith("|"); at += 1) {
    let first;
    for (const [, text] of lines[at].split("|")[1].matchAll(/`([^`]+)`/g)) {
      const path = resolve(text, first, paths);
      if (path === undefined) wrong.push(`${PAGE}:${at + 1}: \`${text}\`: the OpenAPI document has no such path`);
      else named.add(path);
      first ??= path;
    }
  }
  const missing = paths.filter((path) => !named.has(path));
  return [...wrong, ...missing.map((path) => `${PAGE}: the table does not have /v1/${path.join("/")}`)];
}

const [file] = process.argv.slice(2);
const page = readFileSync(new URL(`../../${PAGE}`, import.meta.url), "utf8");
const wrong = differences(page, JSON.parse(readFileSync(file, "utf8")));
for (const line of wrong) console.error(line);
process.exitCode = wrong.length === 0 ? 0 : 1;
