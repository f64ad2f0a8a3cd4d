// The Body mixin and "extract a body". https://fetch.spec.whatwg.org/#body-mixin (5.3), #bodyinit-unions (5.2)
//
// A stream is the last resort here: a body remembers what it was made from, and most are sent or read from that directly.
import native from "elias:native";
import { charCodeAt, newList, parse, slice, toWellFormed } from "../internal/primordials.js";
import { registry, requireRegistered } from "../internal/registry.js";
import { bytesOf, concat } from "../webidl/bytes.js";

export const TEXT_TYPE = "text/plain;charset=UTF-8";
const FORM_TYPE = "application/x-www-form-urlencoded;charset=UTF-8";

/** The source of a body whose bytes the host still has. */
const INCOMING = Symbol("incoming");

/**
 * A source with `read(): Promise<Uint8Array | null>` and `cancel(reason)`; if `givesOwn` is true, the chunks have no
 * other owner.
 */
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
  /** The source was read or sent. The stream has a state of its own. */
  taken = false;
  /** The media type that the source brings along, or null. */
  type;

  constructor(source, stream, type = null) {
    this.source = source;
    this.stream = stream;
    this.type = type;
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
      const streamOf = requireRegistered("streamFromBody", "a body as a stream");
      if (this.taken) {
        // Somebody else has the bytes; what is left is a stream that is over and in another's hands.
        this.stream = streamOf(null, new Uint8Array(0));
        this.stream.cancel();
        this.stream.getReader();
      } else {
        this.stream = this.whole ? streamOf(null, this.bytes.slice()) : streamOf(pullerOf(this.source), null);
      }
    }
    return this.stream;
  }

  /** The source as bytes, if it is at hand. */
  get bytes() {
    return typeof this.source === "string" ? native.utf8Encode(this.source) : this.source;
  }

  /** This body for a new owner; what the script sees here has been read (Fetch 5.4, "create a proxy"). */
  moved() {
    const { source, stream } = this;
    this.take();
    if (stream === undefined) return new Body(source, undefined, this.type);
    const puller = Object.assign(new Puller(), pullerOf(stream));
    if (typeof source !== "string" && !(source instanceof Uint8Array)) return new Body(puller, undefined, this.type);
    puller.cancel();
    return new Body(source, undefined, this.type);
  }

  /** A second body with the same bytes (Fetch 2.2.4 "clone a body"). */
  clone() {
    if (this.unusable) throw new TypeError("cannot clone a body that was already used or whose stream is locked");
    if (this.whole) return new Body(this.source, undefined);
    const [mine, other] = requireRegistered("teeForClone", "clone() of a streamed body")(this.toStream());
    this.source = this.stream = mine;
    return new Body(other, other);
  }
}

/** The body for a BodyInit that is not null. */
export function extractBody(init) {
  if (typeof init !== "object") return new Body(`${init}`, undefined, TEXT_TYPE);
  if (registry.isReadableStream?.(init)) {
    if (init.locked || registry.isDisturbed(init)) {
      throw new TypeError("the body is a ReadableStream that is locked or was read from");
    }
    return new Body(init, init);
  }
  const blob = registry.bytesOfBlob?.(init);
  // A Blob never changes: its bytes need no copy.
  if (blob !== undefined) return new Body(blob, undefined, init.type || null);
  const bytes = bytesOf(init);
  if (bytes !== undefined) return new Body(bytes.slice(), undefined);
  if (registry.isFormData?.(init)) return registry.encodeForm(init);
  if (registry.isURLSearchParams?.(init)) return new Body(`${init}`, undefined, FORM_TYPE);
  if (init[Symbol.asyncIterator] !== undefined) return new Body(init, undefined);
  return new Body(`${init}`, undefined, TEXT_TYPE);
}

/** { read(): Promise<chunk | null>, cancel(reason) } over a source that is not at hand. */
function pullerOf(source) {
  if (source instanceof Puller) return source;
  if (source === INCOMING) return { read: native.requestBodyRead, cancel: native.requestBodyCancel, givesOwn: true };
  if (registry.isReadableStream?.(source)) {
    const reader = source.getReader();
    return {
      async read() {
        const { value, done } = await reader.read();
        return done ? null : checked(value);
      },
      cancel: (reason) => reader.cancel(reason),
    };
  }
  const iterator = source[Symbol.asyncIterator]();
  return {
    async read() {
      const { value, done } = await iterator.next();
      return done ? null : checked(value);
    },
    cancel: (reason) => iterator.return?.(reason),
  };
}

