import { blake3 } from "@noble/hashes/blake3.js";
import { pbkdf2 } from "@noble/hashes/pbkdf2.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";

export default {
  async fetch(request) {
    return Response.json({ sha: bytesToHex(sha256(utf8ToBytes("hello"))), blake: bytesToHex(blake3(utf8ToBytes("hello"))), pbkdf2: bytesToHex(pbkdf2(sha256, "password", "salt", { c: 10, dkLen: 32 })) });
  },
};
