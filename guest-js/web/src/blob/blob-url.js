// Blob URLs: URL.createObjectURL and what fetch makes of them. https://w3c.github.io/FileAPI/#url (8)
import { randomUuid } from "../crypto/uuid.js";
import { registry } from "../internal/registry.js";
import { URL } from "../url/url.js";
import { defineHidden } from "../webidl/interfaces.js";

// A blob stays here until its URL is revoked, or the instance ends.
const blobs = new Map();

const withoutFragment = (url) => url.split("#", 1)[0];

const statics = {
  createObjectURL(blob) {
    if (typeof blob !== "object" || blob === null || registry.bytesOfBlob(blob) === undefined) {
      throw new TypeError("URL.createObjectURL needs a Blob");
    }
    const url = `blob:${globalThis.location?.origin ?? "null"}/${randomUuid()}`;
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
