// Proofs of the transparency log, checked in this browser: the signed checkpoint (C2SP tlog-checkpoint), the tiles of
// hashes and entries (C2SP tlog-tiles), and the path from an entry to the root of the tree (RFC 6962, 2.1.1).

/** The most hashes or entries of a tile. */
export const WIDTH = 256;
const HASH_BYTES = 32;
/** The most entries that are read, as `elias verify` has it. */
export const SIZE_MAX = 4_194_304;

export type Hash = Uint8Array<ArrayBuffer>;

export class ProofError extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.name = "ProofError";
    this.code = code;
  }
}

/** The verified content of a checkpoint. */
export interface Checkpoint {
  origin: string;
  size: number;
  root: Hash;
}

/** What an entry says. */
export interface LogEntry {
  index: number;
  text: string;
  fields: Record<string, unknown>;
}

/** What was computed on the way from an entry to the root. */
export interface Inclusion {
  entry: LogEntry;
  leaf: Hash;
  path: Hash[];
  checkpoint: Checkpoint;
}

/** Reads a file of the log below `/v1/log/`. */
export type Fetcher = (path: string) => Promise<Uint8Array<ArrayBuffer>>;

async function sha256(...parts: Uint8Array<ArrayBuffer>[]): Promise<Hash> {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}

/** The hash of an entry. */
export const leafHash = (record: Uint8Array<ArrayBuffer>): Promise<Hash> => sha256(new Uint8Array([0]), record);
/** The hash of two neighbouring subtrees. */
export const nodeHash = (left: Hash, right: Hash): Promise<Hash> => sha256(new Uint8Array([1]), left, right);

export function equal(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && left.every((byte, index) => byte === right[index]);
}

export function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  } catch {
    throw new ProofError("log-malformed", "a text is not Base64");
  }
}

export const toBase64 = (bytes: Uint8Array): string => btoa(String.fromCharCode(...bytes));

/** The path of a tile: `tile/LEVEL/INDEX[.p/WIDTH]`, INDEX in threes of digits. */
export function tilePath(level: number | "entries", index: number, width: number): string {
  let digits = String(index % 1_000).padStart(3, "0");
  for (let rest = Math.floor(index / 1_000); rest > 0; rest = Math.floor(rest / 1_000)) {
    digits = `x${String(rest % 1_000).padStart(3, "0")}/${digits}`;
  }
  return `tile/${level}/${digits}${width === WIDTH ? "" : `.p/${width}`}`;
}

/** Opens a checkpoint that the key has signed. `key` is a verifier key such as `localhost/log+1a2b3c4d+AbCd…`. */
export async function openCheckpoint(note: string, key: string): Promise<Checkpoint> {
  const [name = "", hash = "", encoded = ""] = splitKey(key.trim());
  const bytes = fromBase64(encoded);
  if (bytes.length !== HASH_BYTES + 1 || bytes[0] !== 1)
    throw new ProofError("bad-key", "the log's key is not Ed25519");
  const split = note.indexOf("\n\n");
  if (split < 0) throw new ProofError("log-malformed", "the checkpoint is not a signed note");
  const text = note.slice(0, split + 1);
  const signature = note
    .slice(split + 2)
    .split("\n")
    .filter((line) => line.startsWith(`\u2014 ${name} `))
    .map((line) => fromBase64(line.slice(`\u2014 ${name} `.length)))
    .find((candidate) => candidate.length === 68 && toHex(candidate.slice(0, 4)) === hash);
  if (signature === undefined) throw new ProofError("unknown-key", "the log's key did not sign the checkpoint");
  const verifier = await crypto.subtle.importKey("raw", bytes.slice(1), { name: "Ed25519" }, false, ["verify"]);
  const content = new TextEncoder().encode(text);
  if (!(await crypto.subtle.verify("Ed25519", verifier, signature.slice(4), content))) {
    throw new ProofError("bad-signature", "the signature of the checkpoint is wrong");
  }
  const [origin, size, root] = text.split("\n");
  if (origin !== name || size === undefined || root === undefined || !/^(0|[1-9][0-9]{0,15})$/.test(size)) {
    throw new ProofError("log-malformed", "the checkpoint has not the lines origin, size and root");
  }
  const rootHash = fromBase64(root);
  if (rootHash.length !== HASH_BYTES) throw new ProofError("log-malformed", "the root is not a hash");
  if (Number(size) > SIZE_MAX) throw new ProofError("log-too-large", "the log has more entries than are read here");
  return { origin, size: Number(size), root: rootHash };
}

// The key's hash and its Base64 can have a plus sign, the name cannot.
function splitKey(key: string): [string, string, string] {
  const first = key.indexOf("+");
  const second = key.indexOf("+", first + 1);
  if (first < 1 || second < 0) throw new ProofError("bad-key", "the log's key is not a verifier key");
  return [key.slice(0, first), key.slice(first + 1, second), key.slice(second + 1)];
}

export const toHex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

