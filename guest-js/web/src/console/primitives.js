// Formats strings, numbers and the other primitives for console.log and util.inspect, as Node does.

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is escaped
const CONTROL_OR_QUOTE = /['\\\u0000-\u001f\u007f-\u009f]/;
const LONE_SURROGATE = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;
const NEEDS_ESCAPE = new RegExp(`${CONTROL_OR_QUOTE.source}|${LONE_SURROGATE.source}`);
// biome-ignore lint/suspicious/noControlCharactersInRegex: as above
const CONTROL = /[\u007f-\u009f]/;
const ESCAPED = new RegExp(NEEDS_ESCAPE, "g");
const ESCAPES = { "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r", "\\": "\\\\", "'": "\\'" };

/** Quotes as Node does: with the first kind of quote that needs no escaping. */
export function quote(text) {
  // The JSON form of a text without escapes is longer by its quotes; to make it costs less than to match.
  const isPlain = JSON.stringify(text).length === text.length + 2 && !text.includes("'") && !CONTROL.test(text);
  if (isPlain || !NEEDS_ESCAPE.test(text)) return `'${text}'`;
  let mark = "'";
  if (text.includes("'")) {
    if (!text.includes('"')) mark = '"';
    else if (!text.includes("`") && !text.includes("${")) mark = "`";
  }
  return mark + escape(text, mark) + mark;
}

export function escape(text, mark) {
  return text.replace(ESCAPED, (character) => {
    if (character === "'" && mark !== "'") return character;
    const code = character.charCodeAt(0);
    if (ESCAPES[character] !== undefined) return ESCAPES[character];
    return code > 0xff ? `\\u${code.toString(16)}` : `\\x${code.toString(16).toUpperCase().padStart(2, "0")}`;
  });
}

export const plural = (count) => (count === 1 ? "" : "s");

function formatString(text, context) {
  let more = "";
  if (text.length > context.maxStringLength) {
    const left = text.length - context.maxStringLength;
    text = text.slice(0, context.maxStringLength);
    more = `... ${left} more character${plural(left)}`;
  }
  // Long texts of several lines stand one line a line.
  if (context.compact !== true && text.length > 16 && text.length > context.breakLength - context.indentation - 4) {
    const lines = text.split(/(?<=\n)/).map((line) => context.stylize(quote(line), "string"));
    return lines.join(` +\n${" ".repeat(context.indentation + 2)}`) + more;
  }
  return context.stylize(quote(text), "string") + more;
}

const THOUSANDS = /\d(?=(?:\d{3})+$)/g;

function separated(digits, pattern) {
  return digits.replace(pattern, "$&_");
}

function formatNumber(value, context) {
  if (Object.is(value, -0)) return "-0";
  const text = `${value}`;
  if (!context.numericSeparator || !Number.isFinite(value) || text.includes("e")) return text;
  const [whole, fraction] = text.split(".");
  const grouped = separated(whole, THOUSANDS);
  return fraction === undefined ? grouped : `${grouped}.${separated(fraction, /\d{3}(?=\d)/g)}`;
}

export function formatPrimitive(value, context) {
  switch (typeof value) {
    case "string":
      return formatString(value, context);
    case "number":
      return context.stylize(formatNumber(value, context), "number");
    case "bigint":
      return context.stylize(`${context.numericSeparator ? separated(`${value}`, THOUSANDS) : value}n`, "bigint");
    case "symbol":
      return context.stylize(escape(String(value), ""), "symbol");
    default:
      return context.stylize(`${value}`, value === null ? "null" : typeof value);
  }
}
