//! RSA.
//!
//! The crate blinds operations with a private key. Its decryption is not constant in time (RUSTSEC-2023-0071): OAEP is
//! what it is used for here, and PKCS #1 v1.5 encryption is not offered.

use super::derive::Parts;
use super::hash::{self, with_hash};
use super::price;
use super::types::{Bytes, ErrorCode, Hash, RsaPrivate, RsaPublic, RsaScheme, Secret};
use md5::Md5;
use num_bigint_dig::prime::probably_prime;
use rsa::pkcs8::{DecodePrivateKey, DecodePublicKey, EncodePrivateKey, EncodePublicKey, PrivateKeyInfo};
use rsa::rand_core::{OsRng, RngCore};
use rsa::traits::{PrivateKeyParts, PublicKeyParts};
use rsa::{BigUint, Oaep, Pkcs1v15Sign, Pss, RsaPrivateKey, RsaPublicKey, pkcs1};
use sha1::Sha1;
use sha2::{Sha256, Sha384, Sha512};
use std::task::Poll;
use zeroize::Zeroize;

/// Bits of a key's modulus.
const BITS: std::ops::RangeInclusive<u64> = 512..=price::RSA_BITS_MAX;

/// Bits of the modulus of a key that is made here. Larger ones would take minutes.
const MADE_BITS: std::ops::RangeInclusive<u32> = 1024..=4096;

/// Bytes of each number of a key, and of what is signed with it or encrypted.
const NUMBER_BYTES_MAX: usize = *BITS.end() as usize / 8;

/// Bytes of a public exponent: the crate takes none of more.
const EXPONENT_BYTES_MAX: usize = 8;

/// Bytes of a key as DER: nine numbers, and what names them.
const DER_BYTES_MAX: usize = 6 * NUMBER_BYTES_MAX;

/// Rounds of Miller and Rabin by which a number is taken for a prime, as the crate of RSA does.
const PRIME_ROUNDS: usize = 20;

/// A private key, each of whose numbers is within its bound: the arithmetic by which it is checked would take seconds
/// for longer ones.
fn private_key(der: &[u8]) -> Result<RsaPrivateKey, ErrorCode> {
    if der.len() > DER_BYTES_MAX {
        return Err(ErrorCode::Unsupported);
    }
    let info = PrivateKeyInfo::try_from(der).map_err(|_| ErrorCode::InvalidKey)?;
    let numbers = pkcs1::RsaPrivateKey::try_from(info.private_key).map_err(|_| ErrorCode::InvalidKey)?;
    let of_modulus = [numbers.modulus, numbers.private_exponent, numbers.prime1, numbers.prime2];
    check_numbers(of_modulus.map(|number| number.as_bytes()), numbers.public_exponent.as_bytes())?;
    let key = RsaPrivateKey::from_pkcs8_der(der).map_err(|_| ErrorCode::InvalidKey)?;
    if BITS.contains(&(key.n().bits() as u64)) { Ok(key) } else { Err(ErrorCode::Unsupported) }
}

/// Refuses a private key of whose numbers one is too long, before anything is reckoned with them: n, d, p and q; and e.
fn check_numbers(of_modulus: [&[u8]; 4], exponent: &[u8]) -> Result<(), ErrorCode> {
    let fits = of_modulus.iter().all(|number| number.len() <= NUMBER_BYTES_MAX);
    if fits && exponent.len() <= EXPONENT_BYTES_MAX { Ok(()) } else { Err(ErrorCode::Unsupported) }
}

fn public_key(der: &[u8]) -> Result<RsaPublicKey, ErrorCode> {
    if der.len() > DER_BYTES_MAX {
        return Err(ErrorCode::Unsupported);
    }
    RsaPublicKey::from_public_key_der(der).map_err(|_| ErrorCode::InvalidKey)
}

/// Bits of the modulus, about: what a price can be reckoned from before the key is read.
pub(super) fn bits_of(der: &[u8], private: bool) -> u64 {
    // A private key has its modulus' size some four and a half times; both are short of the truth for odd keys alone.
    let bytes = if private { der.len() * 2 / 9 } else { der.len().saturating_sub(30) };
    bytes as u64 * 8
}

/// Makes a key, part by part: each looks at one candidate for a prime.
///
/// # Errors
/// [`ErrorCode::Unsupported`] for sizes beyond 1,024 to 4,096 bits, and exponents that take for ever or make keys that
/// nobody should use.
pub(super) fn generate(bits: u32, exponent: &[u8]) -> Result<Parts, ErrorCode> {
    if !MADE_BITS.contains(&bits) || !bits.is_multiple_of(8) || exponent.len() > EXPONENT_BYTES_MAX {
        return Err(ErrorCode::Unsupported);
    }
    let exponent = BigUint::from_bytes_be(exponent);
    if exponent != BigUint::from(3_u8) && exponent != BigUint::from(65_537_u32) {
        return Err(ErrorCode::Unsupported);
    }
    let mut first: Option<BigUint> = None;
    Ok(Box::new(move || {
        let Some(prime) = candidate(bits / 2, &exponent) else { return Poll::Pending };
        let Some(first) = first.take_if(|first| *first != prime) else {
            first = Some(prime);
            return Poll::Pending;
        };
        let key = RsaPrivateKey::from_p_q(first, prime, exponent.clone());
        Poll::Ready(key.map_err(|_| ErrorCode::Unsupported).and_then(|key| encoded(&key)))
    }))
}

