import { decode, encode } from "@msgpack/msgpack";

export default {
  async fetch(request) {
    const packed = encode({ a: [1, -2, 3.5, "ü"], b: true, c: null, d: new Date(86400000), e: 2 ** 40 });
    return Response.json({ bytes: [...packed], back: decode(packed) });
  },
};
