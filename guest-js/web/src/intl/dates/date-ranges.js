// Ranges of dates, in the way of ICU's DateIntervalFormat (UTS #35 part 4, "Interval Formats").
import { lookUp } from "../support.js";
import { fieldText, toFields } from "./date-fields.js";
import { bestPattern, fill, items, skeletonOf } from "./date-patterns.js";

/** The fields in which two instants can differ, biggest first: letter in the table of intervals, and what it is of an instant. */
const DIFFERENCES = [
  ["G", ({ year }) => year > 0],
  ["y", ({ year }) => year],
  ["M", ({ month }) => month],
  ["d", ({ day }) => day],
  ["a", ({ hour }) => hour < 12],
  ["h", ({ hour }) => hour],
  ["m", ({ minute }) => minute],
  ["s", ({ second }) => second],
  ["S", ({ milliseconds }) => milliseconds],
];
/** For each difference, the letters of a pattern that show it. */
const SHOWING = { G: "Gy", y: "y", M: "ML", d: "dEc", a: "aBhHkK", h: "hHkK", m: "m", s: "s", S: "S" };

/** FormatDateTimeRange, §11.5.9: parts with their source. */
export function rangeParts(state, start, end, partition) {
  const [first, last] = [toFields(state.zone, start), toFields(state.zone, end)];
  const at = DIFFERENCES.findIndex(([, of]) => of(first) !== of(last));
  const letters = state.items.map(([text, isField]) => (isField ? text[0] : "")).join("");
  // What is smaller than everything that is shown makes no difference.
  const matters = at !== -1 && DIFFERENCES.slice(at).some(([letter]) => [...SHOWING[letter]].some((shown) => letters.includes(shown)));
  if (!matters) return withSource(partition(state, start), "shared");
  const interval = intervalFor(state, DIFFERENCES[at][0]);
  if (interval.single !== undefined) return split(state, interval.single, first, last);
  const both = interval.both === undefined ? state : { ...state, items: items(interval.both) };
  const [, middle] = state.data.intervalFallback.split(/\{[01]\}/);
  return [...withSource(partition(both, start), "startRange"), { type: "literal", value: middle, source: "shared" }, ...withSource(partition(both, end), "endRange")];
}

const withSource = (parts, source) => parts.map(([type, value]) => ({ type, value, source }));

const TWENTY_FOUR = { H: "H", k: "H", h: "h", K: "h" };

/**
 * How two instants are written that first differ in `letter`: by one pattern for both (`single`), or each by a pattern (`both`, or
 * the usual one).
 */
function intervalFor(state, letter) {
  const skeleton = skeletonOf(state.items.map(([text, isField]) => (isField ? text : "")).join(""));
  const date = skeleton.replace(/[^GyMEd]/g, "");
  const time = skeleton.replace(/[GyMEda]/g, "");
  if ("GyMd".includes(letter)) {
    if (time === "") return dateInterval(state, date, letter);
    const wanted = date === "" ? "yMd" : letter === "d" ? "d" : letter === "M" ? "Md" : "yMd";
    const missing = [...wanted].filter((field) => !date.includes(field)).join("");
    const era = letter === "G" && !date.includes("G") ? "G" : "";
    if (missing + era === "") return {};
    return { both: withHours(state, bestPattern(state.data, era + inOrder(missing + date) + time)) };
  }
  const field = letter === "a" && /[Hk]/.test(time) ? "h" : letter;
  const single = intervalPattern(state.data, time, field);
  if (single === undefined) return {};
  const both = withHours(state, single);
  return { single: date === "" ? both : fill(state.data.dateTimeFormatsPlain.medium, both, bestDate(state)) };
}

/** The state's pattern without its time. */
function bestDate(state) {
  return bestPattern(state.data, skeletonOf(state.items.map(([text, isField]) => (isField && /[GyMLdEc]/.test(text[0]) ? text : "")).join("")));
}

