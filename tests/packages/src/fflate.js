import { gunzipSync, gzipSync, strFromU8, strToU8, unzipSync, zipSync } from "fflate";

export default {
  async fetch(request) {
    return Response.json({ text: strFromU8(gunzipSync(gzipSync(strToU8("hello hello hello"), { mtime: 0 }))), zip: Object.keys(unzipSync(zipSync({ "a.txt": strToU8("a"), b: { "c.txt": strToU8("c") } }))) });
  },
};
