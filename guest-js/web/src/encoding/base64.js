// atob and btoa. https://html.spec.whatwg.org/#atob (8.3), https://infra.spec.whatwg.org/#forgiving-base64 (7)
import { DOMException } from "../webidl/dom-exception.js";
import { defineGlobals } from "../webidl/interfaces.js";

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const VALUES = new Uint8Array(128).fill(0xff);
for (let value = 0; value < 64; value++) VALUES[ALPHABET.charCodeAt(value)] = value;

// String.fromCharCode takes its characters as arguments, of which the stack holds only so many.
const CHARACTERS_PER_CALL = 4096;

function invalid(message) {
  return new DOMException(message, "InvalidCharacterError");
}

export function btoa(data) {
  data = `${data}`;
  let text = "";
  for (let at = 0; at < data.length; at += 3) {
    const left = data.length - at;
    const first = data.charCodeAt(at);
    const second = left > 1 ? data.charCodeAt(at + 1) : 0;
    const third = left > 2 ? data.charCodeAt(at + 2) : 0;
    if ((first | second | third) > 0xff) throw invalid("btoa: the string has a character above U+00FF in it");
    text += ALPHABET[first >> 2] + ALPHABET[((first & 3) << 4) | (second >> 4)];
    text += left > 1 ? ALPHABET[((second & 15) << 2) | (third >> 6)] : "=";
    text += left > 2 ? ALPHABET[third & 63] : "=";
  }
  return text;
}

export function atob(data) {
  let text = `${data}`.replace(/[\t\n\f\r ]+/g, "");
  if (text.length % 4 === 0) text = text.replace(/={1,2}$/, "");
  if (text.length % 4 === 1) throw invalid("atob: the length of the string is not that of base64");
  let result = "";
  let codes = [];
  let bits = 0;
  let held = 0;
  for (let at = 0; at < text.length; at++) {
    const value = VALUES[text.charCodeAt(at)] ?? 0xff;
    if (value === 0xff) throw invalid(`atob: ${JSON.stringify(text[at])} is not a base64 character`);
    bits = ((bits << 6) | value) & 0xffff;
    held += 6;
    if (held < 8) continue;
    held -= 8;
    codes.push((bits >> held) & 0xff);
    if (codes.length === CHARACTERS_PER_CALL) {
      result += String.fromCharCode(...codes);
      codes = [];
    }
  }
  return result + String.fromCharCode(...codes);
}

defineGlobals({ atob, btoa });
