// TextEncoder and TextDecoder. UTF-8 is native; legacy-encodings.js has the others.
// https://encoding.spec.whatwg.org/#api (7)
import native from "elias:native";
import { registry } from "../internal/registry.js";
import { bytesOf, concat } from "../webidl/bytes.js";
import { defineInterface } from "../webidl/interfaces.js";

const UTF8_LABELS = ["utf-8", "utf8", "unicode-1-1-utf-8", "unicode11utf8", "unicode20utf8", "x-unicode20utf8"];
const NO_BYTES = new Uint8Array(0);

export class TextEncoder {
  // Only a TextEncoder has this field: its methods throw for any other object, as Web IDL requires.
  #encoding = "utf-8";

  get encoding() {
    return this.#encoding;
  }

  encode(input = "") {
    if (!(#encoding in this)) throw new TypeError("not a TextEncoder");
    return native.utf8Encode(`${input}`);
  }

  encodeInto(source, destination) {
    if (!(#encoding in this)) throw new TypeError("not a TextEncoder");
    if (!(destination instanceof Uint8Array)) throw new TypeError("encodeInto needs a Uint8Array to write to");
    const [read, written] = native.utf8EncodeInto(`${source}`, destination);
    return { read, written };
  }
}

const SPACE_AROUND = /^[\t\n\f\r ]+|[\t\n\f\r ]+$/g;

/** The decoder for the encoding with that label. */
function decoderOf(label, options) {
  try {
    return new registry.EncodingDecoder(label, options);
  } catch {
    throw new RangeError(`the encoding ${JSON.stringify(label)} does not exist; use a label of the Encoding Standard`);
  }
}

export class TextDecoder {
  // Decodes what is not UTF-8.
  #decoder = undefined;
  #fatal;
  #ignoreBOM;
  // The bytes of a character whose end is in the next chunk.
  #pending = NO_BYTES;
  // Whether something was decoded, after which a BOM is a character like any other.
  #started = false;

  constructor(label = "utf-8", options = undefined) {
    const { fatal = false, ignoreBOM = false } = options ?? {};
    label = `${label}`.replace(SPACE_AROUND, "").toLowerCase();
    this.#fatal = Boolean(fatal);
    this.#ignoreBOM = Boolean(ignoreBOM);
    if (!UTF8_LABELS.includes(label)) this.#decoder = decoderOf(label, { fatal: this.#fatal, ignoreBOM: this.#ignoreBOM });
  }

  get encoding() {
    return this.#decoder?.encoding ?? "utf-8";
  }

  get fatal() {
    return this.#fatal;
  }

  get ignoreBOM() {
    return this.#ignoreBOM;
  }

  decode(input = undefined, options = undefined) {
    const stream = Boolean(options?.stream);
    let bytes = input === undefined ? NO_BYTES : (bytesOf(input) ?? sharedBytes(input));
    if (bytes === undefined) throw new TypeError("decode needs an ArrayBuffer or a view on one");
    // The view may be on a buffer that is detached, which has no bytes.
    if (bytes.length === 0) bytes = NO_BYTES;
    if (this.#decoder !== undefined) return this.#decoder.decode(bytes, { stream });
    if (this.#pending.length > 0) bytes = concat([this.#pending, bytes]);
    const keepBOM = this.#ignoreBOM || this.#started;
    // Whatever comes of this call, a stream that is not continued starts anew.
    this.#pending = NO_BYTES;
    this.#started = false;
    if (!stream) return native.utf8Decode(bytes, this.#fatal, keepBOM);
    const rest = unfinished(bytes);
    const text = native.utf8Decode(bytes.subarray(0, bytes.length - rest), this.#fatal, keepBOM);
    this.#pending = bytes.slice(bytes.length - rest);
    this.#started = keepBOM || bytes.length > rest;
    return text;
  }
}

/** The bytes of shared memory, which a TextDecoder takes ([AllowShared]) and most others do not. */
const sharedBytes = (value) => (value instanceof SharedArrayBuffer ? new Uint8Array(value) : undefined);

/** How many bytes at the end are the start of a character that more bytes can complete. */
function unfinished(bytes) {
  const end = bytes.length;
  for (let back = 1; back <= 3 && back <= end; back++) {
    const byte = bytes[end - back];
    if (byte >= 0x80 && byte <= 0xbf) continue; // a continuation byte: the first byte is further ahead
    const length = byte >= 0xf0 && byte <= 0xf4 ? 4 : byte >= 0xe0 && byte < 0xf0 ? 3 : byte >= 0xc2 && byte < 0xe0 ? 2 : 1;
    if (length <= back) return 0;
    return back === 1 || isSecond(byte, bytes[end - back + 1]) ? back : 0;
  }
  return 0;
}

/** Whether `second` may follow `first`: overlong forms, surrogates and code points above U+10FFFF are excluded. */
function isSecond(first, second) {
  if (first === 0xe0) return second >= 0xa0;
  if (first === 0xed) return second <= 0x9f;
  if (first === 0xf0) return second >= 0x90;
  if (first === 0xf4) return second <= 0x8f;
  return true;
}

defineInterface(TextEncoder);
defineInterface(TextDecoder);
