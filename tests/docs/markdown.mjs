// Reads Markdown for the tests of the documentation: fenced blocks, links and the anchors of headings.

const FENCE = /^(\s*)(`{3,})\s*(\S*)\s*(.*)$/;

/**
 * The lines of a page with the code blocks and HTML comments emptied, so that line numbers stay. Indented lines are
 * kept if `indented` is true: they are code blocks, or go on with an item of a list.
 */
export function prose(text, indented = false) {
  let fence = "";
  const lines = text.split("\n").map((line) => {
    const found = FENCE.exec(line);
    if (fence !== "") {
      if (found && found[2].length >= fence.length && found[3] === "") fence = "";
      return "";
    }
    if (found) fence = found[2];
    return found || (!indented && line.startsWith("    ")) ? "" : line;
  });
  return lines.join("\n").replace(/<!--[^]*?-->/g, (comment) => comment.replace(/[^\n]/g, ""));
}

/** `key=value key="some words" flag` as an object. */
function attributes(text) {
  const found = {};
  for (const [, key, quoted, plain] of text.matchAll(/([\w-]+)(?:=(?:"([^"]*)"|(\S+)))?/g)) {
    found[key] = quoted ?? plain ?? "";
  }
  return found;
}

/**
 * The code blocks of a page: `{ line, language, attributes, text, source }`. `source` is what a comment
 * `<!-- from: FILE#REGION -->` before the block names. Indented blocks have the language "indented".
 */
export function blocks(text) {
  const found = [];
  let open;
  let source;
  let blank = true;
  for (const [index, line] of text.split("\n").entries()) {
    const fence = FENCE.exec(line);
    if (open) {
      if (fence && fence[2].length >= open.fence.length && fence[3] === "") {
        found.push({ ...open, text: open.lines.map((each) => `${each}\n`).join("") });
        open = undefined;
      } else {
        open.lines.push(line.startsWith(open.indent) ? line.slice(open.indent.length) : line);
      }
      blank = true;
      continue;
    }
    const comment = /^<!-- from: ([^\s#]+)(?:#(\S+))? -->$/.exec(line.trim());
    if (comment) {
      source = { file: comment[1], region: comment[2] };
    } else if (fence) {
      const [, indent, ticks, language, rest] = fence;
      open = { line: index + 1, language, attributes: attributes(rest), source, indent, fence: ticks, lines: [] };
      source = undefined;
    } else if (blank && /^ {4}\S/.test(line)) {
      found.push({ line: index + 1, language: "indented", attributes: {}, text: line });
    }
    blank = line.trim() === "" || (line.startsWith("    ") && found.at(-1)?.language === "indented");
  }
  if (open) throw new Error(`line ${open.line}: the block does not end`);
  return found;
}

/** The anchor that GitHub gives a heading. */
export function slug(heading) {
  const plain = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").replace(/[`*]/g, "");
  return plain.trim().toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, "").replace(/\s/g, "-");
}

/** All anchors of a page, those of `<a id="...">` too. */
export function anchors(text) {
  const found = new Set();
  const times = new Map();
  for (const line of prose(text).split("\n")) {
    const heading = /^#{1,6} (.*)$/.exec(line);
    if (heading) {
      const base = slug(heading[1]);
      const before = times.get(base) ?? 0;
      times.set(base, before + 1);
      found.add(before === 0 ? base : `${base}-${before}`);
    }
    for (const [, id] of line.matchAll(/<a id="([^"]+)">/g)) found.add(id);
  }
  return found;
}

/** The targets of the links and images of a page: `{ line, target }`. */
export function links(text) {
  const found = [];
  for (const [index, line] of prose(text).split("\n").entries()) {
    const plain = line.replace(/(`+).*?\1/g, "``");
    const targets = plain.matchAll(/\]\(<?([^)\s>]+)>?(?:\s+"[^"]*")?\)/g);
    for (const [, target] of targets) found.push({ line: index + 1, target });
  }
  return found;
}

/** The code spans of a page, those in items of lists too: `{ line, code }`. */
export function codeSpans(text) {
  const found = [];
  for (const [index, line] of prose(text, true).split("\n").entries()) {
    for (const [, , code] of line.matchAll(/(`+)(.+?)\1/g)) found.push({ line: index + 1, code: code.trim() });
  }
  return found;
}
