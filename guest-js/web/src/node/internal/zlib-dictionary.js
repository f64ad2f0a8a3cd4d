// Deflate with a preset dictionary (RFC 1950, 2.2), over coders of raw deflate that know of none.
//
// An encoder is given the dictionary first and flushed, and what that makes is thrown away: what follows refers to it. A decoder is
// given the dictionary as a stored block, whose bytes are taken off its output.
import native from "elias:native";
import { concat } from "../../webidl/bytes.js";

const WINDOW_BYTES = 32 * 1024;
const ADLER_MODULUS = 65_521;
/** So many bytes can be summed before a sum is too large for 32 bits. */
const ADLER_STEP = 3800;

/** Adler-32 (RFC 1950, 9), from the sum of what came before. */
function adler32(bytes, sum = 1) {
  let low = sum & 0xffff;
  let high = sum >>> 16;
  for (let at = 0; at < bytes.length; ) {
    for (const end = Math.min(at + ADLER_STEP, bytes.length); at < end; at++) {
      low += bytes[at];
      high += low;
    }
    low %= ADLER_MODULUS;
    high %= ADLER_MODULUS;
  }
  return ((high << 16) | low) >>> 0;
}

const bigEndian = (number) => Uint8Array.of(number >>> 24, number >>> 16, number >>> 8, number);

const recent = (dictionary) => dictionary.subarray(Math.max(0, dictionary.length - WINDOW_BYTES));

/** The second byte of zlib's header says how hard it was tried, that there is a dictionary, and makes the two divisible by 31. */
function header(level) {
  const effort = level === undefined || level === 6 ? 2 : level < 2 ? 0 : level < 6 ? 1 : 3;
  const flags = (effort << 6) | 0x20;
  return Uint8Array.of(0x78, flags + 31 - ((0x7800 + flags) % 31));
}

/** Compresses; `isRaw` leaves zlib's header and checksum out. */
export class DictionaryEncoder {
  constructor(isRaw, level, dictionary) {
    this.isRaw = isRaw;
    this.sum = 1;
    this.begin = isRaw ? new Uint8Array(0) : concat([header(level), bigEndian(adler32(dictionary))]);
    this.id = native.coderNew("deflate-raw", true, level, undefined, true);
    native.coderPush(this.id, recent(dictionary));
    native.coderFlush(this.id);
  }

  push(bytes) {
    if (!this.isRaw) this.sum = adler32(bytes, this.sum);
    return this.#out(native.coderPush(this.id, bytes));
  }

  flush() {
    return this.#out(native.coderFlush(this.id));
  }

  end() {
    const rest = this.#out(native.coderEnd(this.id, false));
    return this.isRaw ? rest : concat([rest, bigEndian(this.sum)]);
  }

  drop() {
    native.coderDrop(this.id);
  }

  #out(bytes) {
    const { begin } = this;
    this.begin = new Uint8Array(0);
    return begin.length === 0 ? bytes : concat([begin, bytes]);
  }
}

/** Decompresses what was compressed with a dictionary. `fail` makes the errors of node:zlib. */
export class DictionaryDecoder {
  constructor(isRaw, dictionary, fail) {
    this.isRaw = isRaw;
    this.fail = fail;
    this.dictionary = dictionary;
    this.sum = 1;
    // Before the header is whole: it; then the last bytes, which may be the checksum.
    this.held = new Uint8Array(0);
    this.id = undefined;
    if (isRaw) this.#open();
  }

  #open() {
    const dictionary = recent(this.dictionary);
    const { length } = dictionary;
    this.id = native.coderNew("deflate-raw", false, undefined, undefined, true);
    const out = native.coderPush(this.id, concat([Uint8Array.of(0, length, length >>> 8, ~length, ~length >>> 8), dictionary]));
    // A decoder may keep some until more comes.
    this.skip = length - out.length;
  }

  push(bytes) {
    if (this.isRaw) return this.#out(native.coderPush(this.id, bytes));
    const all = concat([this.held, bytes]);
    const HEADER = 6;
    let from = 0;
    if (this.id === undefined) {
      if (all.length < HEADER) {
        this.held = all;
        return new Uint8Array(0);
      }
      const wanted = ((all[2] << 24) | (all[3] << 16) | (all[4] << 8) | all[5]) >>> 0;
      if (wanted !== adler32(this.dictionary)) throw this.fail("Z_NEED_DICT", 2, "Bad dictionary");
      this.#open();
      from = HEADER;
    }
    const to = Math.max(from, all.length - 4);
    this.held = all.slice(to);
    const out = this.#out(native.coderPush(this.id, all.subarray(from, to)));
    this.sum = adler32(out, this.sum);
    return out;
  }

  flush() {
    return new Uint8Array(0);
  }

  end(partial) {
    if (this.id === undefined) {
      if (partial) return new Uint8Array(0);
      throw this.fail("Z_BUF_ERROR", -5, "unexpected end of file");
    }
    // A stream that was cut short has no checksum, and what is held belongs to it.
    const out = partial && !this.isRaw ? this.#out(native.coderPush(this.id, this.held)) : new Uint8Array(0);
    native.coderEnd(this.id, partial);
    const { held } = this;
    if (!this.isRaw && !partial && (held.length < 4 || ((held[0] << 24) | (held[1] << 16) | (held[2] << 8) | held[3]) >>> 0 !== this.sum)) {
      throw held.length < 4 ? this.fail("Z_BUF_ERROR", -5, "unexpected end of file") : this.fail("Z_DATA_ERROR", -3, "incorrect data check");
    }
    return out;
  }

  drop() {
    if (this.id !== undefined) native.coderDrop(this.id);
  }

  #out(bytes) {
    const skipped = Math.min(this.skip, bytes.length);
    this.skip -= skipped;
    return bytes.subarray(skipped);
  }
}
