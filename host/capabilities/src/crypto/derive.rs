//! Keys from passwords: PBKDF2 and scrypt, which take long by design.
//!
//! The crates of RustCrypto do each in one go, for seconds if the guest wants. Here the loops around their hashes can
//! be left and entered again: work that is done aside is done in parts of some milliseconds, and ends with the
//! execution that it is for.

use super::hash::with_hash;
use super::types::{Bytes, ErrorCode, Hash, Secret};
use hmac::digest::Output;
use hmac::{Hmac, Mac};
use md5::Md5;
use salsa20::SalsaCore;
use salsa20::cipher::StreamCipherCore;
use salsa20::cipher::consts::U4;
use sha1::Sha1;
use sha2::{Sha256, Sha384, Sha512};
use std::task::Poll;
use zeroize::Zeroizing;

/// Bytes that a key derivation gives at most.
pub(super) const DERIVED_BYTES_MAX: u32 = 16 << 20;
/// Iterations that PBKDF2 makes at most.
pub(super) const ITERATIONS_MAX: u32 = 10_000_000;

/// Bytes of memory that scrypt takes at most, for its table and for its blocks each.
const SCRYPT_MEMORY_MAX: u64 = 64 << 20;

/// The most N * r * p, which follows from the limit of memory.
pub(super) const SCRYPT_MIXES_MAX: u64 = (SCRYPT_MEMORY_MAX / 128) * (SCRYPT_MEMORY_MAX / 128);

/// Iterations of PBKDF2 of one part: about a millisecond.
const ITERATIONS_OF_A_PART: u32 = 2_000;

/// Blocks of 64 bytes that scrypt mixes in one part: about a millisecond.
const BLOCKS_OF_A_PART: usize = 8_000;

/// Work that is done part by part.
pub(super) type Parts = Box<dyn FnMut() -> Poll<Bytes> + Send>;

/// PBKDF2 (RFC 8018).
///
/// # Errors
/// [`ErrorCode::Unsupported`] for more than [`ITERATIONS_MAX`] iterations or [`DERIVED_BYTES_MAX`] bytes, or no
/// iterations.
pub(super) fn pbkdf2(
    hash: Hash,
    password: &Secret,
    salt: &[u8],
    iterations: u32,
    bytes: u32,
) -> Result<Parts, ErrorCode> {
    if iterations == 0 || iterations > ITERATIONS_MAX || bytes > DERIVED_BYTES_MAX {
        return Err(ErrorCode::Unsupported);
    }
    Ok(with_hash!(hash, H => {
        let keyed = <Hmac<H> as Mac>::new_from_slice(password).map_err(|_| ErrorCode::InvalidKey)?;
        let mut work = Pbkdf2::new(keyed, salt, iterations, bytes as usize);
        Box::new(move || work.part().map(|derived| Ok(derived.to_vec()))) as Parts
    }))
}

/// PBKDF2 with a keyed hash, between two parts.
struct Pbkdf2<M: Mac> {
    keyed: M,
    /// `keyed`, with the salt in it.
    salted: M,
    iterations: u32,
    derived: Zeroizing<Vec<u8>>,
    /// Bytes of `derived` that are there.
    filled: usize,
    /// The block under way, from 1, and its iterations that are done.
    block: u32,
    done: u32,
    last: Output<M>,
    sum: Output<M>,
}

impl<M: Mac + Clone> Pbkdf2<M> {
    fn new(keyed: M, salt: &[u8], iterations: u32, bytes: usize) -> Self {
        let mut salted = keyed.clone();
        salted.update(salt);
        let derived = Zeroizing::new(vec![0; bytes]);
        let (last, sum) = (Output::<M>::default(), Output::<M>::default());
        Self { keyed, salted, iterations, derived, filled: 0, block: 1, done: 0, last, sum }
    }

    /// Does a part; at the end it gives what was derived.
    fn part(&mut self) -> Poll<Zeroizing<Vec<u8>>> {
        let mut left = ITERATIONS_OF_A_PART;
        while self.filled < self.derived.len() {
            if left == 0 {
                return Poll::Pending;
            }
            if self.done == 0 {
                let mut mac = self.salted.clone();
                mac.update(&self.block.to_be_bytes());
                self.last = mac.finalize().into_bytes();
                self.sum = self.last.clone();
                self.done = 1;
                left -= 1;
            }
            let now = left.min(self.iterations - self.done);
            for _ in 0..now {
                let mut mac = self.keyed.clone();
                mac.update(&self.last);
                self.last = mac.finalize().into_bytes();
                self.sum.iter_mut().zip(&self.last).for_each(|(sum, byte)| *sum ^= byte);
            }
            self.done += now;
            left -= now;
            if self.done == self.iterations {
                let bytes = (self.derived.len() - self.filled).min(self.sum.len());
                self.derived[self.filled..self.filled + bytes].copy_from_slice(&self.sum[..bytes]);
                self.filled += bytes;
                self.block += 1;
                self.done = 0;
            }
        }
        Poll::Ready(std::mem::take(&mut self.derived))
    }
}

