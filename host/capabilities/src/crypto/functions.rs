//! The functions of `elias:crypto/crypto`: each takes its price, and wipes the key that it was given.

use super::cipher::Direction;
use super::price::{self, charge};
use super::types::{Bytes, Cipher, Curve, Error, Hash, RsaPrivate, RsaPublic, RsaScheme};
use super::{bits, cipher, curve, rsa};
use elias_host::capability::wasmtime::StoreContextMut;
use elias_host::capability::{InstanceState, Linker, wasmtime};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

type Store<'a> = StoreContextMut<'a, InstanceState>;

/// KiB of memory that all calls of scrypt together may have at a time; more of them wait.
static SCRYPT_KIB: Semaphore = Semaphore::const_new(256 * 1024);

/// Of hashing or encrypting so many bytes.
fn of(bytes: usize) -> u64 {
    price::CALL + price::BYTE * bytes as u64
}

/// Does work that can take long on a thread on which nobody else waits.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> wasmtime::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|_| wasmtime::Error::msg("cryptography failed"))
}

#[allow(clippy::too_many_lines)] // a table
pub(super) fn init(linker: &mut Linker<InstanceState>) -> wasmtime::Result<()> {
    let mut crypto = linker.instance("elias:crypto/crypto@0.1.0")?;
    crypto.func_wrap("digest", |mut store: Store<'_>, (hash, data): (Hash, Vec<u8>)| {
        charge(&mut store, of(data.len()))?;
        Ok((bits::digest(hash, &data),))
    })?;
    crypto.func_wrap("hmac", |mut store: Store<'_>, (hash, key, data): (Hash, Vec<u8>, Vec<u8>)| {
        charge(&mut store, of(data.len() + key.len()))?;
        Ok((bits::hmac(hash, &Zeroizing::new(key), &data),))
    })?;
    for (name, direction) in [("encrypt", Direction::Encrypt), ("decrypt", Direction::Decrypt)] {
        crypto.func_wrap(name, move |mut store: Store<'_>, (way, key, data): (Cipher, Vec<u8>, Vec<u8>)| {
            charge(&mut store, of(data.len()))?;
            Ok((cipher::run(direction, &way, &Zeroizing::new(key), data),))
        })?;
    }
    crypto.func_wrap_async(
        "pbkdf2",
        |mut store: Store<'_>, (hash, password, salt, iterations, bytes): (Hash, Vec<u8>, Vec<u8>, u32, u32)| {
            Box::new(async move {
                let blocks = u64::from(bytes).div_ceil(20).max(1);
                let work = price::ITERATION.saturating_mul(u64::from(iterations)).saturating_mul(blocks.div_ceil(2));
                charge(&mut store, of(salt.len()).saturating_add(work))?;
                let password = Zeroizing::new(password);
                Ok((aside(move || bits::pbkdf2(hash, &password, &salt, iterations, bytes)).await?,))
            })
        },
    )?;
    crypto.func_wrap(
        "hkdf",
        |mut store: Store<'_>, (hash, key, salt, info, bytes): (Hash, Vec<u8>, Vec<u8>, Vec<u8>, u32)| {
            charge(&mut store, of(key.len() + salt.len() + info.len()) + 100 * u64::from(bytes))?;
            Ok((bits::hkdf(hash, &Zeroizing::new(key), &salt, &info, bytes),))
        },
    )?;

    crypto.func_wrap_async(
        "scrypt",
        |mut store: Store<'_>, (password, salt, n, r, p, bytes): (Vec<u8>, Vec<u8>, u32, u32, u32, u32)| {
            Box::new(async move {
                let password = Zeroizing::new(password);
                let memory = match bits::scrypt_memory(n, r, p) {
                    Ok(memory) => memory,
                    Err(why) => return Ok((Err(why),)),
                };
                // What memory is allowed keeps each of the factors, and so the product, far below the end of 64 bits.
                let mixing = u64::from(n) * u64::from(r) * u64::from(p) * price::MIX;
                charge(&mut store, of(salt.len()) + 100 * u64::from(bytes) + mixing)?;
                // The permit goes along with the work, which goes on when the guest that waits for it is gone.
                let permit = SCRYPT_KIB.acquire_many(u32::try_from(memory.div_ceil(1024))?).await?;
                let derived = aside(move || {
                    let _permit = permit;
                    bits::scrypt(&password, &salt, n, r, p, bytes)
                });
                Ok((derived.await?,))
            })
        },
    )?;

    crypto.func_wrap("generate", |mut store: Store<'_>, (curve,): (Curve,)| {
        charge(&mut store, price::CURVE)?;
        Ok((curve::generate(curve),))
    })?;
    type Convert = fn(Curve, &[u8]) -> Bytes;
    let conversions: [(&str, Convert); 6] = [
        ("public-of", curve::public_of),
        ("check-public", curve::check_public),
        ("decode-pkcs8", curve::decode_pkcs8),
        ("encode-pkcs8", curve::encode_pkcs8),
        ("decode-spki", curve::decode_spki),
        ("encode-spki", curve::encode_spki),
    ];
    for (name, convert) in conversions {
        crypto.func_wrap(name, move |mut store: Store<'_>, (curve, key): (Curve, Vec<u8>)| {
            charge(&mut store, price::CURVE + of(key.len()))?;
            Ok((convert(curve, &Zeroizing::new(key)),))
        })?;
    }
    crypto.func_wrap(
        "sign",
        |mut store: Store<'_>, (curve, hash, private, data): (Curve, Hash, Vec<u8>, Vec<u8>)| {
            charge(&mut store, price::CURVE + of(data.len()))?;
            Ok((curve::sign(curve, hash, &Zeroizing::new(private), &data),))
        },
    )?;
    crypto.func_wrap(
        "verify",
        |mut store: Store<'_>, (curve, hash, public, data, signature): (Curve, Hash, Vec<u8>, Vec<u8>, Vec<u8>)| {
            charge(&mut store, price::CURVE + of(data.len()))?;
            Ok((curve::verify(curve, hash, &public, &data, &signature),))
        },
    )?;
    crypto.func_wrap("agree", |mut store: Store<'_>, (curve, private, public): (Curve, Vec<u8>, Vec<u8>)| {
        charge(&mut store, price::CURVE)?;
        Ok((curve::agree(curve, &Zeroizing::new(private), &public),))
    })?;

    crypto.func_wrap_async("rsa-generate", |mut store: Store<'_>, (bits, exponent): (u32, Vec<u8>)| {
        Box::new(async move {
            charge(&mut store, price::rsa_key(bits.into()))?;
            Ok((aside(move || rsa::generate(bits, &exponent)).await?,))
        })
    })?;
    crypto.func_wrap("rsa-private-numbers", |mut store: Store<'_>, (der,): (Vec<u8>,)| {
        charge(&mut store, price::rsa(rsa::bits_of(&der, true), false))?;
        Ok((rsa::private_numbers(&Zeroizing::new(der)),))
    })?;
    crypto.func_wrap("rsa-private-key", |mut store: Store<'_>, (numbers,): (RsaPrivate,)| {
        charge(&mut store, price::rsa(8 * numbers.n.len() as u64, false))?;
        Ok((rsa::private_from(&numbers),))
    })?;
    crypto.func_wrap("rsa-public-numbers", |mut store: Store<'_>, (der,): (Vec<u8>,)| {
        charge(&mut store, of(der.len()))?;
        Ok((rsa::public_numbers(&der),))
    })?;
    crypto.func_wrap("rsa-public-key", |mut store: Store<'_>, (numbers,): (RsaPublic,)| {
        charge(&mut store, of(numbers.n.len()))?;
        Ok((rsa::public_from(&numbers),))
    })?;
    crypto.func_wrap_async(
        "rsa-sign",
        |mut store: Store<'_>, (scheme, hash, key, data): (RsaScheme, Hash, Vec<u8>, Vec<u8>)| {
            Box::new(async move {
                charge(&mut store, price::rsa(rsa::bits_of(&key, true), true) + of(data.len()))?;
                let key = Zeroizing::new(key);
                Ok((aside(move || rsa::sign(scheme, hash, &key, &data)).await?,))
            })
        },
    )?;
    crypto.func_wrap(
        "rsa-verify",
        |mut store: Store<'_>, (scheme, hash, key, data, signature): (RsaScheme, Hash, Vec<u8>, Vec<u8>, Vec<u8>)| {
            charge(&mut store, price::rsa(rsa::bits_of(&key, false), false) + of(data.len()))?;
            Ok((rsa::verify(scheme, hash, &key, &data, &signature),))
        },
    )?;
    crypto.func_wrap(
        "rsa-encrypt",
        |mut store: Store<'_>, (hash, key, label, data): (Hash, Vec<u8>, Vec<u8>, Vec<u8>)| {
            charge(&mut store, price::rsa(rsa::bits_of(&key, false), false) + of(data.len()))?;
            Ok((rsa::encrypt(hash, &key, &label, &data),))
        },
    )?;
    crypto.func_wrap_async(
        "rsa-decrypt",
        |mut store: Store<'_>, (hash, key, label, data): (Hash, Vec<u8>, Vec<u8>, Vec<u8>)| {
            Box::new(async move {
                charge(&mut store, price::rsa(rsa::bits_of(&key, true), true) + of(data.len()))?;
                let key = Zeroizing::new(key);
                let done: Result<Vec<u8>, Error> = aside(move || rsa::decrypt(hash, &key, &label, &data)).await?;
                Ok((done,))
            })
        },
    )
}
