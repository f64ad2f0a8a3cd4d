// Not a package: what programs take of Node.js, side by side.
import assert from "node:assert";
import { Buffer } from "node:buffer";
import diagnostics from "node:diagnostics_channel";
import { EventEmitter, once } from "node:events";
import net from "node:net";
import path from "node:path";
import querystring from "node:querystring";
import { PassThrough, Readable, Transform } from "node:stream";
import { text } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { StringDecoder } from "node:string_decoder";
import { setTimeout as wait } from "node:timers/promises";
import url from "node:url";
import util from "node:util";

export default {
  async fetch(request) {
    const emitter = new EventEmitter();
    setTimeout(() => emitter.emit("ready", 1, 2), 1);
    const upper = new Transform({ transform: (chunk, _, done) => done(null, chunk.toString().toUpperCase()) });
    const out = new PassThrough();
    const [ready, piped] = await Promise.all([once(emitter, "ready"), text(out), pipeline(Readable.from(["a", "b"]), upper, out)]);
    const channel = diagnostics.channel("test");
    const messages = [];
    channel.subscribe((message) => messages.push(message));
    channel.publish({ a: 1 });
    return Response.json({
      ready,
      piped,
      messages,
      waited: await wait(1, "value"),
      web: await text(Readable.fromWeb(new Response("from the web").body)),
      toWeb: await new Response(Readable.toWeb(Readable.from([Buffer.from("to "), Buffer.from("the web")]))).text(),
      path: path.relative("/a/b/c", "/a/d"),
      query: querystring.stringify({ a: [1, 2], b: "x y" }),
      decoded: new StringDecoder("utf8").write(Buffer.from("€")),
      url: [url.parse("http://a.test:80/b?c=d#e").pathname, url.fileURLToPath("file:///a%20b")],
      shown: util.inspect({ a: [1, "x"], b: new Map([["k", new Set([1])]]), c: Buffer.from("hi"), d: undefined }, { depth: 4 }),
      format: util.format("%s is %d and %j", "x", 42, { y: 1 }),
      ip: [net.isIP("127.0.0.1"), net.isIP("::1"), net.isIP("x"), net.isIPv6("1::2::3"), net.isIPv6("::ffff:1.2.3.4")],
      immediate: await new Promise((resolve) => setImmediate(resolve, "now")),
      next: await new Promise((resolve) => process.nextTick(resolve, "next")),
      same: (() => {
        assert.deepStrictEqual({ a: [1] }, { a: [1] });
        assert.throws(() => assert.equal(1, 2), { code: "ERR_ASSERTION" });
        return true;
      })(),
      kinds: [typeof Buffer, typeof process, typeof global, process.env.HOME_OF_NOBODY ?? "unset", process.platform],
    });
  },
};
