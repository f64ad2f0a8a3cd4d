import xml2js from "xml2js";

export default {
  async fetch(request) {
    return Response.json({ parsed: await xml2js.parseStringPromise("<r a=\"1\"><i>x</i><i>y</i></r>"), built: new xml2js.Builder({ headless: true }).buildObject({ r: { i: ["x", "y"] } }) });
  },
};
