//! The functions of `elias:crypto/crypto`: each takes its price, and wipes the key that it was given.

use super::cipher::Direction;
use super::derive::{self, DERIVED_BYTES_MAX, ITERATIONS_MAX, Parts};
use super::types::{Bytes, Cipher, Curve, ErrorCode, Hash, RsaPrivate, RsaPublic, RsaScheme};
use super::{cipher, curve, hash, memory, price, rsa};
use elias_host::capability::pricing::{HOST_CALL_BYTES_MAX, HostLinker, Interface, Payload, Price, Size, size};
use elias_host::capability::wasmtime::component::{ComponentNamedList, Lift};
use elias_host::capability::wasmtime::{self, StoreContextMut};
use elias_host::capability::{InstanceInfo, InstanceState};
use futures::future::{BoxFuture, FutureExt};
use std::task::Poll;
use zeroize::Zeroizing;

/// A price by the bytes that are taken in.
fn bytes<P: 'static>(name: &'static str, count: fn(&P) -> usize) -> Price<P> {
    let bytes = size(name, move |arguments| count(arguments) as u64);
    Price::of(price::CALL).per(price::BYTE, bytes.in_the_arguments())
}

/// The price of hashing.
fn hashed<P: 'static>(of: fn(&P) -> (Hash, usize)) -> Size<P> {
    let units = move |arguments: &P| {
        let (hash, bytes) = of(arguments);
        price::hash_byte(hash).saturating_mul(bytes as u64)
    };
    // Some hash a part of the arguments twice.
    size("the hash's units", units).at_most(2 * price::HASH_BYTE_MAX * HOST_CALL_BYTES_MAX as u64)
}

/// The price of an operation on a curve.
fn point<P: 'static>(of: fn(&P) -> Curve) -> Size<P> {
    size("the curve's units", move |arguments| price::curve(of(arguments))).at_most(price::CURVE_MAX)
}

/// Bits of an RSA key that is given as DER; longer ones are refused.
fn key_bits<P: 'static>(private: bool, der: fn(&P) -> &Vec<u8>) -> Size<P> {
    size("bits", move |arguments| rsa::bits_of(der(arguments), private)).limited_to(price::RSA_BITS_MAX)
}

pub(super) fn init(linker: &mut HostLinker) -> wasmtime::Result<()> {
    let mut crypto = linker.interface("elias:crypto/crypto@0.1.0")?;
    link_bits(&mut crypto)?;
    link_derivations(&mut crypto)?;
    link_curves(&mut crypto)?;
    link_rsa_keys(&mut crypto)?;
    link_rsa(&mut crypto)
}

fn link_bits(crypto: &mut Interface<'_>) -> wasmtime::Result<()> {
    type Digest = (Hash, Vec<u8>);
    crypto.compute(
        "digest",
        Price::of(price::CALL).per(1, hashed(|(hash, data): &Digest| (*hash, data.len()))),
        |(hash, data): Digest| hash::digest(hash, &data),
    )?;
    type HmacArguments = (Hash, Vec<u8>, Vec<u8>);
    crypto.compute(
        "hmac",
        Price::of(price::CALL).per(1, hashed(|(hash, key, data): &HmacArguments| (*hash, key.len() + data.len()))),
        |(hash, key, data): HmacArguments| hash::hmac(hash, &Zeroizing::new(key), &data),
    )?;
    type Crypt = (Cipher, Vec<u8>, Vec<u8>);
    for (name, direction) in [("encrypt", Direction::Encrypt), ("decrypt", Direction::Decrypt)] {
        let units = size("the cipher's units", |(way, _, data): &Crypt| {
            price::cipher_byte(way) * (cipher::extra_bytes(way) + data.len()) as u64
        });
        let units = units.at_most(price::WRAPPED_BYTE * HOST_CALL_BYTES_MAX as u64);
        crypto.compute(name, Price::of(price::CALL).per(1, units), move |(way, key, data): Crypt| {
            cipher::run(direction, &way, &Zeroizing::new(key), data)
        })?;
    }
    type Expand = (Hash, Vec<u8>, Vec<u8>, Vec<u8>, u32);
    let expanded = size("bytes derived", |(.., bytes): &Expand| u64::from(*bytes));
    crypto.compute(
        "hkdf",
        Price::of(price::CALL)
            .per(
                1,
                hashed(|(hash, key, salt, info, bytes): &Expand| {
                    (*hash, hash::hkdf_bytes(*hash, key.len() + salt.len(), info.len(), *bytes))
                }),
            )
            .per(price::DERIVED_BYTE, expanded.limited_to(hash::HKDF_BYTES_MAX.into())),
        |(hash, key, salt, info, bytes): Expand| hash::hkdf(hash, &Zeroizing::new(key), &salt, &info, bytes),
    )
}

