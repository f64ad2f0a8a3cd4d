import { Buffer } from "node:buffer";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";
import zlib from "node:zlib";

const text = "hello ".repeat(1000);

export default {
  async fetch(request) {
    const back = [];
    for (const [pack, unpack] of [["gzip", "gunzip"], ["deflate", "inflate"], ["deflateRaw", "inflateRaw"], ["gzip", "unzip"], ["deflate", "unzip"]]) {
      back.push(zlib[`${unpack}Sync`](zlib[`${pack}Sync`](text)).toString() === text);
      back.push((await promisify(zlib[unpack])(await promisify(zlib[pack])(text))).toString() === text);
    }
    const chunks = [];
    await pipeline(Readable.from([text, text]), zlib.createGzip(), zlib.createGunzip(), async (source) => {
      for await (const chunk of source) chunks.push(chunk);
    });
    const failures = [];
    for (const input of [Buffer.from("nonsense"), zlib.gzipSync(text).subarray(0, 20)]) {
      await promisify(zlib.gunzip)(input).catch((error) => failures.push(error.code));
    }
    return Response.json({ back, streamed: Buffer.concat(chunks).toString() === text + text, failures });
  },
};
