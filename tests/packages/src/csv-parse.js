import { parse as parseStream } from "csv-parse";
import { parse } from "csv-parse/sync";
import { stringify } from "csv-stringify/sync";

export default {
  async fetch(request) {
    const streamed = [];
    const parser = parseStream({ delimiter: ";" });
    parser.end("a;b\n1;2\n");
    for await (const row of parser) streamed.push(row);
    return Response.json({ rows: parse("a,b\n1,\"x, y\"\n", { columns: true, cast: true }), text: stringify([["a", "b, c"], [1, 2]]), streamed });
  },
};