/// A random number of so many bits, if it is a prime with which a key can be made for `exponent`. Its two highest bits
/// are set, so that the product of two has twice as many bits.
fn candidate(bits: u32, exponent: &BigUint) -> Option<BigUint> {
    let mut bytes = vec![0; bits as usize / 8];
    OsRng.fill_bytes(&mut bytes);
    *bytes.first_mut()? |= 0b1100_0000;
    *bytes.last_mut()? |= 1;
    let number = BigUint::from_bytes_be(&bytes);
    bytes.zeroize();
    // The exponent is a prime: it and one less than `number` have nothing in common unless it divides that.
    let fits = &number % exponent != BigUint::from(1_u8);
    (fits && probably_prime(&number, PRIME_ROUNDS)).then_some(number)
}

fn encoded(key: &RsaPrivateKey) -> Bytes {
    Ok(key.to_pkcs8_der().map_err(|_| ErrorCode::InvalidKey)?.as_bytes().to_vec())
}

pub(super) fn private_numbers(der: &[u8]) -> Result<RsaPrivate, ErrorCode> {
    let mut key = private_key(der)?;
    key.precompute().map_err(|_| ErrorCode::InvalidKey)?;
    let [p, q] = key.primes() else { return Err(ErrorCode::Unsupported) };
    let part = |number: Option<&BigUint>| number.map(BigUint::to_bytes_be).ok_or(ErrorCode::InvalidKey);
    let qi = key.qinv().ok_or(ErrorCode::InvalidKey)?.to_biguint();
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
    check_numbers([&numbers.n, &numbers.d, &numbers.p, &numbers.q], &numbers.e)?;
    let number = BigUint::from_bytes_be;
    let primes = vec![number(&numbers.p), number(&numbers.q)];
    let key = RsaPrivateKey::from_components(number(&numbers.n), number(&numbers.e), number(&numbers.d), primes);
    encoded(&key.map_err(|_| ErrorCode::InvalidKey)?)
}

pub(super) fn public_numbers(der: &[u8]) -> Result<RsaPublic, ErrorCode> {
    let key = public_key(der)?;
    Ok(RsaPublic { n: key.n().to_bytes_be(), e: key.e().to_bytes_be() })
}

pub(super) fn public_from(numbers: &RsaPublic) -> Bytes {
    if numbers.n.len() > NUMBER_BYTES_MAX || numbers.e.len() > EXPONENT_BYTES_MAX {
        return Err(ErrorCode::Unsupported);
    }
    let key =
        RsaPublicKey::new_with_max_size(BigUint::from_bytes_be(&numbers.n), BigUint::from_bytes_be(&numbers.e), 8192);
    let key = key.map_err(|_| ErrorCode::InvalidKey)?;
    Ok(key.to_public_key_der().map_err(|_| ErrorCode::InvalidKey)?.as_bytes().to_vec())
}

/// Refuses a salt that does not fit into a signature (RFC 8017, 9.1.1), before it is made.
fn check_scheme(scheme: RsaScheme, key_bytes: usize, digest_bytes: usize) -> Result<(), ErrorCode> {
    match scheme {
        RsaScheme::Pss(salt) if salt as usize > key_bytes.saturating_sub(digest_bytes + 2) => {
            Err(ErrorCode::Unsupported)
        }
        _ => Ok(()),
    }
}

pub(super) fn sign(scheme: RsaScheme, hash: Hash, der: &Secret, data: &[u8]) -> Bytes {
    let (key, digest) = (private_key(der)?, hash::digest(hash, data));
    check_scheme(scheme, key.size(), digest.len())?;
    let signed = with_hash!(hash, H => match scheme {
        RsaScheme::Pkcs1 => key.sign_with_rng(&mut OsRng, Pkcs1v15Sign::new::<H>(), &digest),
        RsaScheme::Pss(salt) => key.sign_with_rng(&mut OsRng, Pss::new_blinded_with_salt::<H>(salt as usize), &digest),
    });
    signed.map_err(|_| ErrorCode::Unsupported)
}

pub(super) fn verify(
    scheme: RsaScheme,
    hash: Hash,
    der: &[u8],
    data: &[u8],
    signature: &[u8],
) -> Result<bool, ErrorCode> {
    let (key, digest) = (public_key(der)?, hash::digest(hash, data));
    check_scheme(scheme, key.size(), digest.len())?;
    Ok(with_hash!(hash, H => match scheme {
        RsaScheme::Pkcs1 => key.verify(Pkcs1v15Sign::new::<H>(), &digest, signature),
        RsaScheme::Pss(salt) => key.verify(Pss::new_with_salt::<H>(salt as usize), &digest, signature),
    })
    .is_ok())
}

