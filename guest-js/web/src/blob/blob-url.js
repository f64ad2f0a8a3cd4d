// Blob URLs: URL.createObjectURL and what fetch makes of them. https://w3c.github.io/FileAPI/#url (8)
import native from "elias:native";
import { registry } from "../internal/registry.js";
import { URL } from "../url/url.js";
import { defineHidden } from "../webidl/interfaces.js";

// A blob stays here until its URL is revoked, or the instance ends.
const blobs = new Map();

const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

/** A random UUID (RFC 9562, 5.4). */
function newId() {
  const bytes = new Uint8Array(16);
  native.randomFill(bytes);
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  return [bytes.subarray(0, 4), bytes.subarray(4, 6), bytes.subarray(6, 8), bytes.subarray(8, 10), bytes.subarray(10)].map(hex).join("-");
}

const withoutFragment = (url) => url.split("#", 1)[0];

const statics = {
  createObjectURL(blob) {
    if (typeof blob !== "object" || blob === null || registry.bytesOfBlob(blob) === undefined) {
      throw new TypeError("URL.createObjectURL needs a Blob");
    }
    const url = `blob:${globalThis.location?.origin ?? "null"}/${newId()}`;
    blobs.set(url, blob);
    return url;
  },
  revokeObjectURL(url) {
    if (arguments.length === 0) throw new TypeError("URL.revokeObjectURL needs a URL");
    // With a fragment it is another URL, and no blob's.
    blobs.delete(`${url}`);
  },
};

for (const name of Object.keys(statics)) {
  defineHidden(URL, name, statics[name]);
  Object.defineProperty(URL, name, { enumerable: true });
}

registry.blobOfUrl = (url) => blobs.get(withoutFragment(url));
