import nacl from "tweetnacl";

export default {
  async fetch(request) {
    const message = new Uint8Array([1, 2, 3]);
    const pair = nacl.sign.keyPair.fromSeed(new Uint8Array(32).fill(7));
    return Response.json({ hash: [...nacl.hash(new Uint8Array([1, 2, 3]))].slice(0, 8), verified: nacl.sign.detached.verify(message, nacl.sign.detached(message, pair.secretKey), pair.publicKey), publicKey: [...pair.publicKey] });
  },
};
