//! RSA.
//!
//! The crate blinds operations with a private key. Its decryption is not constant in time (RUSTSEC-2023-0071): OAEP is what it is
//! used for here, and PKCS #1 v1.5 encryption is not offered.

use super::bits::{self, with_hash};
use super::types::{Bytes, Error, Hash, RsaPrivate, RsaPublic, RsaScheme, Secret};
use md5::Md5;
use rsa::pkcs8::{DecodePrivateKey, DecodePublicKey, EncodePrivateKey, EncodePublicKey};
use rsa::rand_core::OsRng;
use rsa::traits::{PrivateKeyParts, PublicKeyParts};
use rsa::{BigUint, Oaep, Pkcs1v15Sign, Pss, RsaPrivateKey, RsaPublicKey};
use sha1::Sha1;
use sha2::{Sha256, Sha384, Sha512};

/// Bits of a key's modulus.
const BITS: std::ops::RangeInclusive<u64> = 512..=8192;

fn private_key(der: &[u8]) -> Result<RsaPrivateKey, Error> {
    let key = RsaPrivateKey::from_pkcs8_der(der).map_err(|_| Error::InvalidKey)?;
    if BITS.contains(&(key.n().bits() as u64)) { Ok(key) } else { Err(Error::Unsupported) }
}

fn public_key(der: &[u8]) -> Result<RsaPublicKey, Error> {
    RsaPublicKey::from_public_key_der(der).map_err(|_| Error::InvalidKey)
}

/// Bits of the modulus, about: what a price can be reckoned from before the key is read.
pub(super) fn bits_of(der: &[u8], private: bool) -> u64 {
    // A private key has its modulus' size some four and a half times; both are short of the truth for odd keys alone.
    let bytes = if private { der.len() * 2 / 9 } else { der.len().saturating_sub(30) };
    bytes as u64 * 8
}

pub(super) fn generate(bits: u32, exponent: &[u8]) -> Bytes {
    if !(1024..=8192).contains(&bits) || !bits.is_multiple_of(8) {
        return Err(Error::Unsupported);
    }
    let exponent = BigUint::from_bytes_be(exponent);
    // Others take for ever, or give keys that nobody should use.
    if exponent != BigUint::from(3_u8) && exponent != BigUint::from(65_537_u32) {
        return Err(Error::Unsupported);
    }
    let key = RsaPrivateKey::new_with_exp(&mut OsRng, bits as usize, &exponent).map_err(|_| Error::Unsupported)?;
    encoded(&key)
}

fn encoded(key: &RsaPrivateKey) -> Bytes {
    Ok(key.to_pkcs8_der().map_err(|_| Error::InvalidKey)?.as_bytes().to_vec())
}

pub(super) fn private_numbers(der: &[u8]) -> Result<RsaPrivate, Error> {
    let mut key = private_key(der)?;
    key.precompute().map_err(|_| Error::InvalidKey)?;
    let [p, q] = key.primes() else { return Err(Error::Unsupported) };
    let part = |number: Option<&BigUint>| number.map(BigUint::to_bytes_be).ok_or(Error::InvalidKey);
    let qi = key.qinv().ok_or(Error::InvalidKey)?.to_biguint();
    Ok(RsaPrivate {
        n: key.n().to_bytes_be(),
        e: key.e().to_bytes_be(),
        d: key.d().to_bytes_be(),
        p: p.to_bytes_be(),
        q: q.to_bytes_be(),
        dp: part(key.dp())?,
        dq: part(key.dq())?,
        qi: part(qi.as_ref())?,
    })
}

pub(super) fn private_from(numbers: &RsaPrivate) -> Bytes {
    let number = BigUint::from_bytes_be;
    let primes = vec![number(&numbers.p), number(&numbers.q)];
    let key = RsaPrivateKey::from_components(number(&numbers.n), number(&numbers.e), number(&numbers.d), primes);
    encoded(&key.map_err(|_| Error::InvalidKey)?)
}

pub(super) fn public_numbers(der: &[u8]) -> Result<RsaPublic, Error> {
    let key = public_key(der)?;
    Ok(RsaPublic { n: key.n().to_bytes_be(), e: key.e().to_bytes_be() })
}

pub(super) fn public_from(numbers: &RsaPublic) -> Bytes {
    let key =
        RsaPublicKey::new_with_max_size(BigUint::from_bytes_be(&numbers.n), BigUint::from_bytes_be(&numbers.e), 8192);
    let key = key.map_err(|_| Error::InvalidKey)?;
    Ok(key.to_public_key_der().map_err(|_| Error::InvalidKey)?.as_bytes().to_vec())
}

pub(super) fn sign(scheme: RsaScheme, hash: Hash, der: &Secret, data: &[u8]) -> Bytes {
    let (key, digest) = (private_key(der)?, bits::digest(hash, data));
    let signed = with_hash!(hash, H => match scheme {
        RsaScheme::Pkcs1 => key.sign_with_rng(&mut OsRng, Pkcs1v15Sign::new::<H>(), &digest),
        RsaScheme::Pss(salt) => key.sign_with_rng(&mut OsRng, Pss::new_blinded_with_salt::<H>(salt as usize), &digest),
    });
    signed.map_err(|_| Error::Unsupported)
}

pub(super) fn verify(scheme: RsaScheme, hash: Hash, der: &[u8], data: &[u8], signature: &[u8]) -> Result<bool, Error> {
    let (key, digest) = (public_key(der)?, bits::digest(hash, data));
    Ok(with_hash!(hash, H => match scheme {
        RsaScheme::Pkcs1 => key.verify(Pkcs1v15Sign::new::<H>(), &digest, signature),
        RsaScheme::Pss(salt) => key.verify(Pss::new_with_salt::<H>(salt as usize), &digest, signature),
    })
    .is_ok())
}

/// The label as the crate takes it, which wants a text.
fn oaep(hash: Hash, label: &[u8]) -> Result<Oaep, Error> {
    let label = std::str::from_utf8(label).map_err(|_| Error::Unsupported)?;
    Ok(with_hash!(hash, H => if label.is_empty() { Oaep::new::<H>() } else { Oaep::new_with_label::<H, _>(label) }))
}

pub(super) fn encrypt(hash: Hash, der: &[u8], label: &[u8], data: &[u8]) -> Bytes {
    public_key(der)?.encrypt(&mut OsRng, oaep(hash, label)?, data).map_err(|_| Error::InvalidData)
}

pub(super) fn decrypt(hash: Hash, der: &Secret, label: &[u8], data: &[u8]) -> Bytes {
    private_key(der)?.decrypt_blinded(&mut OsRng, oaep(hash, label)?, data).map_err(|_| Error::InvalidData)
}