fn link_derivations(crypto: &mut Interface<'_>) -> wasmtime::Result<()> {
    type Pbkdf2 = (Hash, Vec<u8>, Vec<u8>, u32, u32);
    let iterations = size("iterations of 32 bytes", |(.., iterations, bytes): &Pbkdf2| {
        u64::from(*iterations) * u64::from(bytes.div_ceil(32).max(1))
    });
    let iterations_max = u64::from(ITERATIONS_MAX) * u64::from(DERIVED_BYTES_MAX / 32);
    crypto.func_async(
        "pbkdf2",
        Price::of(price::CALL)
            .per(1, hashed(|(hash, password, salt, ..): &Pbkdf2| (*hash, password.len() + salt.len())))
            .per(price::ITERATION, iterations.limited_to(iterations_max)),
        |store: StoreContextMut<'_, InstanceState>, (hash, password, salt, iterations, bytes): Pbkdf2| {
            let password = Zeroizing::new(password);
            let info = store.data().info().clone();
            Box::new(async move {
                // The salt is hashed at once, however long it is.
                let parts = begun(&info, move || derive::pbkdf2(hash, &password, &salt, iterations, bytes));
                Ok((in_parts(&info, parts.await?).await?,))
            })
        },
    )?;

    type Scrypt = (Vec<u8>, Vec<u8>, u32, u32, u32, u32);
    let mixed = size("N x r x p", |(.., n, r, p, _): &Scrypt| match derive::scrypt_memory(*n, *r, *p) {
        Ok(_) => u64::from(*n) * u64::from(*r) * u64::from(*p),
        Err(_) => 0, // refused
    });
    let derived = size("bytes derived", |(.., bytes): &Scrypt| u64::from(*bytes));
    crypto.func_async(
        "scrypt",
        Price::of(price::CALL)
            .per(1, hashed(|(password, salt, ..): &Scrypt| (Hash::Sha256, password.len() + salt.len())))
            .per(price::DERIVED_BYTE, derived.limited_to(DERIVED_BYTES_MAX.into()))
            .per(price::MIX, mixed.limited_to(derive::SCRYPT_MIXES_MAX)),
        |store: StoreContextMut<'_, InstanceState>, (password, salt, n, r, p, bytes): Scrypt| {
            let password = Zeroizing::new(password);
            let info = store.data().info().clone();
            Box::new(async move {
                let memory = match derive::scrypt_memory(n, r, p) {
                    Ok(bytes) => memory::reserve(info.component(), bytes).await?,
                    Err(why) => return Ok((Err(why),)),
                };
                let parts = begun(&info, move || derive::scrypt(&password, &salt, n, r, p, bytes)).await?;
                let derived = in_parts(&info, parts.map(|parts| memory.held_by(parts))).await?;
                Ok((derived,))
            })
        },
    )
}

/// Begins work aside.
fn begun<T: Send + 'static>(
    info: &InstanceInfo,
    begin: impl FnOnce() -> T + Send + 'static,
) -> BoxFuture<'static, wasmtime::Result<T>> {
    let mut begin = Some(begin);
    info.aside(move || begin.take().map_or(Poll::Pending, |begin| Poll::Ready(begin()))).boxed()
}

