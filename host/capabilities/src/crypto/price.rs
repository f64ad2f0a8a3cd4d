//! Prices of operations, in fuel.
//!
//! Ten units are a nanosecond. Work that guests' own threads do has the price that it takes, as it was measured: it
//! moves the guest towards its next yield. What is done aside holds up no guest, and costs less than it takes:
//! cryptography in the host is to be cheaper than in the guest, and cannot be free.

use super::types::{Cipher, Curve, Hash};

/// Of a byte that is taken in.
pub(super) const BYTE: u64 = 2;
/// Of a byte that is wrapped with a key, which is encrypted six times, one block after the other.
pub(super) const WRAPPED_BYTE: u64 = 250;
/// Of a call, whatever it does.
pub(super) const CALL: u64 = 3_000;
/// Of an iteration of PBKDF2, for 32 bytes of its output. Aside.
pub(super) const ITERATION: u64 = 1_000;
/// Of mixing 128 bytes once, of which scrypt does N * r * p. Aside.
pub(super) const MIX: u64 = 1_000;
/// Of a byte that a key is derived into.
pub(super) const DERIVED_BYTE: u64 = 100;

/// Of a byte that is hashed: processors have instructions for SHA-1 and SHA-256.
pub(super) fn hash_byte(hash: Hash) -> u64 {
    match hash {
        Hash::Sha1 | Hash::Sha256 => 8,
        Hash::Md5 | Hash::Sha384 | Hash::Sha512 => HASH_BYTE_MAX,
    }
}

/// Of a byte that is hashed by the slowest hash.
pub(super) const HASH_BYTE_MAX: u64 = 25;

/// Of a byte that is encrypted.
pub(super) fn cipher_byte(cipher: &Cipher) -> u64 {
    match cipher {
        Cipher::Gcm(_) | Cipher::Cbc(_) | Cipher::Ctr(_) => 20,
        Cipher::Kw => WRAPPED_BYTE,
    }
}

/// Of an operation on a curve: multiplying a point, or two for a verification. Beyond a millisecond it is done aside.
pub(super) fn curve(curve: Curve) -> u64 {
    match curve {
        Curve::Ed25519 | Curve::X25519 => 800_000,
        Curve::P256 => 3_000_000,
        Curve::P384 => 14_000_000,
        Curve::P521 => CURVE_MAX,
    }
}

/// Of looking at a public key, as a part of an operation on its curve.
pub(super) const LOOK_PART: u64 = 20;

/// Of an operation on the most expensive curve.
pub(super) const CURVE_MAX: u64 = 28_000_000;

/// Bits of the modulus of the largest RSA key.
pub(super) const RSA_BITS_MAX: u64 = 8192;

/// Of an operation with a private RSA key with this many bits: cubic. Aside.
pub(super) fn rsa_private(bits: u64) -> u64 {
    600_000 * bits.div_ceil(1024).max(1).pow(3)
}

/// Of an operation with a public RSA key with this many bits, or of checking one: square. Aside.
pub(super) fn rsa_public(bits: u64) -> u64 {
    60_000 * bits.div_ceil(1024).max(1).pow(2)
}

/// Of generating an RSA key with this many bits. Aside.
pub(super) fn rsa_generate(bits: u64) -> u64 {
    40_000_000 * bits.div_ceil(1024).max(1).pow(4)
}

#[cfg(test)]
mod tests;
