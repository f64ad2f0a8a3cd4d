// Finds the pattern for the requested date components (UTS #35 part 4, "Matching Skeletons"), in the way of ICU's
// DateTimePatternGenerator, whose results Node shows.
import english from "../../vendor/intl/dates.js";
import { hooks } from "../support.js";

// The fields, in the order in which patterns are put together.
const ERA = 0;
const YEAR = 1;
const MONTH = 2;
const WEEKDAY = 3;
const DAY = 4;
const PERIOD = 5;
const HOUR = 6;
const MINUTE = 7;
const SECOND = 8;
const FRACTION = 9;
const ZONE = 10;
const FIELDS = 11;

const DATE_MASK = (1 << PERIOD) - 1;
const TIME_MASK = (1 << FIELDS) - 1 - DATE_MASK;

// How far apart two forms of a field are: numbers are near numbers, and words near words.
const NARROW = -0x101;
const SHORT = -0x103;
const LONG = -0x104;
const NUMERIC = 0x100;
const DELTA = 0x10;
const EXTRA = 0x10000;
const MISSING = 0x1000;

/** For each letter, its field and its forms: at least this many letters, form. Numbers count their letters too. */
const LETTERS = {
  G: [ERA, [5, NARROW], [4, LONG], [1, SHORT]],
  y: [YEAR, [1, NUMERIC]],
  M: [MONTH, [5, NARROW], [4, LONG], [3, SHORT], [1, NUMERIC]],
  L: [MONTH, [5, NARROW - DELTA], [4, LONG - DELTA], [3, SHORT - DELTA], [1, NUMERIC + DELTA]],
  E: [WEEKDAY, [5, NARROW], [4, LONG], [1, SHORT]],
  c: [WEEKDAY, [5, NARROW - 2 * DELTA], [4, LONG - 2 * DELTA], [3, SHORT - 2 * DELTA], [1, NUMERIC + 2 * DELTA]],
  d: [DAY, [1, NUMERIC]],
  a: [PERIOD, [5, NARROW], [4, LONG], [1, SHORT]],
  B: [PERIOD, [5, NARROW - 3 * DELTA], [4, LONG - 3 * DELTA], [1, SHORT - 3 * DELTA]],
  H: [HOUR, [1, NUMERIC + 10 * DELTA]],
  k: [HOUR, [1, NUMERIC + 11 * DELTA]],
  h: [HOUR, [1, NUMERIC]],
  K: [HOUR, [1, NUMERIC + DELTA]],
  m: [MINUTE, [1, NUMERIC]],
  s: [SECOND, [1, NUMERIC]],
  S: [FRACTION, [1, NUMERIC]],
  v: [ZONE, [4, LONG - 2 * DELTA], [1, SHORT - 2 * DELTA]],
  z: [ZONE, [4, LONG], [1, SHORT]],
  O: [ZONE, [4, LONG - DELTA], [1, SHORT - DELTA]],
};

const isLetter = (char) => (char >= "a" && char <= "z") || (char >= "A" && char <= "Z");

/** Splits a pattern into fields `["yy", true]` and literals `[" 'at' ", false]`, the latter without their quotes. */
export function items(pattern) {
  const found = [];
  const literal = (text) => {
    if (found.length > 0 && !found.at(-1)[1]) found.at(-1)[0] += text;
    else found.push([text, false]);
  };
  for (let at = 0; at < pattern.length; ) {
    const char = pattern[at];
    let end = at + 1;
    if (char === "'") {
      let text = "";
      for (; end < pattern.length; end++) {
        if (pattern[end] !== "'") text += pattern[end];
        else if (pattern[end + 1] === "'") text += pattern[end++];
        else break;
      }
      literal(text);
      at = end + 1;
    } else if (isLetter(char)) {
      while (pattern[end] === char) end++;
      found.push([pattern.slice(at, end), true]);
      at = end;
    } else {
      while (end < pattern.length && pattern[end] !== "'" && !isLetter(pattern[end])) end++;
      literal(pattern.slice(at, end));
      at = end;
    }
  }
  return found;
}

