// Text of strangers, made safe to look at. It only ever becomes text nodes; what is done here is against characters
// that would change how the text around them reads.

// CSI sequences, those with a text until a terminator (OSC, DCS, PM, APC, SOS), and the short ones; with ESC or as C1.
const CSI = "(?:\\u001b\\[|\\u009b)[0-?]*[ -/]*[@-~]";
const WITH_TEXT =
  "(?:\\u001b[\\]PX^_]|[\\u0090\\u0098\\u009d-\\u009f])[^\\u0007\\u001b\\u009c]*(?:\\u0007|\\u001b\\\\|\\u009c)?";
const SHORT = "\\u001b[ -/]*[0-~]";
const ESCAPES = new RegExp(`${CSI}|${WITH_TEXT}|${SHORT}`, "g");
// Controls but tab and line feed, and the characters that reorder or hide text.
const HIDDEN =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b\u200e\u200f\u2028\u2029\u202a-\u202e\u2060-\u2069\ufeff]/g;

/** Removes terminal escapes, and shows other invisible characters as `\u{...}`. Lines stay lines. */
export function clean(text: string): string {
  return text
    .replace(/\r\n/g, "\n")
    .replace(ESCAPES, "")
    .replace(HIDDEN, (found) => `\\u{${found.codePointAt(0)?.toString(16)}}`);
}

/** At most `most` UTF-16 units of a text, never half of a character. */
export function cut(text: string, most: number): string {
  if (text.length <= most) return text;
  const last = text.charCodeAt(most - 1);
  return text.slice(0, last >= 0xd800 && last <= 0xdbff ? most - 1 : most);
}
