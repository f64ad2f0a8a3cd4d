// Bodies of requests as body-parser and raw-body read them, and what they are built on.
import BufferList from "bl";
import bodyParser from "body-parser";
import { Buffer } from "node:buffer";
import { Readable as BuiltIn } from "node:stream";
import { gzipSync, deflateSync, brotliCompressSync } from "node:zlib";
import rawBody from "raw-body";
import { Readable, pipeline } from "readable-stream";

function incoming(body, headers) {
  return Object.assign(BuiltIn.from([body]), { method: "POST", headers: { "transfer-encoding": "chunked", ...headers } });
}

const parse = (parser, body, headers) =>
  new Promise((resolve) => {
    const request = incoming(Buffer.from(body), headers);
    parser(request, {}, (error) => resolve(error ? [error.status, error.type, error.code ?? null] : (request.body ?? null)));
  });

const json = { "content-type": "application/json" };
const text = '{"a":"ä","b":[1,null]}';

export default {
  async fetch() {
    const list = new BufferList([Buffer.from("ab"), Buffer.from("cd")]);
    list.append("ef");
    const read = [];
    await new Promise((resolve) => pipeline(Readable.from(["x", "y"]), async function* (source) {
      for await (const part of source) yield `${part}!`;
    }, async (source) => {
      for await (const part of source) read.push(`${part}`);
    }, resolve));
    return Response.json({
      json: await parse(bodyParser.json(), text, json),
      utf16: await parse(bodyParser.json(), Buffer.from(text, "utf16le"), { "content-type": "application/json; charset=utf-16le" }),
      gzip: await parse(bodyParser.json(), gzipSync(text), { ...json, "content-encoding": "gzip" }),
      deflate: await parse(bodyParser.json(), deflateSync(text), { ...json, "content-encoding": "deflate" }),
      brotli: await parse(bodyParser.json(), brotliCompressSync(text), { ...json, "content-encoding": "br" }),
      broken: await parse(bodyParser.json(), "{bad", json),
      tooLarge: await parse(bodyParser.json({ limit: 5 }), text, json),
      unknown: await parse(bodyParser.json(), text, { ...json, "content-encoding": "x" }),
      form: await parse(bodyParser.urlencoded({ extended: true }), "a[b]=1&a[c][]=2&d=%C3%A9+x", { "content-type": "application/x-www-form-urlencoded" }),
      raw: (await parse(bodyParser.raw({ type: "*/*" }), "abc", { "content-type": "x/y" })).toString(),
      rawBody: await rawBody(incoming(Buffer.from("grüße"), {}), { encoding: "utf-8" }),
      rawLimit: await rawBody(incoming(Buffer.from("grüße"), {}), { limit: 2 }).catch((error) => error.type),
      list: [list.length, list.slice(1, 5).toString(), list.indexOf("de"), list.readUInt16BE(0), list.toString("hex"), list.shallowSlice(2).toString()],
      read,
    });
  },
};
