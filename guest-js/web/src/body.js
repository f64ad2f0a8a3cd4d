// The Body mixin and "extract a body". https://fetch.spec.whatwg.org/#body-mixin (5.3), #bodyinit-unions (5.2)
//
// A stream is the last resort here: a body remembers what it was made from, and most are sent or read from that directly.
import native from "elias:native";
import { needed, registry } from "./registry.js";
import { bytesOf, concat } from "./webidl.js";

export const TEXT_TYPE = "text/plain;charset=UTF-8";
const FORM_TYPE = "application/x-www-form-urlencoded;charset=UTF-8";

/** The source of a body whose bytes the host still has. */
const INCOMING = Symbol("incoming");

/** A source with `read(): Promise<Uint8Array | null>` and `cancel(reason)`. */
export class Puller {}

/** A body that is not null. */
export class Body {
  /**
   * A string, a Uint8Array that nobody else writes to, an async iterable of chunks, a ReadableStream, INCOMING, or a
   * Puller.
   */
  source;
  /** The ReadableStream: the source itself, or made from it when a script first asks for it. */
  stream = undefined;
  /** The source was read or sent. What happened to the stream, the stream knows. */
  taken = false;

  constructor(source, stream) {
    this.source = source;
    this.stream = stream;
  }

  static incoming() {
    return new Body(INCOMING, undefined);
  }

  get used() {
    return this.taken || (this.stream !== undefined && registry.isDisturbed(this.stream));
  }

  get unusable() {
    return this.taken || (this.stream !== undefined && (this.stream.locked || registry.isDisturbed(this.stream)));
  }

  /** Whether the bytes are at hand, as a string or a Uint8Array. */
  get whole() {
    return this.stream === undefined && (typeof this.source === "string" || this.source instanceof Uint8Array);
  }

  /** Claims the body for the one reader that it can have. */
  take() {
    if (this.unusable) {
      throw new TypeError("the body was already used, or its stream is locked; clone() before reading it a second time");
    }
    this.taken = true;
  }

  /** The body as a ReadableStream. */
  toStream() {
    if (this.stream === undefined) {
      const streamOf = needed("streamFromBody", "a body as a stream", "ReadableStream");
      if (this.taken) {
        // Somebody else has the bytes; what is left is a stream that is over.
        this.stream = streamOf(null, new Uint8Array(0));
        this.stream.cancel();
      } else {
        this.stream = this.whole ? streamOf(null, this.bytes) : streamOf(pullerOf(this.source), null);
      }
    }
    return this.stream;
  }

  /** The source as bytes, if it is at hand. */
  get bytes() {
    return typeof this.source === "string" ? native.utf8Encode(this.source) : this.source;
  }

  /** A second body with the same bytes (Fetch 2.2.4 "clone a body"). */
  clone() {
    if (this.unusable) throw new TypeError("cannot clone a body that was already used or whose stream is locked");
    if (this.whole) return new Body(this.source, undefined);
    const [mine, other] = needed("teeForClone", "clone() of a streamed body", "ReadableStream")(this.toStream());
    this.source = this.stream = mine;
    return new Body(other, other);
  }
}

/** The media type that a BodyInit brings along, or null. */
export function typeOfInit(init) {
  if (typeof init === "string") return TEXT_TYPE;
  if (typeof init !== "object" || init === null) return TEXT_TYPE;
  if (registry.isURLSearchParams?.(init)) return FORM_TYPE;
  if (registry.bytesOfBlob?.(init) !== undefined) return init.type || null;
  return bytesOf(init) === undefined && init[Symbol.asyncIterator] === undefined ? TEXT_TYPE : null;
}

/** The body for a BodyInit that is not null. */
export function extractBody(init) {
  if (typeof init !== "object") return new Body(`${init}`, undefined);
  if (registry.isReadableStream?.(init)) {
    if (init.locked || registry.isDisturbed(init)) {
      throw new TypeError("the body is a ReadableStream that is locked or was read from");
    }
    return new Body(init, init);
  }
  const bytes = registry.bytesOfBlob?.(init) ?? bytesOf(init);
  if (bytes !== undefined) return new Body(bytes.slice(), undefined);
  if (registry.isFormData?.(init)) {
    throw new TypeError("a FormData body (multipart/form-data) is not supported yet; use URLSearchParams");
  }
  return new Body(init[Symbol.asyncIterator] === undefined ? `${init}` : init, undefined);
}

