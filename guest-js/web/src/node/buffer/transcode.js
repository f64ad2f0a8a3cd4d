// isUtf8, isAscii and transcode of node:buffer.
import native from "elias:native";
import { invalidArgType, nodeError } from "../internal/errors.js";
import { isAnyArrayBuffer, isTypedArray } from "../util/types.js";
import { canonicalName, encodings } from "./encodings.js";

function inputBytes(input) {
  if (isTypedArray(input)) return new Uint8Array(input.buffer, input.byteOffset, input.byteLength);
  if (isAnyArrayBuffer(input)) return new Uint8Array(input);
  throw invalidArgType("input", ["ArrayBuffer", "Buffer", "TypedArray"], input);
}

export function isUtf8(input) {
  const bytes = inputBytes(input);
  try {
    native.utf8Decode(bytes, true, true);
    return true;
  } catch {
    return false;
  }
}

export const isAscii = (input) => inputBytes(input).every((byte) => byte < 0x80);

const LIMITS = { ascii: 0x7f, latin1: 0xff };

const transcodeError = (code, errno) =>
  Object.assign(nodeError(Error, code, `Unable to transcode Buffer [${code}]`), { errno });

/** The text of bytes, as another encoding can write it: what that does not have becomes a question mark. */
export function transcodedText(source, from, to) {
  const [read, written] = [canonicalName(from), canonicalName(to)];
  if (![read, written].every((name) => ["ascii", "latin1", "utf8", "utf16le"].includes(name))) {
    throw transcodeError("U_ILLEGAL_ARGUMENT_ERROR", 1);
  }
  if (read === "utf8" && written === "utf16le" && !isUtf8(source)) throw transcodeError("U_INVALID_CHAR_FOUND", 10);
  let text = encodings[read === "ascii" ? "latin1" : read].slice(source, 0, source.length);
  // A byte of more than seven bits is not a character of ASCII, and half a unit none of UTF-16.
  if (read === "ascii" && written !== "utf16le") text = text.replace(/[\x80-\xff]/g, "\ufffd");
  if (read === "utf16le" && written === "utf16le" && source.length % 2 === 1) text += "\ufffd";
  if (text === "" && written === "utf8") throw transcodeError("U_INVALID_CHAR_FOUND", 10);
  const limit = LIMITS[written];
  if (limit !== undefined)
    text = Array.from(text, (character) => (character.codePointAt(0) > limit ? "?" : character)).join("");
  return text;
}
