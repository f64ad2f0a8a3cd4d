import iconv from "iconv-lite";

export default {
  async fetch(request) {
    return Response.json({ encoded: [...iconv.encode("Grüße €", "win1252")], decoded: iconv.decode(Buffer.from([0x8f, 0xa3, 0x82, 0xa0]), "Shift_JIS"), utf16: iconv.encode("a", "utf16").toString("hex") });
  },
};
