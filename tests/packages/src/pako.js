import * as pako from "pako";

export default {
  async fetch(request) {
    const packed = pako.deflate("hello hello hello hello");
    return Response.json({ text: pako.inflate(packed, { to: "string" }), bytes: [...packed].slice(0, 8), gzip: pako.ungzip(pako.gzip("abc"), { to: "string" }) });
  },
};