/** The entries of a bundle: each after its length in 16 bits. */
export function readBundle(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer>[] {
  const entries: Uint8Array<ArrayBuffer>[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
    const end = at + 2 + length;
    if (at + 2 > bytes.length || end > bytes.length)
      throw new ProofError("log-malformed", "a tile of entries is cut short");
    entries.push(bytes.slice(at + 2, end));
    at = end;
  }
  return entries;
}

/** The files of a log of a certain size, each read once. */
export class LogReader {
  readonly #fetch: Fetcher;
  readonly #size: number;
  readonly #tiles = new Map<string, Promise<Hash[]>>();

  constructor(fetch: Fetcher, size: number) {
    this.#fetch = fetch;
    this.#size = size;
  }

  /** The entries from one index on, at most those of one tile. */
  async entries(tile: number): Promise<LogEntry[]> {
    const begin = tile * WIDTH;
    const width = Math.min(WIDTH, this.#size - begin);
    if (width <= 0) return [];
    const records = readBundle(await this.#fetch(tilePath("entries", tile, width)));
    if (records.length !== width) throw new ProofError("log-malformed", "a tile has another number of entries");
    return records.map((record, index) => readEntry(begin + index, record));
  }

  /** The hash of the complete subtree of 2^level leaves at a place. */
  async hash(level: number, index: number): Promise<Hash> {
    const tileLevel = Math.floor(level / 8);
    const inside = level % 8;
    const count = 1 << inside;
    const first = index * count;
    const hashes = await this.#tile(tileLevel, Math.floor(first / WIDTH));
    const begin = first % WIDTH;
    let row = hashes.slice(begin, begin + count);
    if (row.length !== count) throw new ProofError("log-incomplete", "a tile lacks a hash that the proof needs");
    while (row.length > 1) {
      const above: Hash[] = [];
      for (let at = 0; at < row.length; at += 2) above.push(await nodeHash(row[at] as Hash, row[at + 1] as Hash));
      row = above;
    }
    return row[0] as Hash;
  }

  #tile(level: number, index: number): Promise<Hash[]> {
    const width = Math.min(WIDTH, Math.floor(this.#size / WIDTH ** level) - index * WIDTH);
    if (width <= 0) return Promise.reject(new ProofError("log-incomplete", "a tile is not in the log"));
    const path = tilePath(level, index, width);
    let tile = this.#tiles.get(path);
    if (tile === undefined) {
      tile = this.#fetch(path).then((bytes) => {
        if (bytes.length !== width * HASH_BYTES) throw new ProofError("log-malformed", "a tile has the wrong size");
        return Array.from({ length: width }, (_, at) => bytes.slice(at * HASH_BYTES, (at + 1) * HASH_BYTES));
      });
      this.#tiles.set(path, tile);
    }
    return tile;
  }
}

function readEntry(index: number, record: Uint8Array<ArrayBuffer>): LogEntry {
  const text = new TextDecoder("utf-8", { fatal: true }).decode(record);
  return { index, text, fields: JSON.parse(text) as Record<string, unknown> };
}

// The largest power of two below a size.
function split(size: number): number {
  let power = 1;
  while (power * 2 < size) power *= 2;
  return power;
}

/** The hash of the leaves from `begin` to `end`: complete subtrees, joined from the right. */
export async function rangeHash(reader: LogReader, begin: number, end: number): Promise<Hash> {
  const size = end - begin;
  if ((size & (size - 1)) === 0) return reader.hash(Math.log2(size), begin / size);
  const left = split(size);
  return nodeHash(await rangeHash(reader, begin, begin + left), await rangeHash(reader, begin + left, end));
}

async function inclusionPath(reader: LogReader, index: number, begin: number, end: number): Promise<Hash[]> {
  if (end - begin === 1) return [];
  const middle = begin + split(end - begin);
  return index < middle
    ? [...(await inclusionPath(reader, index, begin, middle)), await rangeHash(reader, middle, end)]
    : [...(await inclusionPath(reader, index, middle, end)), await rangeHash(reader, begin, middle)];
}

/** The root that a leaf and its path lead to, as RFC 9162, 2.1.3.2 computes it. */
export async function rootFromPath(leaf: Hash, index: number, size: number, path: Hash[]): Promise<Hash> {
  if (index >= size) throw new ProofError("log-tampered", "the entry is not in a log of this size");
  let place = index;
  let last = size - 1;
  let hash = leaf;
  for (const step of path) {
    if (last === 0) throw new ProofError("log-tampered", "the path is too long");
    if (place % 2 === 1 || place === last) {
      hash = await nodeHash(step, hash);
      while (place % 2 === 0 && place !== 0) {
        place = Math.floor(place / 2);
        last = Math.floor(last / 2);
      }
    } else {
      hash = await nodeHash(hash, step);
    }
    place = Math.floor(place / 2);
    last = Math.floor(last / 2);
  }
  if (last !== 0) throw new ProofError("log-tampered", "the path is too short");
  return hash;
}

/** Proves that the entry at an index is what the signed checkpoint commits to. */
export async function proveInclusion(fetch: Fetcher, checkpoint: Checkpoint, index: number): Promise<Inclusion> {
  if (index < 0 || index >= checkpoint.size) {
    throw new ProofError("not-in-log", "the log has no entry with this number");
  }
  const reader = new LogReader(fetch, checkpoint.size);
  const entries = await reader.entries(Math.floor(index / WIDTH));
  const entry = entries[index % WIDTH] as LogEntry;
  const leaf = await leafHash(new TextEncoder().encode(entry.text));
  const path = await inclusionPath(reader, index, 0, checkpoint.size);
  if (!equal(await rootFromPath(leaf, index, checkpoint.size, path), checkpoint.root)) {
    throw new ProofError("log-tampered", "the path does not lead to the root that was signed");
  }
  return { entry, leaf, path, checkpoint };
}
