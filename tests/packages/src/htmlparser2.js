import { Parser } from "htmlparser2";

export default {
  async fetch(request) {
    const seen = [];
    const parser = new Parser({ onopentag: (name, attributes) => seen.push([name, attributes]), ontext: (text) => seen.push(text), onclosetag: (name) => seen.push(`/${name}`) });
    parser.write("<p class=a>x &amp; <br>y");
    parser.end();
    return Response.json(seen);
  },
};