function checked(chunk) {
  if (chunk instanceof Uint8Array) return chunk;
  throw new TypeError(`a chunk of the body is ${describe(chunk)}; every chunk must be a Uint8Array`);
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

/**
 * Reads a body that is not at hand to its end, into `chunks`. They are no promise's value, because a script can come between
 * by a `then` of Object.prototype.
 */
async function readAll(body, chunks) {
  if (body.stream !== undefined) {
    await registry.readChunks(body.stream, (chunk) => void (chunks[chunks.length] = checked(chunk)));
    return;
  }
  const puller = pullerOf(body.source);
  try {
    for (let chunk; (chunk = await puller.read()) !== null; ) chunks[chunks.length] = chunk;
  } catch (error) {
    await abandon(puller, error);
    throw error;
  }
}

/** The bytes of a request's body that is still unread, if the host has all of them; else undefined. */
const bytesNow = (body) => (body.source === INCOMING && body.stream === undefined ? native.requestBodyNow() : undefined);

/** Takes the whole body as bytes that belong to the caller. */
async function takeBytes(body) {
  if (body === null) return new Uint8Array(0);
  body.take();
  const now = bytesNow(body);
  if (now !== undefined) return now;
  if (!body.whole) {
    const chunks = newList();
    await readAll(body, chunks);
    const bytes = concat(chunks);
    // A single chunk may be a window on a buffer that its producer still holds.
    return bytes.byteLength === bytes.buffer.byteLength ? bytes : bytes.slice();
  }
  return typeof body.source === "string" ? native.utf8Encode(body.source) : body.source.slice();
}

/** Takes the whole body as text ("UTF-8 decode": a BOM at the start goes), or gives a promise of it. */
function takeText(body) {
  if (body === null) return "";
  body.take();
  const now = bytesNow(body);
  if (now !== undefined) return native.utf8Decode(now, false, false);
  if (!body.whole) return readText(body);
  if (typeof body.source !== "string") return native.utf8Decode(body.source, false, false);
  const text = toWellFormed(body.source);
  return charCodeAt(text, 0) === 0xfeff ? slice(text, 1) : text;
}

async function readText(body) {
  const chunks = newList();
  await readAll(body, chunks);
  return native.utf8Decode(concat(chunks), false, false);
}

/** Sends a response with a body. A promise is returned only when the sending has to wait. */
export function sendBody(body, status, list) {
  const { whole } = body;
  body.take();
  if (whole) {
    native.responseWhole(status, list, body.source);
    return;
  }
  const puller = pullerOf(body.stream ?? body.source);
  // To HEAD there is no body, and so nothing to wait for.
  return native.responseStream(status, list) ? sendChunks(puller) : abandon(puller, undefined);
}

/**
 * Gives every chunk of a body to `write`, which may be slow; it says false when nobody reads any more. `started` is given
 * a function that ends it, with a reason.
 */
export async function pullBody(body, write, started) {
  const puller = pullerOf(body.stream ?? body.source);
  started((reason) => abandon(puller, reason));
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
    await native.responseEnd();
  } catch (error) {
    // At once, for the script may never come back from being told to stop.
    native.responseFail(error);
    await abandon(puller, error);
    throw error;
  }
}

/** "Get the MIME type" (Fetch 5.3): [serialization, essence, charset, boundary], or null. */
function mimeTypeOf(instance) {
  const type = instance.headers.get("content-type");
  return type === null ? null : native.mimeType(type);
}

/** Gives the class the Body mixin. `bodyOf(instance)` checks the brand and returns its Body or null. */
export function mixinBody(cls, bodyOf) {
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
      const blobOf = requireRegistered("blobOfBytes", "blob()");
      const bytes = await takeBytes(bodyOf(this));
      return blobOf(bytes, mimeTypeOf(this)?.[0] ?? "");
    },
    async bytes() {
      return takeBytes(bodyOf(this));
    },
    async formData() {
      const body = bodyOf(this);
      const decode = requireRegistered("decodeForm", "formData()");
      return decode(await takeBytes(body), mimeTypeOf(this));
    },
    async json() {
      const text = takeText(bodyOf(this));
      return parse(typeof text === "string" ? text : await text);
    },
    async text() {
      return takeText(bodyOf(this));
    },
  };
  Object.defineProperties(cls.prototype, Object.getOwnPropertyDescriptors(mixin));
}