const inOrder = (fields) => ["G", "y", "M", "E", "d"].map((letter) => fields.replace(new RegExp(`[^${letter}]`, "g"), "")).join("");

function dateInterval(state, date, letter) {
  // Months and days that stand alone have no interval.
  if (state.items.some(([text, isField]) => isField && /[Lc]/.test(text[0]))) return {};
  const candidates = [date];
  if (!date.includes(letter)) {
    const numeric = /^[Md]*$/.test(date) && !/MMM/.test(date);
    if (letter === "M" && date.includes("d")) candidates.push(`M${date}`);
    if (letter === "y" && date.includes("d")) candidates.push(`y${date}`, `yM${date}`);
    if (letter === "G" && (date.includes("y") || numeric)) candidates.push(`G${date}`, `Gy${date}`, `GyM${date}`);
  }
  for (const candidate of candidates) {
    const single = intervalPattern(state.data, inOrder(candidate), letter);
    if (single !== undefined) return { single };
  }
  return {};
}

const withHours = ({ items: own }, pattern) => {
  const hour = own.find(([text, isField]) => isField && /[hHkK]/.test(text[0]))?.[0][0];
  if (hour === undefined) return pattern;
  return items(pattern).map(([text, isField]) => (isField ? text.replace(/[hHkK]/g, hour) : /[a-zA-Z']/.test(text) ? `'${text}'` : text)).join("");
};

/** The interval pattern of a skeleton, with its fields as long as they are asked for; undefined where there is none. */
function intervalPattern(data, skeleton, letter) {
  const runs = skeleton.match(/(.)\1*/g) ?? [];
  const hour = runs.find((run) => /[hHkK]/.test(run));
  const field = letter === "h" && hour !== undefined ? TWENTY_FOUR[hour[0]] : letter;
  // The table has months as numbers, abbreviations and names; everything else in one form.
  const shortened = (month) => runs.map((run) => (run[0] === "M" ? month : run[0] === "z" || run[0] === "O" ? "v" : (TWENTY_FOUR[run[0]] ?? run[0]))).join("");
  const month = runs.find((run) => run[0] === "M")?.length ?? 0;
  for (const form of month > 3 ? ["MMMM", "MMM"] : [month === 3 ? "MMM" : "M"]) {
    const found = lookUp(data.intervals, `${shortened(form)}/${field}`)?.[0];
    if (found !== undefined) return lengthen(found, runs);
  }
  return undefined;
}

function lengthen(pattern, runs) {
  return items(pattern).map(([text, isField]) => {
    if (!isField) return /[a-zA-Z']/.test(text) ? `'${text}'` : text;
    if (text[0] === "v") return runs.find((run) => /[vzO]/.test(run)) ?? text;
    const asked = runs.find((run) => run[0] === text[0]);
    // A month that is a number there stays one.
    const isSameKind = text[0] !== "M" || text.length > 2 === asked?.length > 2;
    return asked !== undefined && isSameKind && asked.length > text.length ? asked : text;
  }).join("");
}

/** Writes a pattern that has some fields twice, first of the start and then of the end. */
function split(state, pattern, first, last) {
  const list = items(pattern);
  const letters = list.map(([text, isField]) => (isField ? text[0] : ""));
  const repeated = (letter, at) => letter !== "" && (letters.indexOf(letter) !== at || letters.indexOf(letter, at + 1) !== -1);
  const from = letters.findIndex(repeated);
  const second = letters.findIndex((letter, at) => letter !== "" && letters.indexOf(letter) < at);
  const to = letters.findLastIndex(repeated);
  const within = { ...state, items: list };
  return list.map(([text, isField], at) => {
    const source = at >= from && at < second - 1 ? "startRange" : at >= second && at <= to ? "endRange" : "shared";
    const [type, value] = isField ? fieldText(within, text, at >= second ? last : first) : ["literal", text];
    return { type, value, source };
  });
}
