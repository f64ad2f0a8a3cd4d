// SHA-3 and SHAKE (FIPS 202), which the host's cryptography does not have. Lanes are two halves of 32 bits, for bitwise
// operators have no more; the state is theirs in turn, the low half first.
const ROUNDS = 24;
const LANES = 25;
const STATE_BYTES = 200;
const ROTATIONS = [1, 3, 6, 10, 15, 21, 28, 36, 45, 55, 2, 14, 27, 41, 56, 8, 25, 43, 62, 18, 39, 61, 20, 44];
const PLACES = [10, 7, 11, 17, 18, 3, 5, 16, 8, 21, 24, 4, 15, 23, 19, 13, 12, 2, 20, 14, 22, 9, 6, 1];
const CONSTANTS_LOW = [
  0x00000001, 0x00008082, 0x0000808a, 0x80008000, 0x0000808b, 0x80000001, 0x80008081, 0x00008009, 0x0000008a, 0x00000088,
  0x80008009, 0x8000000a, 0x8000808b, 0x0000008b, 0x00008089, 0x00008003, 0x00008002, 0x00000080, 0x0000800a, 0x8000000a,
  0x80008081, 0x00008080, 0x80000001, 0x80008008,
];
// The high half of a constant is its uppermost bit or nothing.
const CONSTANTS_HIGH = "001100110000011111011101";

/** Bytes of a digest, where it is extendable those if nothing is asked for; and what ends a message. */
const KECCAK = {
  "sha3-224": { bytes: 28, capacity: 56, suffix: 0x06, isExtendable: false },
  "sha3-256": { bytes: 32, capacity: 64, suffix: 0x06, isExtendable: false },
  "sha3-384": { bytes: 48, capacity: 96, suffix: 0x06, isExtendable: false },
  "sha3-512": { bytes: 64, capacity: 128, suffix: 0x06, isExtendable: false },
  shake128: { bytes: 16, capacity: 32, suffix: 0x1f, isExtendable: true },
  shake256: { bytes: 32, capacity: 64, suffix: 0x1f, isExtendable: true },
};

export const KECCAK_NAMES = Object.keys(KECCAK);

/** The function of that name; undefined if it is none of these. */
export function keccakNamed(name) {
  const key = `${name}`.toLowerCase();
  return Object.hasOwn(KECCAK, key) ? KECCAK[key] : undefined;
}

function permute(state) {
  const parity = new Int32Array(10);
  const row = new Int32Array(10);
  for (let round = 0; round < ROUNDS; round++) {
    for (let at = 0; at < 10; at++) {
      parity[at] = state[at] ^ state[at + 10] ^ state[at + 20] ^ state[at + 30] ^ state[at + 40];
    }
    for (let x = 0; x < 5; x++) {
      const [before, after] = [((x + 4) % 5) * 2, ((x + 1) % 5) * 2];
      const low = parity[before] ^ ((parity[after] << 1) | (parity[after + 1] >>> 31));
      const high = parity[before + 1] ^ ((parity[after + 1] << 1) | (parity[after] >>> 31));
      for (let at = 2 * x; at < 2 * LANES; at += 10) {
        state[at] ^= low;
        state[at + 1] ^= high;
      }
    }
    let [low, high] = [state[2], state[3]];
    for (let step = 0; step < PLACES.length; step++) {
      const at = 2 * PLACES[step];
      const bits = ROTATIONS[step] & 31;
      if (ROTATIONS[step] >= 32) [low, high] = [high, low];
      const rotatedLow = bits === 0 ? low : (low << bits) | (high >>> (32 - bits));
      const rotatedHigh = bits === 0 ? high : (high << bits) | (low >>> (32 - bits));
      [low, high] = [state[at], state[at + 1]];
      state[at] = rotatedLow;
      state[at + 1] = rotatedHigh;
    }
    for (let y = 0; y < 2 * LANES; y += 10) {
      for (let at = 0; at < 10; at++) row[at] = state[y + at];
      for (let at = 0; at < 10; at++) state[y + at] ^= ~row[(at + 2) % 10] & row[(at + 4) % 10];
    }
    state[0] ^= CONSTANTS_LOW[round];
    if (CONSTANTS_HIGH[round] === "1") state[1] ^= 0x80000000;
  }
}

/** The digest of the bytes by one of these functions, of so many bytes. */
export function keccak({ bytes, capacity, suffix }, data, length = bytes) {
  const state = new Int32Array(2 * LANES);
  const view = new Uint8Array(state.buffer);
  const rate = STATE_BYTES - capacity;
  let at = 0;
  for (const byte of data) {
    view[at++] ^= byte;
    if (at < rate) continue;
    permute(state);
    at = 0;
  }
  view[at] ^= suffix;
  view[rate - 1] ^= 0x80;
  const digest = new Uint8Array(length);
  for (let done = 0; done < length; done += rate) {
    permute(state);
    digest.set(view.subarray(0, Math.min(rate, length - done)), done);
  }
  return digest;
}
