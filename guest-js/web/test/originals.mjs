// Node's own globals, kept before the modules under test replace them.
const { AbortSignal, URL, URLSearchParams, TextEncoder, TextDecoder, setTimeout, setInterval, clearTimeout } = globalThis;
globalThis.originals ??= { AbortSignal, URL, URLSearchParams, TextEncoder, TextDecoder, setTimeout, setInterval, clearTimeout };

// Built-ins that our modules take from QuickJS, and that older versions of Node.js lack.
const { Buffer, Uint8Array, structuredClone } = globalThis;
if (Uint8Array.fromBase64 === undefined) {
  const bytes = (text, encoding) => Uint8Array.from(Buffer.from(text, encoding));
  Object.assign(Uint8Array, {
    fromHex: (text) => bytes(text, "hex"),
    fromBase64(text, { alphabet = "base64" } = {}) {
      if (alphabet === "base64url") text = text.replaceAll("-", "+").replaceAll("_", "/");
      if (/[^A-Za-z\d+/=]|=[^=]|={3}/.test(text) || text.replace(/=+$/, "").length % 4 === 1)
        throw new SyntaxError("invalid base64");
      return bytes(text, "base64");
    },
  });
  Object.assign(Uint8Array.prototype, {
    toHex() {
      return Buffer.from(this).toString("hex");
    },
    toBase64({ alphabet = "base64" } = {}) {
      return Buffer.from(this).toString(alphabet);
    },
  });
}
if (ArrayBuffer.prototype.transfer === undefined) {
  const detached = new WeakSet();
  const members = {
    transfer(length = this.byteLength) {
      const moved = structuredClone(this, { transfer: [this] });
      detached.add(this);
      if (length === moved.byteLength) return moved;
      const resized = new Uint8Array(length);
      resized.set(new Uint8Array(moved).subarray(0, length));
      return resized.buffer;
    },
    get detached() {
      return detached.has(this);
    },
  };
  Object.defineProperties(ArrayBuffer.prototype, Object.getOwnPropertyDescriptors(members));
}
