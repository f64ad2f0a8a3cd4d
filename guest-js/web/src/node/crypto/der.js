// DER (X.690) and PEM (RFC 7468), as far as keys need them.
import { concat } from "../../webidl/bytes.js";
import { Buffer } from "../buffer.js";
import { asBytes } from "./support.js";

export const INTEGER = 0x02;
const BIT_STRING = 0x03;
export const OCTET_STRING = 0x04;
export const NULL = 0x05;
const OID = 0x06;
export const SEQUENCE = 0x30;

class DerError extends Error {}

export const isDerError = (error) => error instanceof DerError;

/** Reads one value after the other. */
export class DerReader {
  #bytes;
  #at = 0;

  constructor(bytes) {
    this.#bytes = bytes;
  }

  get done() {
    return this.#at >= this.#bytes.length;
  }

  get tag() {
    return this.#bytes[this.#at];
  }

  /** The content of the next value, which must have this tag. */
  read(tag) {
    const [start, end] = this.#extent(tag);
    this.#at = end;
    return this.#bytes.subarray(start, end);
  }

  /** The next value as it stands, with tag and length. */
  whole(tag) {
    const from = this.#at;
    const [, end] = this.#extent(tag);
    this.#at = end;
    return this.#bytes.subarray(from, end);
  }

  enter(tag = SEQUENCE) {
    return new DerReader(this.read(tag));
  }

  /** Skips the next value, of any tag or only of this one. */
  pass(tag = this.tag) {
    if (this.tag === tag) this.read(tag);
  }

  /** A number without the zero byte that keeps it positive. */
  unsigned() {
    const bytes = this.read(INTEGER);
    let at = 0;
    while (at < bytes.length - 1 && bytes[at] === 0) at++;
    return bytes.subarray(at);
  }

  small() {
    return this.unsigned().reduce((value, byte) => value * 256 + byte, 0);
  }

  /** An object identifier as hexadecimal digits of its content. */
  oid() {
    return Buffer.from(this.read(OID)).toString("hex");
  }

  bits() {
    const bytes = this.read(BIT_STRING);
    if (bytes[0] !== 0) throw new DerError("a bit string of odd length");
    return bytes.subarray(1);
  }

  #extent(tag) {
    const bytes = this.#bytes;
    let at = this.#at;
    if (bytes[at] !== tag || tag === undefined) throw new DerError("another value was expected");
    let length = bytes[at + 1];
    at += 2;
    if (length > 0x80 && length <= 0x84) {
      const digits = length - 0x80;
      length = 0;
      for (let digit = 0; digit < digits; digit++) length = length * 256 + bytes[at++];
    } else if (length >= 0x80) {
      throw new DerError("a length that DER does not have");
    }
    if (!(at + length <= bytes.length)) throw new DerError("the end is missing");
    return [at, at + length];
  }
}

/** A value of its parts. */
export function der(tag, ...parts) {
  const content = concat([new Uint8Array(0), ...parts]);
  const digits = [];
  for (let rest = content.length; rest > 0; rest = Math.floor(rest / 256)) digits.unshift(rest % 256);
  const length = content.length < 0x80 ? [content.length] : [0x80 + digits.length, ...digits];
  return concat([Uint8Array.of(tag, ...length), content]);
}

/** A positive number. */
export function derUnsigned(bytes) {
  let at = 0;
  while (at < bytes.length - 1 && bytes[at] === 0) at++;
  const digits = bytes.length === 0 ? Uint8Array.of(0) : bytes.subarray(at);
  return der(INTEGER, digits[0] >= 0x80 ? Uint8Array.of(0) : new Uint8Array(0), digits);
}

export const derOid = (hex) => der(OID, asBytes(Buffer.from(hex, "hex")));
export const derBits = (bytes) => der(BIT_STRING, Uint8Array.of(0), bytes);
export const derSequence = (...parts) => der(SEQUENCE, ...parts);

/** The first block of a PEM text: its label, its headers and its bytes; undefined if there is none. */
export function parsePem(text) {
  const found = /-----BEGIN ([A-Z0-9 ]+)-----\s*([^-]*(?:-(?!----END)[^-]*)*)-----END \1-----/.exec(text);
  if (found === null) return undefined;
  const [, label, body] = found;
  const headers = {};
  const base64 = body.replace(/^([\w-]+):[ \t]*(.*)$/gm, (_, name, value) => {
    headers[name] = value.trim();
    return "";
  });
  return { label, headers, bytes: asBytes(Buffer.from(base64.replace(/\s+/g, ""), "base64")) };
}

export function formatPem(label, bytes) {
  const lines = Buffer.from(bytes).toString("base64").match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}