/// The label as the crate takes it, which wants a text.
fn oaep(hash: Hash, label: &[u8]) -> Result<Oaep, ErrorCode> {
    let label = std::str::from_utf8(label).map_err(|_| ErrorCode::Unsupported)?;
    Ok(with_hash!(hash, H => if label.is_empty() { Oaep::new::<H>() } else { Oaep::new_with_label::<H, _>(label) }))
}

pub(super) fn encrypt(hash: Hash, der: &[u8], label: &[u8], data: &[u8]) -> Bytes {
    if data.len() > NUMBER_BYTES_MAX {
        return Err(ErrorCode::InvalidData);
    }
    public_key(der)?.encrypt(&mut OsRng, oaep(hash, label)?, data).map_err(|_| ErrorCode::InvalidData)
}

pub(super) fn decrypt(hash: Hash, der: &Secret, label: &[u8], data: &[u8]) -> Bytes {
    if data.len() > NUMBER_BYTES_MAX {
        return Err(ErrorCode::InvalidData);
    }
    private_key(der)?.decrypt_blinded(&mut OsRng, oaep(hash, label)?, data).map_err(|_| ErrorCode::InvalidData)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(bits: u32) -> Vec<u8> {
        let mut parts = generate(bits, &[1, 0, 1]).expect("it is allowed");
        loop {
            if let Poll::Ready(key) = parts() {
                return key.expect("a key");
            }
        }
    }

    #[test]
    fn keys_are_made_in_parts_and_serve() {
        let der = Secret::new(made(1024));
        let numbers = private_numbers(&der).expect("it is a key");
        assert_eq!(numbers.n.len(), 128);
        assert_ne!(numbers.p, numbers.q);
        assert_eq!(private_from(&numbers).expect("the same key"), *der);
        let public = public_from(&RsaPublic { n: numbers.n, e: numbers.e }).expect("a key");
        let signature = sign(RsaScheme::Pss(32), Hash::Sha256, &der, b"text").expect("signed");
        assert_eq!(verify(RsaScheme::Pss(32), Hash::Sha256, &public, b"text", &signature), Ok(true));
        assert_eq!(verify(RsaScheme::Pss(32), Hash::Sha256, &public, b"other", &signature), Ok(false));
        for salt in [95, 1 << 20, u32::MAX] {
            let scheme = RsaScheme::Pss(salt);
            assert_eq!(
                sign(scheme, Hash::Sha256, &der, b"text"),
                Err(ErrorCode::Unsupported),
                "a salt of {salt} bytes"
            );
            assert_eq!(verify(scheme, Hash::Sha256, &public, b"text", &signature), Err(ErrorCode::Unsupported));
        }
        assert_eq!(sign(RsaScheme::Pss(94), Hash::Sha256, &der, b"text").expect("the longest salt").len(), 128);
        assert_eq!(decrypt(Hash::Sha256, &der, b"", &[0; 1 << 20]), Err(ErrorCode::InvalidData));
        assert_eq!(encrypt(Hash::Sha256, &public, b"", &[0; 1 << 20]), Err(ErrorCode::InvalidData));
    }

    #[test]
    fn numbers_that_are_too_long_are_refused_before_they_are_reckoned_with() {
        let numbers = private_numbers(&made(1024)).expect("it is a key");
        let long = vec![0xff; 16 << 20];
        let with = |change: fn(&mut RsaPrivate, Vec<u8>)| {
            let RsaPrivate { n, e, d, p, q, dp, dq, qi } = &numbers;
            let [n, e, d, p, q, dp, dq, qi] = [n, e, d, p, q, dp, dq, qi].map(Clone::clone);
            let mut changed = RsaPrivate { n, e, d, p, q, dp, dq, qi };
            change(&mut changed, long.clone());
            assert_eq!(private_from(&changed), Err(ErrorCode::Unsupported));
        };
        with(|key, long| key.n = long);
        with(|key, long| key.e = long);
        with(|key, long| key.d = long);
        with(|key, long| key.p = long);
        with(|key, long| key.q = long);
        assert_eq!(public_from(&RsaPublic { n: long.clone(), e: vec![3] }), Err(ErrorCode::Unsupported));
        assert_eq!(private_numbers(&long).map(drop), Err(ErrorCode::Unsupported));
        assert_eq!(public_numbers(&long).map(drop), Err(ErrorCode::Unsupported));
        assert_eq!(generate(4104, &[3]).err(), Some(ErrorCode::Unsupported));
        assert_eq!(generate(2048, &long).err(), Some(ErrorCode::Unsupported));
        assert_eq!(generate(2048, &[5]).err(), Some(ErrorCode::Unsupported));
    }
}
