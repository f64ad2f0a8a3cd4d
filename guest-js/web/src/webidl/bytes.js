// The bytes of an ArrayBuffer or a view. https://webidl.spec.whatwg.org/#js-buffer-source-types
import { getByteLength, setBytes } from "../internal/primordials.js";

/** The bytes of an ArrayBuffer or a view, not copied; none if it is detached. Undefined for any other value. */
export function bytesOf(value) {
  if (value instanceof Uint8Array) return value;
  const isView = ArrayBuffer.isView(value);
  if (!isView && !isArrayBuffer(value)) return undefined;
  const buffer = isView ? value.buffer : value;
  if (buffer.byteLength === 0) return new Uint8Array(0);
  return isView ? new Uint8Array(buffer, value.byteOffset, value.byteLength) : new Uint8Array(buffer);
}

/** The same for Web IDL's BufferSource without [AllowShared]: undefined for shared memory too, which may change while it is read. */
export function unsharedBytesOf(value) {
  const bytes = bytesOf(value);
  return bytes !== undefined && isArrayBuffer(bytes.buffer) ? bytes : undefined;
}

/** Whether `value` is an ArrayBuffer, whatever its prototype says. */
export function isArrayBuffer(value) {
  if (typeof value !== "object" || value === null) return false;
  try {
    getByteLength(value);
    return true;
  } catch {
    return false;
  }
}

/** The chunks as one Uint8Array; a single chunk is handed back as it is. */
export function concat(chunks) {
  if (chunks.length === 1) return chunks[0];
  let length = 0;
  for (let at = 0; at < chunks.length; at++) length += chunks[at].byteLength;
  const all = new Uint8Array(length);
  let at = 0;
  for (let from = 0; from < chunks.length; from++) {
    setBytes(all, chunks[from], at);
    at += chunks[from].byteLength;
  }
  return all;
}