/// Bytes of memory that scrypt takes with these parameters.
///
/// # Errors
/// [`ErrorCode::Unsupported`] if that is more than it may, or the parameters are none.
pub(super) fn scrypt_memory(n: u32, r: u32, p: u32) -> Result<u64, ErrorCode> {
    let bytes = |blocks: u32| 128_u64.checked_mul(blocks.into())?.checked_mul(r.into());
    let allowed = |bytes: &u64| (1..=SCRYPT_MEMORY_MAX).contains(bytes);
    match (bytes(n).filter(allowed), bytes(p).filter(allowed)) {
        (Some(table), Some(blocks)) if n > 1 && n.is_power_of_two() => Ok(table + blocks),
        _ => Err(ErrorCode::Unsupported),
    }
}

/// scrypt (RFC 7914) with parameters that [`scrypt_memory`] lets pass. It takes that memory from its first part to its
/// last.
///
/// # Errors
/// [`ErrorCode::Unsupported`] for more than [`DERIVED_BYTES_MAX`] bytes.
pub(super) fn scrypt(password: &Secret, salt: &[u8], n: u32, r: u32, p: u32, bytes: u32) -> Result<Parts, ErrorCode> {
    if bytes > DERIVED_BYTES_MAX {
        return Err(ErrorCode::Unsupported);
    }
    let keyed = <Hmac<Sha256> as Mac>::new_from_slice(password).map_err(|_| ErrorCode::InvalidKey)?;
    let lane_bytes = 128 * r as usize;
    let first = Pbkdf2::new(keyed.clone(), salt, 1, lane_bytes * p as usize);
    let (mut stage, n) = (Stage::Spreading(first), n as usize);
    Ok(Box::new(move || {
        match &mut stage {
            Stage::Spreading(work) => {
                if let Poll::Ready(blocks) = work.part() {
                    stage = Stage::Mixing(Mixer::new(blocks, lane_bytes, n));
                }
            }
            Stage::Mixing(mixer) => {
                if mixer.part() {
                    stage = Stage::Gathering(Pbkdf2::new(keyed.clone(), &mixer.blocks, 1, bytes as usize));
                }
            }
            Stage::Gathering(work) => return work.part().map(|derived| Ok(derived.to_vec())),
        }
        Poll::Pending
    }))
}

/// How far a scrypt is.
enum Stage {
    Spreading(Pbkdf2<Hmac<Sha256>>),
    Mixing(Mixer),
    Gathering(Pbkdf2<Hmac<Sha256>>),
}

/// scryptROMix of one lane after another.
struct Mixer {
    blocks: Zeroizing<Vec<u8>>,
    /// The table V, of one lane at a time.
    table: Zeroizing<Vec<u8>>,
    scratch: Zeroizing<Vec<u8>>,
    lane_bytes: usize,
    n: usize,
    /// The lane under way, and its steps that are done, of 2 * n.
    lane: usize,
    step: usize,
}

impl Mixer {
    fn new(blocks: Zeroizing<Vec<u8>>, lane_bytes: usize, n: usize) -> Self {
        let zeroed = |bytes| Zeroizing::new(vec![0; bytes]);
        Self { blocks, table: zeroed(lane_bytes * n), scratch: zeroed(lane_bytes), lane_bytes, n, lane: 0, step: 0 }
    }

    /// Does a part. Whether it was the last.
    fn part(&mut self) -> bool {
        let Self { blocks, table, scratch, lane_bytes, n, lane, step } = self;
        for _ in 0..(BLOCKS_OF_A_PART * 64 / *lane_bytes).max(1) {
            let Some(block) = blocks.chunks_exact_mut(*lane_bytes).nth(*lane) else { return true };
            if *step < *n {
                let kept = &mut table[*step * *lane_bytes..][..*lane_bytes];
                kept.copy_from_slice(block);
                mix(kept, block);
            } else {
                // The first word of the last 64 bytes, modulo a power of two.
                let [a, b, c, d] = [64, 63, 62, 61].map(|back| block[*lane_bytes - back]);
                let at = u32::from_le_bytes([a, b, c, d]) as usize & (*n - 1);
                let kept = &table[at * *lane_bytes..][..*lane_bytes];
                scratch.iter_mut().zip(block.iter().zip(kept)).for_each(|(out, (a, b))| *out = a ^ b);
                mix(scratch, block);
            }
            *step += 1;
            if *step == 2 * *n {
                (*lane, *step) = (*lane + 1, 0);
            }
        }
        *lane * *lane_bytes == blocks.len()
    }
}

