// Random UUIDs, version 4 (RFC 9562, 5.4).
import native from "elias:native";

/** A new UUID as text, in lower case. */
export function randomUuid() {
  const bytes = new Uint8Array(16);
  native.randomFill(bytes);
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  let hex = "";
  for (const byte of bytes) hex += (byte + 0x100).toString(16).slice(1);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
