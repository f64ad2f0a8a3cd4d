import Papa from "papaparse";

export default {
  async fetch(request) {
    return Response.json({ parsed: Papa.parse("a,b\n1,\"x, y\"\n2,z\n", { header: true, dynamicTyping: true, skipEmptyLines: true }), text: Papa.unparse([{ a: 1, b: "x, y" }]) });
  },
};
