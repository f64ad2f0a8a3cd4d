// Forms with files, as busboy and multer read them.
import busboy from "busboy";
import multer from "multer";
import { Buffer } from "node:buffer";
import { Readable } from "node:stream";

const BOUNDARY = "----boundary";
const lines = [
  `--${BOUNDARY}`, 'Content-Disposition: form-data; name="title"', "", "tïtle",
  `--${BOUNDARY}`, 'Content-Disposition: form-data; name="doc"; filename="dök.bin"', "Content-Type: application/x-thing", "", "\u0007".repeat(70_000),
  `--${BOUNDARY}`, 'Content-Disposition: form-data; name="none"; filename="none.txt"', "Content-Type: text/plain", "", "",
  `--${BOUNDARY}--`, "",
];

/** A request with that body, in pieces. */
function incoming(body, type = `multipart/form-data; boundary=${BOUNDARY}`) {
  const pieces = [];
  for (let at = 0; at < body.length; at += 10_000) pieces.push(body.subarray(at, at + 10_000));
  return Object.assign(Readable.from(pieces), { method: "POST", headers: { "content-type": type, "content-length": `${body.length}` } });
}

const read = (request) =>
  new Promise((resolve, reject) => {
    const seen = [];
    const form = busboy({ headers: request.headers, defParamCharset: "utf8" });
    form.on("field", (name, value) => seen.push([name, value]));
    form.on("file", (name, file, info) => {
      let length = 0;
      file.on("data", (part) => (length += part.length)).on("end", () => seen.push([name, info, length]));
    });
    form.on("close", () => resolve(seen)).on("error", reject);
    request.pipe(form);
  });

const kept = (request, limits) =>
  new Promise((resolve) => {
    multer({ storage: multer.memoryStorage(), limits }).any()(request, {}, (error) => {
      resolve(error ? [error.name, error.code] : [request.body, request.files.map((it) => [it.fieldname, it.mimetype, it.size, Buffer.isBuffer(it.buffer)])]);
    });
  });

export default {
  async fetch() {
    const body = Buffer.from(lines.join("\r\n"));
    const failed = (promise) => promise.then(() => "read", (error) => error.message);
    return Response.json({
      busboy: await read(incoming(body)),
      multer: await kept(incoming(body)),
      tooLarge: await kept(incoming(body), { fileSize: 1000 }),
      cut: await failed(read(incoming(body.subarray(0, 150)))),
      urlencoded: await read(incoming(Buffer.from("a=1&b=%C3%A9"), "application/x-www-form-urlencoded")),
    });
  },
};
