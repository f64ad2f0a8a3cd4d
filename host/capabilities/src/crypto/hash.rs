//! Hashes, HMAC and HKDF.

use super::types::{Bytes, ErrorCode, Hash, Secret};
use hkdf::Hkdf;
use hmac::{Mac, SimpleHmac};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};

/// Bytes that HKDF gives at most: 255 times those of the longest hash.
pub(super) const HKDF_BYTES_MAX: u32 = 255 * 64;

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

/// Bytes of a hash's output.
pub(super) fn output_bytes(hash: Hash) -> usize {
    with_hash!(hash, H => <H as Digest>::output_size())
}

/// The bytes that HKDF hashes: key and salt once, which have `key_and_salt` bytes, and `info` for each block of the
/// output.
pub(super) fn hkdf_bytes(hash: Hash, key_and_salt: usize, info: usize, bytes: u32) -> usize {
    let blocks = (bytes.min(HKDF_BYTES_MAX) as usize).div_ceil(output_bytes(hash)).max(1);
    key_and_salt.saturating_add(info.saturating_mul(blocks))
}

pub(super) fn hkdf(hash: Hash, key: &Secret, salt: &[u8], info: &[u8], bytes: u32) -> Bytes {
    if bytes > HKDF_BYTES_MAX {
        return Err(ErrorCode::Unsupported);
    }
    let mut derived = vec![0; bytes as usize];
    with_hash!(hash, H => Hkdf::<H, SimpleHmac<H>>::new(Some(salt), key).expand(info, &mut derived))
        .map_err(|_| ErrorCode::Unsupported)?;
    Ok(derived)
}