/** { read(): Promise<chunk | null>, cancel(reason) } over a source that is not at hand. */
function pullerOf(source) {
  if (source instanceof Puller) return source;
  if (source === INCOMING) return { read: native.requestBodyRead, cancel: native.requestBodyCancel };
  const iterator = source[Symbol.asyncIterator]();
  return {
    async read() {
      const { value, done } = await iterator.next();
      if (done) return null;
      if (value instanceof Uint8Array) return value;
      throw new TypeError(`a chunk of the body is ${describe(value)}; every chunk must be a Uint8Array`);
    },
    cancel: (reason) => iterator.return?.(reason),
  };
}

function describe(value) {
  if (typeof value === "string") return "a string (use a TextEncoder or pipe through a TextEncoderStream)";
  return value === null ? "null" : `a value of type ${value?.constructor?.name ?? typeof value}`;
}

/** Tells the producer to stop. It failed, or its chunk was wrong, or the reader is gone: that error is the one to report. */
async function abandon(puller, error) {
  try {
    await puller.cancel(error);
  } catch {
    // The first error counts.
  }
}

async function readAll(body) {
  const puller = pullerOf(body.stream ?? body.source);
  const chunks = [];
  try {
    for (let chunk; (chunk = await puller.read()) !== null; ) chunks.push(chunk);
  } catch (error) {
    await abandon(puller, error);
    throw error;
  }
  return concat(chunks);
}

/** Takes the whole body as bytes that belong to the caller. */
async function takeBytes(body) {
  if (body === null) return new Uint8Array(0);
  body.take();
  if (!body.whole) {
    const bytes = await readAll(body);
    // A single chunk may be a window on a buffer that its producer still holds.
    return bytes.byteLength === bytes.buffer.byteLength ? bytes : bytes.slice();
  }
  return typeof body.source === "string" ? native.utf8Encode(body.source) : body.source.slice();
}

/** Takes the whole body as text ("UTF-8 decode": a BOM at the start goes). */
async function takeText(body) {
  if (body === null) return "";
  body.take();
  if (!body.whole) return native.utf8Decode(await readAll(body), false, false);
  if (typeof body.source !== "string") return native.utf8Decode(body.source, false, false);
  const text = body.source.toWellFormed();
  return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
}

/** Sends the body of the response that has been started. A promise is returned only when the sending has to wait. */
export function sendBody(body) {
  body.take();
  if (body.whole) native.responseBody(body.source);
  else return sendChunks(pullerOf(body.stream ?? body.source));
}

/** Gives every chunk of a body to `write`, which may be slow; it says false when nobody reads any more. */
export async function pullBody(body, write) {
  const puller = pullerOf(body.stream ?? body.source);
  try {
    for (let chunk; (chunk = await puller.read()) !== null; ) {
      if ((await write(chunk)) === false) return abandon(puller, undefined);
    }
  } catch (error) {
    await abandon(puller, error);
    throw error;
  }
}

async function sendChunks(puller) {
  try {
    for (let chunk; (chunk = await puller.read()) !== null; ) await native.responseWrite(chunk);
  } catch (error) {
    native.responseAbort(String(error));
    await abandon(puller, error);
    throw error;
  }
  native.responseEnd();
}

/** Gives the class the Body mixin. `bodyOf(instance)` checks the brand and returns its Body or null. */
export function mixinBody(cls, bodyOf) {
  const essence = (instance) => (instance.headers.get("content-type") ?? "").split(";")[0].trim().toLowerCase();
  const mixin = {
    get body() {
      return bodyOf(this)?.toStream() ?? null;
    },
    get bodyUsed() {
      return bodyOf(this)?.used ?? false;
    },
    async arrayBuffer() {
      return (await takeBytes(bodyOf(this))).buffer;
    },
    async blob() {
      const Blob = needed("Blob", "blob()", "Blob");
      return new Blob([await takeBytes(bodyOf(this))], { type: this.headers.get("content-type") ?? "" });
    },
    async bytes() {
      return takeBytes(bodyOf(this));
    },
    async formData() {
      const body = bodyOf(this);
      const type = essence(this);
      if (type !== "application/x-www-form-urlencoded") {
        const found = type === "" ? "and there is no content-type" : `and not ${type}`;
        throw new TypeError(`formData() reads application/x-www-form-urlencoded only, ${found}`);
      }
      return needed("formDataFromPairs", "formData()", "FormData")(native.formDecode(await takeText(body)));
    },
    async json() {
      return JSON.parse(await takeText(bodyOf(this)));
    },
    text() {
      return takeText(bodyOf(this));
    },
  };
  Object.defineProperties(cls.prototype, Object.getOwnPropertyDescriptors(mixin));
}