/// Does work aside, part by part, if there is any.
fn in_parts(info: &InstanceInfo, parts: Result<Parts, ErrorCode>) -> BoxFuture<'static, wasmtime::Result<Bytes>> {
    match parts {
        Ok(parts) => info.aside(parts).boxed(),
        Err(why) => std::future::ready(Ok(Err(why))).boxed(),
    }
}

fn link_curves(crypto: &mut Interface<'_>) -> wasmtime::Result<()> {
    let made = Price::of(price::CALL).per(1, point(|(curve,): &(Curve,)| *curve));
    crypto.compute("generate", made, |(curve,): (Curve,)| curve::generate(curve))?;
    type Convert = (Curve, Vec<u8>);
    type Converter = fn(Curve, &[u8]) -> Bytes;
    let of_private: [(&str, Converter); 3] =
        [("public-of", curve::public_of), ("decode-pkcs8", curve::decode_pkcs8), ("encode-pkcs8", curve::encode_pkcs8)];
    for (name, convert) in of_private {
        let price = bytes("bytes", |(_, key): &Convert| key.len()).per(1, point(|(curve, _): &Convert| *curve));
        crypto.compute(name, price, move |(curve, key): Convert| convert(curve, &Zeroizing::new(key)))?;
    }
    let of_public: [(&str, Converter); 3] = [
        ("check-public", curve::check_public),
        ("decode-spki", curve::decode_spki),
        ("encode-spki", curve::encode_spki),
    ];
    for (name, convert) in of_public {
        let look = size("the curve's units", |(curve, _): &Convert| price::curve(*curve) / price::LOOK_PART);
        let look = look.at_most(price::CURVE_MAX / price::LOOK_PART);
        let price = bytes("bytes", |(_, key): &Convert| key.len()).per(1, look);
        crypto.compute(name, price, move |(curve, key): Convert| convert(curve, &key))?;
    }
    type Sign = (Curve, Hash, Vec<u8>, Vec<u8>);
    crypto.compute(
        "sign",
        Price::of(price::CALL)
            .per(1, hashed(|(curve, hash, _, data): &Sign| curve_hash(*curve, *hash, data.len())))
            .per(1, point(|(curve, ..): &Sign| *curve)),
        |(curve, hash, private, data): Sign| curve::sign(curve, hash, &Zeroizing::new(private), &data),
    )?;
    type Verify = (Curve, Hash, Vec<u8>, Vec<u8>, Vec<u8>);
    crypto.compute(
        "verify",
        bytes("bytes", |(_, _, public, _, signature): &Verify| public.len() + signature.len())
            .per(1, hashed(|(curve, hash, _, data, _): &Verify| curve_hash(*curve, *hash, data.len())))
            .per(1, point(|(curve, ..): &Verify| *curve)),
        |(curve, hash, public, data, signature): Verify| curve::verify(curve, hash, &public, &data, &signature),
    )?;
    type Agree = (Curve, Vec<u8>, Vec<u8>);
    crypto.compute(
        "agree",
        bytes("bytes", |(_, private, public): &Agree| private.len() + public.len())
            .per(1, point(|(curve, ..): &Agree| *curve)),
        |(curve, private, public): Agree| curve::agree(curve, &Zeroizing::new(private), &public),
    )
}

/// The bytes that a signature on a curve hashes: Ed25519 has a hash of its own, and uses it twice.
fn curve_hash(curve: Curve, hash: Hash, bytes: usize) -> (Hash, usize) {
    if curve == Curve::Ed25519 { (Hash::Sha512, 2 * bytes) } else { (hash, bytes) }
}

