import { beforeAll, describe, expect, test } from "vitest";
import {
  LogReader,
  ProofError,
  equal,
  leafHash,
  nodeHash,
  openCheckpoint,
  proveInclusion,
  rangeHash,
  rootFromPath,
  tilePath,
  toBase64,
  toHex,
  type Checkpoint,
  type Hash,
} from "../src/lib/proof";

const bytes = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);

// The tree by its definition in RFC 6962, 2.1, without tiles.
async function root(leaves: Hash[]): Promise<Hash> {
  if (leaves.length === 1) return leaves[0] as Hash;
  let middle = 1;
  while (middle * 2 < leaves.length) middle *= 2;
  return nodeHash(await root(leaves.slice(0, middle)), await root(leaves.slice(middle)));
}

/** A log of some entries as its files. */
async function logOf(size: number): Promise<{ files: Map<string, Uint8Array<ArrayBuffer>>; leaves: Hash[] }> {
  const records = Array.from({ length: size }, (_, index) =>
    bytes(JSON.stringify({ version: index, component: "shop" })),
  );
  const leaves = await Promise.all(records.map(leafHash));
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  let row = leaves;
  for (let level = 0; row.length > 0; level += 1) {
    const above: Hash[] = [];
    for (let tile = 0; tile * 256 < row.length; tile += 1) {
      const part = row.slice(tile * 256, tile * 256 + 256);
      files.set(tilePath(level, tile, part.length), Uint8Array.from(part.flatMap((hash) => [...hash])));
      if (part.length === 256) above.push(await root(part));
    }
    row = above;
  }
  for (let tile = 0; tile * 256 < size; tile += 1) {
    const part = records.slice(tile * 256, tile * 256 + 256);
    const content = part.flatMap((record) => [record.length >> 8, record.length & 255, ...record]);
    files.set(tilePath("entries", tile, part.length), Uint8Array.from(content));
  }
  return { files, leaves };
}

function fetcher(files: Map<string, Uint8Array<ArrayBuffer>>) {
  return (path: string): Promise<Uint8Array<ArrayBuffer>> => {
    const file = files.get(path);
    return file === undefined ? Promise.reject(new ProofError("log-incomplete", path)) : Promise.resolve(file);
  };
}

test("the paths of tiles are those of tlog-tiles", () => {
  expect(tilePath(0, 0, 256)).toBe("tile/0/000");
  expect(tilePath(1, 5, 12)).toBe("tile/1/005.p/12");
  expect(tilePath("entries", 1_234_067, 256)).toBe("tile/entries/x001/x234/067");
  expect(tilePath("entries", 1_000, 256)).toBe("tile/entries/x001/000");
});

describe.each([1, 2, 3, 7, 8, 255, 256, 257, 700])("a log of %i entries", (size) => {
  test("proves its entries, and the beginnings that it had", async () => {
    const { files, leaves } = await logOf(size);
    const checkpoint: Checkpoint = { origin: "log", size, root: await root(leaves) };
    for (const index of new Set([0, Math.floor(size / 2), size - 1])) {
      const { entry, path } = await proveInclusion(fetcher(files), checkpoint, index);
      expect(entry.fields["version"]).toBe(index);
      // The same by the algorithm alone, with the other entries' hashes.
      expect(equal(await rootFromPath(leaves[index] as Hash, index, size, path), checkpoint.root)).toBe(true);
    }
    const before = Math.ceil(size / 3);
    const reader = new LogReader(fetcher(files), size);
    expect(toHex(await rangeHash(reader, 0, before))).toBe(toHex(await root(leaves.slice(0, before))));
  });

  test("is not believed once a byte of it was changed", async () => {
    const { files, leaves } = await logOf(size);
    const checkpoint: Checkpoint = { origin: "log", size, root: await root(leaves) };
    const index = size - 1;
    const tile = Math.floor(index / 256);
    const name = tilePath("entries", tile, Math.min(256, size - tile * 256));
    const changed = (files.get(name) as Uint8Array<ArrayBuffer>).slice();
    // The version in the last entry.
    const at = changed.length - '","component":"shop"}'.length;
    changed[at] = (changed[at] ?? 0) === 57 ? 56 : 57;
    files.set(name, changed);
    await expect(proveInclusion(fetcher(files), checkpoint, index)).rejects.toMatchObject({ code: "log-tampered" });
  });
});

test("paths of the wrong length are refused", async () => {
  const leaf = await leafHash(bytes("a"));
  await expect(rootFromPath(leaf, 0, 2, [])).rejects.toMatchObject({ code: "log-tampered" });
  await expect(rootFromPath(leaf, 0, 1, [leaf])).rejects.toMatchObject({ code: "log-tampered" });
  await expect(rootFromPath(leaf, 3, 2, [leaf])).rejects.toMatchObject({ code: "log-tampered" });
});

test("an entry that the log does not have is told apart from one that is wrong", async () => {
  const { files, leaves } = await logOf(3);
  const checkpoint: Checkpoint = { origin: "log", size: 3, root: await root(leaves) };
  await expect(proveInclusion(fetcher(files), checkpoint, 3)).rejects.toMatchObject({ code: "not-in-log" });
});

describe("checkpoints", () => {
  const text = `example.com/log\n2\n${toBase64(new Uint8Array(32))}\n`;
  let verifier = "";
  let signature = new Uint8Array();

  beforeAll(async () => {
    const pair = await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"]);
    const key = new Uint8Array([1, ...new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey))]);
    const name = bytes("example.com/log\n");
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", new Uint8Array([...name, ...key]))).slice(0, 4);
    verifier = `example.com/log+${toHex(hash)}+${toBase64(key)}`;
    signature = new Uint8Array([
      ...hash,
      ...new Uint8Array(await crypto.subtle.sign("Ed25519", pair.privateKey, bytes(text))),
    ]);
  });

  const note = (content: string, signed: Uint8Array): string =>
    `${content}\n\u2014 example.com/log ${toBase64(signed)}\n`;

  test("that the key has signed are opened", async () => {
    expect(await openCheckpoint(note(text, signature), verifier)).toMatchObject({ origin: "example.com/log", size: 2 });
  });

  test("that were altered, or that another signed, are not", async () => {
    const altered = text.replace("\n2\n", "\n3\n");
    await expect(openCheckpoint(note(altered, signature), verifier)).rejects.toMatchObject({ code: "bad-signature" });
    const other = signature.slice();
    other[0] = (other[0] ?? 0) ^ 1;
    await expect(openCheckpoint(note(text, other), verifier)).rejects.toMatchObject({ code: "unknown-key" });
    await expect(openCheckpoint("no note", verifier)).rejects.toMatchObject({ code: "log-malformed" });
    await expect(openCheckpoint(note(text, signature), "nonsense")).rejects.toMatchObject({ code: "bad-key" });
  });
});
