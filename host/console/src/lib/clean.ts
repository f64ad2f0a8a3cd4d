// Text of strangers, made safe to look at. It only ever becomes text nodes; what is done here is against characters that
// would change how the text around them reads.

// CSI, OSC, DCS, PM, APC and SOS sequences, and the two-character ones, in their forms with ESC and with C1 controls.
const ESCAPES =
  // eslint-disable-next-line no-control-regex
  /(?:\u001b\[|\u009b)[0-?]*[ -/]*[@-~]|(?:\u001b[\]PX^_]|[\u0090\u0098\u009d-\u009f])[^\u0007\u001b\u009c]*(?:\u0007|\u001b\\|\u009c)?|\u001b[ -/]*[0-~]/g;
// Controls but tab and line feed, and the characters that reorder or hide text.
const HIDDEN =
  // eslint-disable-next-line no-control-regex
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