fn link_rsa_keys(crypto: &mut Interface<'_>) -> wasmtime::Result<()> {
    type Generate = (u32, Vec<u8>);
    let bits = size("bits", |(bits, _): &Generate| u64::from(*bits)).limited_to(price::RSA_BITS_MAX);
    crypto.func_async(
        "rsa-generate",
        Price::of(price::CALL).curve(price::rsa_generate, bits),
        |store: StoreContextMut<'_, InstanceState>, (bits, exponent): Generate| {
            let made = in_parts(store.data().info(), rsa::generate(bits, &exponent));
            Box::new(async move { Ok((made.await?,)) })
        },
    )?;
    type Der = (Vec<u8>,);
    aside(
        crypto,
        "rsa-private-numbers",
        bytes("bytes", |(der,): &Der| der.len()).curve(price::rsa_public, key_bits(true, |(der,): &Der| der)),
        |(der,): Der| rsa::private_numbers(&Zeroizing::new(der)),
    )?;
    aside(
        crypto,
        "rsa-private-key",
        bytes("bytes", |(numbers,): &(RsaPrivate,)| numbers.n.len()).curve(
            price::rsa_public,
            size("bits", |(numbers,): &(RsaPrivate,)| 8 * numbers.longest()).limited_to(price::RSA_BITS_MAX),
        ),
        |(numbers,): (RsaPrivate,)| rsa::private_from(&numbers),
    )?;
    crypto.compute("rsa-public-numbers", bytes("bytes", |(der,): &Der| der.len()), |(der,): Der| {
        rsa::public_numbers(&der)
    })?;
    crypto.compute(
        "rsa-public-key",
        bytes("bytes", |(numbers,): &(RsaPublic,)| numbers.n.len() + numbers.e.len()),
        |(numbers,): (RsaPublic,)| rsa::public_from(&numbers),
    )
}

fn link_rsa(crypto: &mut Interface<'_>) -> wasmtime::Result<()> {
    type Sign = (RsaScheme, Hash, Vec<u8>, Vec<u8>);
    aside(
        crypto,
        "rsa-sign",
        Price::of(price::CALL)
            .per(1, hashed(|(_, hash, _, data): &Sign| (*hash, data.len())))
            .curve(price::rsa_private, key_bits(true, |(_, _, key, _): &Sign| key)),
        |(scheme, hash, key, data): Sign| rsa::sign(scheme, hash, &Zeroizing::new(key), &data),
    )?;
    type Verify = (RsaScheme, Hash, Vec<u8>, Vec<u8>, Vec<u8>);
    aside(
        crypto,
        "rsa-verify",
        bytes("bytes", |(.., signature): &Verify| signature.len())
            .per(1, hashed(|(_, hash, _, data, _): &Verify| (*hash, data.len())))
            .curve(price::rsa_public, key_bits(false, |(_, _, key, ..): &Verify| key)),
        |(scheme, hash, key, data, signature): Verify| rsa::verify(scheme, hash, &key, &data, &signature),
    )?;
    type Crypt = (Hash, Vec<u8>, Vec<u8>, Vec<u8>);
    aside(
        crypto,
        "rsa-encrypt",
        Price::of(price::CALL)
            .per(1, hashed(|(hash, _, label, data): &Crypt| (*hash, label.len() + data.len())))
            .curve(price::rsa_public, key_bits(false, |(_, key, ..): &Crypt| key)),
        |(hash, key, label, data): Crypt| rsa::encrypt(hash, &key, &label, &data),
    )?;
    aside(
        crypto,
        "rsa-decrypt",
        Price::of(price::CALL)
            .per(1, hashed(|(hash, _, label, data): &Crypt| (*hash, label.len() + data.len())))
            .curve(price::rsa_private, key_bits(true, |(_, key, ..): &Crypt| key)),
        |(hash, key, label, data): Crypt| rsa::decrypt(hash, &Zeroizing::new(key), &label, &data),
    )
}

/// Defines a function that is done aside whatever it costs.
fn aside<P, R>(crypto: &mut Interface<'_>, name: &str, price: Price<P>, body: fn(P) -> R) -> wasmtime::Result<()>
where
    P: ComponentNamedList + Lift + Payload + Send + 'static,
    R: wasmtime::component::Lower + Payload + Send + Sync + 'static,
{
    crypto.func_async(name, price, move |store: StoreContextMut<'_, InstanceState>, arguments: P| {
        let result = begun(store.data().info(), move || body(arguments));
        Box::new(async move { Ok((result.await?,)) })
    })
}
