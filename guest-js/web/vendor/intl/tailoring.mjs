// How the order of a locale differs from CLDR's root collation, as the Intl of the Node that runs this has it: CLDR's own tables are in
// no package.
import { inLocale, likely } from "./cldr.mjs";

const root = { base: new Intl.Collator("en", { sensitivity: "base" }), variant: new Intl.Collator("en") };

const LATIN = [..."abcdefghijklmnopqrstuvwxyz"];

/** The elements of a set in CLDR's notation: `[a b {ch}]`, ranges included. */
function setOf(text) {
  const found = [];
  const list = text.replace(/^\[|\]$/g, "").match(/\{[^}]*\}|\\u[0-9A-F]{4}|\\?./gu) ?? [];
  list.forEach((item, at) => {
    if (item === " ") return;
    if (item === "-" && at > 0 && at < list.length - 1) return;
    const text = item.startsWith("{") ? item.slice(1, -1) : item.startsWith("\\u") ? String.fromCharCode(parseInt(item.slice(2), 16)) : item.replace("\\", "");
    if (list[at - 1] === "-" && at > 1 && found.length > 0) {
      for (let code = found.at(-1).codePointAt(0) + 1; code < text.codePointAt(0); code++) found.push(String.fromCodePoint(code));
    }
    found.push(text);
  });
  return found;
}

/** The positions of a longest increasing run of numbers. */
function longestRun(numbers) {
  const best = numbers.map(() => 1);
  const from = numbers.map(() => -1);
  numbers.forEach((number, at) => {
    for (let before = 0; before < at; before++) if (numbers[before] < number && best[before] + 1 > best[at]) (best[at] = best[before] + 1), (from[at] = before);
  });
  const kept = new Set();
  for (let at = best.indexOf(Math.max(...best)); at !== -1; at = from[at]) kept.add(at);
  return kept;
}

/** The letters of a locale that stand elsewhere: `[anchor, steps after it, [[text, secondary, tertiary], ...]]`. */
function lettersOf(tag, script) {
  const [base, accent, variant] = ["base", "accent", "variant"].map((sensitivity) => new Intl.Collator(tag, { sensitivity, caseFirst: "false" }));
  const { exemplarCharacters, index } = inLocale(tag, "cldr-misc-full", "characters").characters;
  const small = new Set([...(script === "Latn" ? LATIN : []), ...setOf(exemplarCharacters), ...setOf(index ?? "[]")].map((text) => text.toLocaleLowerCase(tag).normalize("NFC")));
  const forms = (text) => [text, text.toLocaleUpperCase(tag), text[0].toLocaleUpperCase(tag) + text.slice(1)];
  const elements = [...new Set([...small].flatMap(forms))].map((text) => text.normalize("NFC")).filter((text) => {
    if (!/^\p{L}[\p{L}\p{M}]*$/u.test(text)) return false;
    const chars = [...text.normalize("NFD")];
    if (chars.length === 1) return true;
    if ([...text].length === 1) return base.compare(text, chars[0]) !== 0;
    // Letters that are one: they sort after the first of them with anything else.
    const first = [...text][0];
    const last = script === "Latn" ? "z" : "\u044f";
    return base.compare(text, first + last) > 0 && base.compare(first + last, text) < 0 && root.base.compare(text, first + last) < 0;
  });
  elements.sort((a, b) => variant.compare(a, b) || (a < b ? -1 : 1));
  const groups = [];
  for (const text of elements) {
    if (groups.length > 0 && base.compare(groups.at(-1)[0], text) === 0) groups.at(-1).push(text);
    else groups.push([text]);
  }
  // A group is anchored by a letter that has a place in the root's order, and keeps it if all other places agree.
  const isOwn = (text) => [...text].length === 1 && (text.normalize("NFD") === text || root.base.compare(text, text.normalize("NFD")[0]) !== 0);
  const fits = (group, text) => isOwn(text) && group.every((other) => root.base.compare(other, text) === 0 || !isOwn(other));
  const anchors = groups.map((group) => group.find((text) => fits(group, text)) ?? null);
  const ordered = [...new Set(anchors.filter((anchor) => anchor !== null))].sort((a, b) => root.base.compare(a, b));
  const rank = (anchor) => ordered.findIndex((other) => root.base.compare(other, anchor) === 0);
  const withAnchor = groups.map((_, at) => at).filter((at) => anchors[at] !== null);
  const run = longestRun(withAnchor.map((at) => rank(anchors[at])));
  // Of Arabic letters the tables of web components have no order of their own: all follow the first.
  const kept = new Set(script === "Arab" ? withAnchor.slice(0, 1) : withAnchor.filter((_, at) => run.has(at)));
  const rows = [];
  let anchor = null;
  let steps = 0;
  groups.forEach((group, at) => {
    if (kept.has(at)) {
      anchor = anchors[at];
      steps = 0;
    } else {
      steps++;
    }
    let secondary = 0;
    let tertiary = 0;
    const list = [];
    group.forEach((text, place) => {
      if (place > 0 && accent.compare(group[place - 1], text) !== 0) secondary++, (tertiary = 0);
      else if (place > 0 && variant.compare(group[place - 1], text) !== 0) tertiary++;
      const isDefault = steps === 0 && isOwn(text) && root.base.compare(text, anchor) === 0 && root.variant.compare(text, anchor) === variant.compare(text, anchor);
      if (!isDefault) list.push([text.normalize("NFD"), secondary, tertiary]);
    });
    if (list.length > 0 && anchor !== null) rows.push([anchor, steps, list]);
  });
  return rows;
}

/** The Han characters of the first block in a locale's order; empty where that is the order of their code points. */
function hanOf(tag) {
  const { compare } = new Intl.Collator(tag);
  if (!["ja", "zh", "yue"].includes(tag.split("-")[0])) return "";
  return Array.from({ length: 0x9fff - 0x4e00 + 1 }, (_, at) => String.fromCharCode(0x4e00 + at)).sort((a, b) => compare(a, b) || (a < b ? -1 : 1)).join("");
}

const made = new Map();

/** Scripts whose letters a locale has before the Latin ones, by what regular expressions call them. */
const SCRIPTS = { Hans: ["Han"], Hant: ["Han", "Bopomofo"], Kore: ["Hangul", "Han"], Jpan: [] };

export function tailoring(tag) {
  const { language, script } = likely(tag);
  const collator = new Intl.Collator(tag);
  const backwards = collator.compare("c\u00f4te", "cot\u00e9") < 0;
  const key = `${language}-${script} ${backwards}`;
  if (made.has(key)) return made.get(key);
  const { exemplarCharacters } = inLocale(tag, "cldr-misc-full", "characters").characters;
  const native = setOf(exemplarCharacters).find((text) => /\p{L}/u.test(text));
  const first = script !== "Latn" && native !== undefined && collator.compare(native, "a") < 0 ? (SCRIPTS[script] ?? [script]) : [];
  const letters = ["Latn", "Cyrl", "Grek", "Arab", "Hebr"].includes(script) ? lettersOf(tag, script) : [];
  const found = { first, letters, han: hanOf(tag), backwards, caseFirst: collator.resolvedOptions().caseFirst };
  made.set(key, found);
  return found;
}
