// Node's own globals, kept before the modules under test replace them.
const { URL, URLSearchParams, TextEncoder, TextDecoder, setTimeout, setInterval, clearTimeout } = globalThis;
globalThis.originals ??= { URL, URLSearchParams, TextEncoder, TextDecoder, setTimeout, setInterval, clearTimeout };

// What our modules take from QuickJS and older versions of Node.js lack.
const { structuredClone } = globalThis;
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