/// scryptBlockMix, with Salsa20/8.
fn mix(input: &[u8], output: &mut [u8]) {
    let mut x = [0_u8; 64];
    x.copy_from_slice(&input[input.len() - 64..]);
    for (at, chunk) in input.chunks_exact(64).enumerate() {
        let mut words = [0_u32; 16];
        for (word, (a, b)) in words.iter_mut().zip(x.chunks_exact(4).zip(chunk.chunks_exact(4))) {
            let bytes = |bytes: &[u8]| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
            *word = bytes(a) ^ bytes(b);
        }
        SalsaCore::<U4>::from_raw_state(words).write_keystream_block((&mut x).into());
        // Even ones make the first half, odd ones the second.
        let to = at / 2 * 64 + at % 2 * input.len() / 2;
        output[to..to + 64].copy_from_slice(&x);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(parts: Result<Parts, ErrorCode>) -> (Vec<u8>, usize) {
        let mut parts = parts.expect("it is allowed");
        for number in 1.. {
            if let Poll::Ready(derived) = parts() {
                return (derived.expect("derived"), number);
            }
        }
        unreachable!("it ends")
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn secret(text: &str) -> Secret {
        Secret::new(text.as_bytes().to_vec())
    }

    #[test]
    fn pbkdf2_answers_as_rfc_6070_and_in_parts() {
        let check = |salt: &str, iterations, bytes, expected: &str| {
            let (derived, parts) = whole(pbkdf2(Hash::Sha1, &secret("password"), salt.as_bytes(), iterations, bytes));
            assert_eq!(hex(&derived), expected);
            parts
        };
        check("salt", 1, 20, "0c60c80f961f0e71f3a9b524af6012062fe037a6");
        check("salt", 2, 20, "ea6c014dc72d6f8ccd1ed92ace1d41f0d8de8957");
        let short = check("salt", 4096, 20, "4b007901b765489abead49d926f721d065a429c1");
        assert_eq!(short, 4096 / ITERATIONS_OF_A_PART as usize + 1);
        let (long, parts) = whole(pbkdf2(
            Hash::Sha1,
            &secret("passwordPASSWORDpassword"),
            b"saltSALTsaltSALTsaltSALTsaltSALTsalt",
            4096,
            25,
        ));
        assert_eq!(hex(&long), "3d2eec4fe41c849b80c8d83662c0e44a8b291a964cf2f07038");
        assert_eq!(parts, 2 * 4096 / ITERATIONS_OF_A_PART as usize + 1, "two blocks");
        assert_eq!(whole(pbkdf2(Hash::Sha512, &secret("x"), b"", 5, 0)).0, b"");
    }

    #[test]
    fn what_is_too_much_is_refused_before_anything_is_done() {
        let refused = |parts: Result<Parts, ErrorCode>| assert_eq!(parts.err(), Some(ErrorCode::Unsupported));
        refused(pbkdf2(Hash::Sha1, &secret("p"), b"s", 0, 20));
        refused(pbkdf2(Hash::Sha1, &secret("p"), b"s", ITERATIONS_MAX + 1, 20));
        refused(pbkdf2(Hash::Sha1, &secret("p"), b"s", 1, DERIVED_BYTES_MAX + 1));
        refused(scrypt(&secret("p"), b"s", 2, 1, 1, DERIVED_BYTES_MAX + 1));
    }

    #[test]
    fn scrypt_answers_as_rfc_7914_and_refuses_what_is_too_much() {
        let check = |password: &str, salt: &[u8], n, r, p, expected: &str| {
            assert_eq!(hex(&whole(scrypt(&secret(password), salt, n, r, p, 64)).0), expected);
        };
        check(
            "",
            b"",
            16,
            1,
            1,
            "77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442\
             fcd0069ded0948f8326a753a0fc81f17e8d3e0fb2e0d3628cf35e20c38d18906",
        );
        check(
            "password",
            b"NaCl",
            1024,
            8,
            16,
            "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162\
             2eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640",
        );
        assert_eq!(scrypt_memory(1024, 8, 16), Ok(128 * 8 * (1024 + 16)));
        for (n, r, p) in [
            (0, 8, 1),
            (1, 8, 1),
            (3, 8, 1),
            (16, 0, 1),
            (16, 8, 0),
            (1 << 17, 8, 1),
            (16, 8, u32::MAX),
            (1 << 31, u32::MAX, 1),
        ] {
            assert_eq!(scrypt_memory(n, r, p), Err(ErrorCode::Unsupported), "{n} {r} {p}");
        }
    }
}
