// Bytes as base64 and back, for what is stored and sent. `node/buffer/encodings.js` has the rules of Node.js.
import { atob, btoa } from "./base64.js";

/** The originals, since a script may replace the globals. */
const { ArrayBuffer, Uint8Array } = globalThis;

/** Bytes that become characters in one call: the arguments lie on the stack. */
const BYTES_PER_CALL = 3 * 1024;

// Engines that have these are an order of magnitude faster than what goes by strings.
const { set, toBase64 } = Uint8Array.prototype;
const { fromBase64 } = Uint8Array;

/** Bytes as base64. */
export function base64Of(bytes) {
  if (toBase64 !== undefined) return toBase64.call(bytes);
  const parts = [];
  for (let at = 0; at < bytes.length; at += BYTES_PER_CALL) {
    parts.push(btoa(String.fromCharCode(...bytes.subarray(at, at + BYTES_PER_CALL))));
  }
  return parts.join("");
}

/** The bytes of a text in base64. */
function bytesOf(text) {
  if (fromBase64 !== undefined) return fromBase64.call(Uint8Array, text);
  const characters = atob(text);
  const bytes = new Uint8Array(characters.length);
  for (let at = 0; at < characters.length; at += 1) bytes[at] = characters.charCodeAt(at);
  return bytes;
}

/** The buffer of a text in base64, resizable if it has a `maxByteLength`. */
export function bufferOf(text, maxByteLength) {
  const bytes = bytesOf(text);
  const options = maxByteLength === undefined ? undefined : { maxByteLength };
  const buffer = new ArrayBuffer(bytes.length, options);
  set.call(new Uint8Array(buffer), bytes);
  return buffer;
}
