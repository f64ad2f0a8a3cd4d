// Puts the parts of an object's text together: on one line where they fit, else one a line, and many short items of a
// list in columns, as Node's util.inspect does. https://nodejs.org/api/util.html#utilinspectobject-options

// biome-ignore lint/suspicious/noControlCharactersInRegex: the sequences that set a color
const COLORS = /\u001b\[\d+m/g;
/** Lists of more items than this stand in columns. */
const COLUMN_ITEMS_MIN = 7;
/** How much higher than wide a character is, so that columns make a text of pleasant proportions. */
const CHARACTER_HEIGHT = 2.5;
const COLUMNS_MAX = 15;

// Characters that a terminal shows two columns wide, and those that take no column.
const WIDE = new RegExp(
  "[\\u1100-\\u115f\\u2e80-\\u3247\\u3250-\\ua4c6\\ua960-\\ua97c\\uac00-\\ud7a3\\uf900-\\ufaff\\ufe30-\\ufe6b" +
    "\\uff01-\\uff60\\uffe0-\\uffe6\\u{1f300}-\\u{1f64f}\\u{1f900}-\\u{1f9ff}\\u{20000}-\\u{3fffd}]",
  "u",
);
const COMBINING = /[\u0300-\u036f\u200b-\u200f\u20d0-\u20ff\ufe00-\ufe0f\ufe20-\ufe2f]/;

/** The columns of a terminal that a text takes. */
function widthOf(text, context) {
  if (context.colors) text = text.replace(COLORS, "");
  let width = text.length;
  for (const character of text) {
    if (character <= "\u02ff") continue;
    width += (WIDE.test(character) ? 2 : COMBINING.test(character) ? 0 : 1) - character.length;
  }
  return width;
}

const lengthOf = (text, context) => (context.colors ? text.replace(COLORS, "").length : text.length);

/** The object with these `entries`: `base` stands before the braces; `items` is the list where they are its items. */
export function layOut(context, entries, base, [open, close], level, items) {
  const before = base === "" ? "" : `${base} `;
  const { compact, indentation } = context;
  if (typeof compact === "number" && compact >= 1) {
    const isLong = items !== undefined && entries.length >= COLUMN_ITEMS_MIN;
    const parts = isLong ? inColumns(context, entries, items) : entries;
    // Objects that have more than `compact` levels within them are not on one line, even if they would fit.
    if (context.deepest - level < compact && parts === entries) {
      const start = entries.length + indentation + open.length + base.length + 10;
      if (fits(context, entries, start, base)) {
        const joined = entries.join(", ");
        if (!joined.includes("\n")) return `${before}${open} ${joined} ${close}`;
      }
    }
    entries = parts;
  } else if (compact === true) {
    const after = base === "" ? "" : ` ${base}`;
    if (fits(context, entries, 0, base)) return `${open}${after} ${entries.join(", ")} ${close}`;
    const line = `\n${" ".repeat(indentation)}`;
    const first = base === "" && open.length === 1 ? " " : `${after}\n${line}  `;
    return `${open}${first}${entries.join(`,${line}  `)} ${close}`;
  }
  const line = `\n${" ".repeat(indentation)}`;
  return `${before}${open}${line}  ${entries.join(`,${line}  `)}${line}${close}`;
}

function fits(context, entries, start, base) {
  let total = entries.length + start;
  if (total + entries.length > context.breakLength) return false;
  for (let at = 0; at < entries.length; at++) {
    total += lengthOf(entries[at], context);
    if (total > context.breakLength) return false;
  }
  return base === "" || !base.includes("\n");
}

/** Rows of columns that are as wide as their longest item; the same list if its items are too long for that. */
function inColumns(context, entries, items) {
  // The note of how many more there are stands alone.
  const count = context.maxArrayLength < entries.length ? entries.length - 1 : entries.length;
  const lengths = entries.slice(0, count).map((it) => widthOf(it, context) + 2);
  const total = lengths.reduce((sum, length) => sum + length, 0);
  const longest = Math.max(...lengths);
  const { breakLength, compact, indentation } = context;
  if (longest * 3 + indentation >= breakLength || (total / longest <= 5 && longest > 8)) return entries;
  const width = Math.max(longest - 3 - Math.sqrt(longest - total / entries.length), 1);
  const columns = Math.min(
    Math.round(Math.sqrt(CHARACTER_HEIGHT * width * count) / width),
    Math.floor((breakLength - indentation) / longest),
    compact * 4,
    COLUMNS_MAX,
  );
  if (columns <= 1) return entries;
  const widths = Array.from({ length: columns }, () => 0);
  for (let at = 0; at < count; at++) widths[at % columns] = Math.max(widths[at % columns], lengths[at]);
  // Numbers stand to the right, all else to the left.
  const areNumbers = entries.every((_, at) => typeof items[at] === "number" || typeof items[at] === "bigint");
  const rows = [];
  for (let start = 0; start < count; start += columns) {
    const last = Math.min(start + columns, count) - 1;
    let row = "";
    for (let at = start; at < last; at++) {
      const padded = widths[at - start] + entries[at].length + 2 - lengths[at];
      row += areNumbers ? `${entries[at]}, `.padStart(padded) : `${entries[at]}, `.padEnd(padded);
    }
    const padded = widths[last - start] + entries[last].length - lengths[last];
    rows.push(row + (areNumbers ? entries[last].padStart(padded) : entries[last]));
  }
  if (count < entries.length) rows.push(entries[count]);
  return rows;
}
