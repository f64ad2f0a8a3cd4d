import { XMLBuilder, XMLParser } from "fast-xml-parser";

export default {
  async fetch(request) {
    const data = new XMLParser({ ignoreAttributes: false }).parse('<?xml version="1.0"?><r a="1"><i>x</i><i>y &amp; z</i><n>3</n></r>');
    return Response.json({ data, xml: new XMLBuilder({ ignoreAttributes: false, format: true }).build(data) });
  },
};
