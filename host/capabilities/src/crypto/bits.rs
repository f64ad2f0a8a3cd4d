//! Hashes, and what is made of them.

use super::types::{Bytes, Error, Hash, Secret};
use hkdf::Hkdf;
use hmac::{Mac, SimpleHmac};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};

/// Bytes that PBKDF2 gives at most.
const DERIVED_BYTES_MAX: u32 = 16 << 20;
/// Iterations that PBKDF2 makes at most.
const ITERATIONS_MAX: u32 = 10_000_000;

/// Bytes of memory that scrypt takes at most, for its table and for its blocks each.
const SCRYPT_MEMORY_MAX: u64 = 64 << 20;

/// Runs `$body` with `$H` as the type of a hash.
macro_rules! with_hash {
    ($hash:expr, $H:ident => $body:expr) => {
        match $hash {
            Hash::Md5 => {
                type $H = Md5;
                $body
            }
            Hash::Sha1 => {
                type $H = Sha1;
                $body
            }
            Hash::Sha256 => {
                type $H = Sha256;
                $body
            }
            Hash::Sha384 => {
                type $H = Sha384;
                $body
            }
            Hash::Sha512 => {
                type $H = Sha512;
                $body
            }
        }
    };
}
pub(super) use with_hash;

pub(super) fn digest(hash: Hash, data: &[u8]) -> Vec<u8> {
    with_hash!(hash, H => H::digest(data).to_vec())
}

pub(super) fn hmac(hash: Hash, key: &Secret, data: &[u8]) -> Vec<u8> {
    with_hash!(hash, H => {
        let mut mac = <SimpleHmac<H> as Mac>::new_from_slice(key).expect("HMAC takes keys of any length");
        mac.update(data);
        mac.finalize().into_bytes().to_vec()
    })
}

pub(super) fn pbkdf2(hash: Hash, password: &Secret, salt: &[u8], iterations: u32, bytes: u32) -> Bytes {
    if iterations == 0 || iterations > ITERATIONS_MAX || bytes > DERIVED_BYTES_MAX {
        return Err(Error::Unsupported);
    }
    let mut derived = vec![0; bytes as usize];
    with_hash!(hash, H => pbkdf2::pbkdf2::<SimpleHmac<H>>(password, salt, iterations, &mut derived))
        .map_err(|_| Error::Unsupported)?;
    Ok(derived)
}

pub(super) fn hkdf(hash: Hash, key: &Secret, salt: &[u8], info: &[u8], bytes: u32) -> Bytes {
    if bytes > DERIVED_BYTES_MAX {
        return Err(Error::Unsupported);
    }
    let mut derived = vec![0; bytes as usize];
    with_hash!(hash, H => Hkdf::<H, SimpleHmac<H>>::new(Some(salt), key).expand(info, &mut derived))
        .map_err(|_| Error::Unsupported)?;
    Ok(derived)
}

/// Bytes of memory that scrypt takes with these parameters.
///
/// # Errors
/// [`Error::Unsupported`] if that is more than it may, or the parameters are none.
pub(super) fn scrypt_memory(n: u32, r: u32, p: u32) -> Result<u64, Error> {
    let bytes = |blocks: u32| 128_u64.checked_mul(blocks.into())?.checked_mul(r.into());
    let allowed = |bytes: &u64| (1..=SCRYPT_MEMORY_MAX).contains(bytes);
    match (bytes(n).filter(allowed), bytes(p).filter(allowed)) {
        (Some(table), Some(blocks)) if n > 1 && n.is_power_of_two() => Ok(table + blocks),
        _ => Err(Error::Unsupported),
    }
}

/// scrypt with parameters that [`scrypt_memory`] lets pass.
pub(super) fn scrypt(password: &Secret, salt: &[u8], n: u32, r: u32, p: u32, bytes: u32) -> Bytes {
    if bytes > DERIVED_BYTES_MAX {
        return Err(Error::Unsupported);
    }
    // The length in the parameters is that of a stored hash, which is not made here.
    let log_n = u8::try_from(n.ilog2()).map_err(|_| Error::Unsupported)?;
    let params = scrypt::Params::new(log_n, r, p, scrypt::Params::RECOMMENDED_LEN).map_err(|_| Error::Unsupported)?;
    let mut derived = vec![0; bytes as usize];
    if bytes > 0 {
        scrypt::scrypt(password, salt, &params, &mut derived).map_err(|_| Error::Unsupported)?;
    }
    Ok(derived)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scrypt_answers_as_rfc_7914_and_refuses_what_is_too_much() {
        let derived = scrypt(&Secret::new(b"password".to_vec()), b"NaCl", 1024, 8, 16, 64).expect("it is allowed");
        assert_eq!(derived[..8], [0xfd, 0xba, 0xbe, 0x1c, 0x9d, 0x34, 0x72, 0x00]);
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
            assert_eq!(scrypt_memory(n, r, p), Err(Error::Unsupported), "{n} {r} {p}");
        }
    }
}