const quote = (text) => (/[a-zA-Z']/.test(text) ? `'${text.replaceAll("'", "''")}'` : text);

/** The fields of a skeleton: for each field its letters, and their form as a number (0 where it is not asked for). */
function read(skeleton) {
  const letters = new Array(FIELDS).fill("");
  const forms = new Array(FIELDS).fill(0);
  for (const [text, isField] of items(skeleton)) {
    if (!isField) continue;
    const [field, ...rows] = LETTERS[text[0]];
    const [, form] = rows.find(([least]) => text.length >= least);
    letters[field] = text;
    forms[field] = form + (form > 0 ? text.length : 0);
  }
  // A twelve-hour clock has a half of the day.
  if (/^[hK]/.test(letters[HOUR]) && forms[PERIOD] === 0) {
    letters[PERIOD] = "a";
    forms[PERIOD] = SHORT;
  }
  return { letters, forms };
}

/** For each locale's data, its patterns, and a cache of found ones: as many as a program usually has formats. */
const tables = new Map();
const KNOWN_MAX = 100;

function patternsOf(data) {
  let found = tables.get(data);
  if (found === undefined) tables.set(data, (found = { list: makePatterns(data), known: new Map() }));
  return found;
}

// They are made while a component is built.
patternsOf(english);
hooks.prepareDates = patternsOf;

/** The patterns, in the order in which ICU looks at them; those with a skeleton of their own say what they are for. */
function makePatterns(data) {
  const entries = new Map();
  const bases = new Set();
  const add = (skeleton, pattern, own) => {
    const base = baseOf(skeleton);
    // What only shows how a pattern looks gives way to what is there.
    if (!own && bases.has(base)) return;
    const wanted = read(skeleton);
    const key = `${base} ${wanted.forms.join()}`;
    if (entries.get(key)?.own) return;
    bases.add(base);
    entries.set(key, { pattern, own, base, ...wanted });
  };
  for (const letter of ["G", "y", "M", "E", "d", "a", "H", "m", "s", "S", "v"]) add(letter, letter, false);
  for (const pattern of [...Object.values(data.dateFormats), ...Object.values(data.timeFormats)]) {
    add(items(pattern).map(([text, isField]) => (isField ? text : "")).join(""), pattern, false);
  }
  for (const line of data.available.split("\n").slice(1)) {
    const [skeleton, pattern] = line.split("\t");
    add(skeleton, pattern, true);
  }
  return [...entries.values()].sort((a, b) => a.base.charCodeAt(0) - b.base.charCodeAt(0));
}

/** A skeleton with each field in its shortest form of its kind. */
function baseOf(skeleton) {
  const { letters } = read(skeleton);
  return letters.map((text) => {
    if (text === "") return "";
    const [, ...rows] = LETTERS[text[0]];
    return text[0].repeat(rows.find(([least]) => text.length >= least)[0]);
  }).join("");
}

function nearest(data, wanted, mask) {
  let best;
  for (const entry of patternsOf(data).list) {
    let distance = 0;
    let missing = 0;
    let extra = 0;
    for (let field = 0; field < FIELDS && distance <= (best?.distance ?? Infinity); field++) {
      const asked = mask & (1 << field) ? wanted.forms[field] : 0;
      const found = entry.forms[field];
      if (asked === found) continue;
      if (asked === 0) {
        distance += EXTRA;
        extra |= 1 << field;
      } else if (found === 0) {
        distance += MISSING;
        missing |= 1 << field;
      } else {
        distance += Math.abs(asked - found);
      }
    }
    // Of two that are equally near, the one with the bigger fields wins.
    if (best === undefined || distance < best.distance || (distance === best.distance && missing > best.missing)) best = { entry, distance, missing, extra };
    if (distance === 0) break;
  }
  return best;
}

/** Gives the fields of a pattern the lengths that are asked for. */
function adjust(pattern, entry, wanted, decimal) {
  return items(pattern).map(([text, isField]) => {
    if (!isField) return quote(text);
    const [field, ...rows] = LETTERS[text[0]];
    if (decimal !== undefined && field === SECOND) return `${text}${quote(decimal)}${wanted.letters[FRACTION]}`;
    const asked = wanted.letters[field];
    if (asked === "") return text;
    let length = asked[0] === "E" ? Math.max(asked.length, 3) : asked.length;
    if (field === MINUTE || field === SECOND) {
      length = text.length;
    } else if (entry?.own) {
      const isNumber = rows.find(([least]) => text.length >= least)[1] > 0;
      if (entry.letters[field].length === asked.length || isNumber !== wanted.forms[field] > 0) length = text.length;
    }
    const keepsLetter = field === HOUR || field === MONTH || field === WEEKDAY || field === YEAR;
    return (keepsLetter ? text[0] : asked[0]).repeat(length);
  }).join("");
}

const APPEND = ["Era", "Year", "Month", "Day-Of-Week", "Day", "*", "Hour", "Minute", "Second", "*", "Timezone"];
const NAMES = ["era", "year", "month", "weekday", "day", "dayperiod", "hour", "minute", "second", "*", "zone"];
const topField = (mask) => 31 - Math.clz32(mask);

/** The best pattern for the fields in `mask`; what no pattern has is appended. */
function withAppended(data, wanted, mask) {
  if (mask === 0) return "";
  let found = nearest(data, wanted, mask);
  const { entry } = found;
  let pattern = adjust(entry.pattern, entry, wanted);
  let { missing } = found;
  while (missing !== 0) {
    if (missing & (1 << FRACTION) && !(missing & (1 << SECOND)) && mask & (1 << SECOND)) {
      pattern = adjust(pattern, entry, wanted, data.decimal);
      missing &= ~(1 << FRACTION);
      continue;
    }
    found = nearest(data, wanted, missing);
    const more = adjust(found.entry.pattern, found.entry, wanted);
    const added = topField(missing & ~found.missing);
    if (found.missing === missing) break;
    missing = found.missing;
    pattern = fill(data.append[APPEND[added]] ?? "{0} ├{2}: {1}┤", pattern, more, `'${data.fieldNames[NAMES[added]] ?? ""}'`);
  }
  return pattern;
}

export const fill = (frame, ...values) => frame.replace(/\{(\d)\}/g, (_, at) => values[at]);

/** The pattern that matches a skeleton best. */
export function bestPattern(data, skeleton) {
  const { known } = patternsOf(data);
  let pattern = known.get(skeleton);
  if (pattern === undefined) {
    pattern = findPattern(data, skeleton);
    if (known.size < KNOWN_MAX) known.set(skeleton, pattern);
  }
  return pattern;
}

function findPattern(data, skeleton) {
  const wanted = read(skeleton);
  const found = nearest(data, wanted, DATE_MASK | TIME_MASK);
  if (found.missing === 0 && found.extra === 0) return adjust(found.entry.pattern, found.entry, wanted);
  const asked = wanted.forms.reduce((mask, form, field) => (form === 0 ? mask : mask | (1 << field)), 0);
  const date = withAppended(data, wanted, asked & DATE_MASK);
  const time = withAppended(data, wanted, asked & TIME_MASK);
  if (date === "" || time === "") return date + time;
  const month = wanted.letters[MONTH].length;
  const style = month === 4 ? (wanted.letters[WEEKDAY] === "" ? "long" : "full") : month === 3 ? "medium" : "short";
  return fill(data.dateTimeFormats[style], time, date);
}

/** The pattern of a dateStyle and a timeStyle, either of which may be missing. */
export function stylePattern(data, dateStyle, timeStyle) {
  const date = dateStyle === undefined ? "" : data.dateFormats[dateStyle];
  const time = timeStyle === undefined ? "" : data.timeFormats[timeStyle];
  if (date === "" || time === "") return date + time;
  return fill(data.dateTimeFormats[dateStyle], time, date);
}

/** A pattern's fields: the skeleton that asks for them. */
export function skeletonOf(pattern) {
  const letters = new Array(FIELDS).fill("");
  for (const [text, isField] of items(pattern)) {
    if (!isField) continue;
    const letter = { L: "M", c: "E" }[text[0]] ?? text[0];
    letters[LETTERS[letter][0]] = letter.repeat(text.length);
  }
  return letters.join("");
}
