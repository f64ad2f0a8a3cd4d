//! `crypto.subtle` and node:crypto: the capability `elias:crypto`, as plain functions over bytes.

use super::bytes::bytes_in;
use super::require;
use crate::bindings::elias::crypto::crypto::{
    self as host, Cipher, Ctr, Curve, ErrorCode, Gcm, Hash, RsaPrivate, RsaPublic, RsaScheme,
};
use crate::phase::Import;
use javy::quickjs::{Array, Ctx, Exception, Function, IntoJs, Object, Result, TypedArray, Value};

type Bytes<'js> = TypedArray<'js, u8>;

pub(crate) fn add(native: &Object<'_>) -> Result<()> {
    let crypto = Object::new(native.ctx().clone())?;
    let ctx = || native.ctx().clone();
    crypto.set("digest", Function::new(ctx(), digest)?)?;
    crypto.set("hmac", Function::new(ctx(), hmac)?)?;
    crypto.set("cipher", Function::new(ctx(), cipher)?)?;
    crypto.set("pbkdf2", Function::new(ctx(), pbkdf2)?)?;
    crypto.set("hkdf", Function::new(ctx(), hkdf)?)?;
    crypto.set("scrypt", Function::new(ctx(), scrypt)?)?;
    crypto.set("generate", Function::new(ctx(), generate)?)?;
    crypto.set("convert", Function::new(ctx(), convert)?)?;
    crypto.set("sign", Function::new(ctx(), sign)?)?;
    crypto.set("verify", Function::new(ctx(), verify)?)?;
    crypto.set("agree", Function::new(ctx(), agree)?)?;
    crypto.set("rsaGenerate", Function::new(ctx(), rsa_generate)?)?;
    crypto.set("rsaNumbers", Function::new(ctx(), rsa_numbers)?)?;
    crypto.set("rsaKey", Function::new(ctx(), rsa_key)?)?;
    crypto.set("rsaSign", Function::new(ctx(), rsa_sign)?)?;
    crypto.set("rsaVerify", Function::new(ctx(), rsa_verify)?)?;
    crypto.set("rsaOaep", Function::new(ctx(), rsa_oaep)?)?;
    native.set("crypto", crypto)
}

fn hash_of(ctx: &Ctx<'_>, name: &str) -> Result<Hash> {
    require(ctx, Import::Crypto, "cryptography")?;
    Ok(match name {
        "MD5" => Hash::Md5,
        "SHA-1" => Hash::Sha1,
        "SHA-256" => Hash::Sha256,
        "SHA-384" => Hash::Sha384,
        "SHA-512" => Hash::Sha512,
        other => return Err(Exception::throw_type(ctx, &format!("unknown hash {other}"))),
    })
}

fn curve_of(ctx: &Ctx<'_>, name: &str) -> Result<Curve> {
    require(ctx, Import::Crypto, "cryptography")?;
    Ok(match name {
        "P-256" => Curve::P256,
        "P-384" => Curve::P384,
        "P-521" => Curve::P521,
        "Ed25519" => Curve::Ed25519,
        "X25519" => Curve::X25519,
        other => return Err(Exception::throw_type(ctx, &format!("unknown curve {other}"))),
    })
}

/// Bytes; or, where there are none, the name of the reason: JavaScript makes the error of its standard of it.
fn give<'js>(ctx: &Ctx<'js>, outcome: std::result::Result<Vec<u8>, ErrorCode>) -> Result<Value<'js>> {
    match outcome {
        Ok(bytes) => Ok(TypedArray::<u8>::new(ctx.clone(), bytes)?.into_value()),
        Err(code) => why(code).into_js(ctx),
    }
}

fn why(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::InvalidKey => "invalid-key",
        ErrorCode::InvalidData => "invalid-data",
        ErrorCode::Unsupported => "unsupported",
    }
}

fn digest<'js>(ctx: Ctx<'js>, hash: String, data: Bytes<'js>) -> Result<Value<'js>> {
    let hash = hash_of(&ctx, &hash)?;
    give(&ctx, Ok(host::digest(hash, bytes_in(&data))))
}

fn hmac<'js>(ctx: Ctx<'js>, hash: String, key: Bytes<'js>, data: Bytes<'js>) -> Result<Value<'js>> {
    let hash = hash_of(&ctx, &hash)?;
    give(&ctx, Ok(host::hmac(hash, bytes_in(&key), bytes_in(&data))))
}

/// `how`: name of the mode, its vector or counter, additional data, and the bits of its tag or counter.
fn cipher<'js>(
    ctx: Ctx<'js>,
    encrypts: bool,
    how: Array<'js>,
    key: Bytes<'js>,
    data: Bytes<'js>,
) -> Result<Value<'js>> {
    require(&ctx, Import::Crypto, "cryptography")?;
    let (mode, bits): (String, u8) = (how.get(0)?, how.get(3)?);
    let [iv, additional_data] = [how.get::<Bytes<'js>>(1)?, how.get(2)?].map(|bytes| bytes_in(&bytes).to_vec());
    let cipher = match mode.as_str() {
        "GCM" => Cipher::Gcm(Gcm { iv, additional_data, tag_bits: bits }),
        "CBC" => Cipher::Cbc(iv),
        "CTR" => Cipher::Ctr(Ctr { counter: iv, bits }),
        "KW" => Cipher::Kw,
        other => return Err(Exception::throw_type(&ctx, &format!("unknown mode {other}"))),
    };
    let (key, data) = (bytes_in(&key), bytes_in(&data));
    give(&ctx, if encrypts { host::encrypt(&cipher, key, data) } else { host::decrypt(&cipher, key, data) })
}

fn pbkdf2<'js>(
    ctx: Ctx<'js>,
    hash: String,
    password: Bytes<'js>,
    salt: Bytes<'js>,
    iterations: u32,
    bytes: u32,
) -> Result<Value<'js>> {
    let hash = hash_of(&ctx, &hash)?;
    give(&ctx, host::pbkdf2(hash, bytes_in(&password), bytes_in(&salt), iterations, bytes))
}

fn hkdf<'js>(
    ctx: Ctx<'js>,
    hash: String,
    key: Bytes<'js>,
    salt: Bytes<'js>,
    info: Bytes<'js>,
    bytes: u32,
) -> Result<Value<'js>> {
    let hash = hash_of(&ctx, &hash)?;
    give(&ctx, host::hkdf(hash, bytes_in(&key), bytes_in(&salt), bytes_in(&info), bytes))
}

/// `cost`: N, r and p.
fn scrypt<'js>(
    ctx: Ctx<'js>,
    password: Bytes<'js>,
    salt: Bytes<'js>,
    cost: Array<'js>,
    bytes: u32,
) -> Result<Value<'js>> {
    require(&ctx, Import::Crypto, "cryptography")?;
    let (n, r, p) = (cost.get(0)?, cost.get(1)?, cost.get(2)?);
    give(&ctx, host::scrypt(bytes_in(&password), bytes_in(&salt), n, r, p, bytes))
}

/// The private and the public key of a new pair.
fn generate(ctx: Ctx<'_>, curve: String) -> Result<Array<'_>> {
    let pair = host::generate(curve_of(&ctx, &curve)?);
    list(&ctx, [pair.private, pair.public])
}

fn list<'js>(ctx: &Ctx<'js>, parts: impl IntoIterator<Item = Vec<u8>>) -> Result<Array<'js>> {
    let array = Array::new(ctx.clone())?;
    for (index, part) in parts.into_iter().enumerate() {
        array.set(index, TypedArray::<u8>::new(ctx.clone(), part)?)?;
    }
    Ok(array)
}

fn convert<'js>(ctx: Ctx<'js>, what: String, curve: String, key: Bytes<'js>) -> Result<Value<'js>> {
    let (curve, key) = (curve_of(&ctx, &curve)?, bytes_in(&key));
    give(
        &ctx,
        match what.as_str() {
            "public-of" => host::public_of(curve, key),
            "check-public" => host::check_public(curve, key),
            "decode-pkcs8" => host::decode_pkcs8(curve, key),
            "encode-pkcs8" => host::encode_pkcs8(curve, key),
            "decode-spki" => host::decode_spki(curve, key),
            "encode-spki" => host::encode_spki(curve, key),
            other => return Err(Exception::throw_type(&ctx, &format!("unknown conversion {other}"))),
        },
    )
}

fn sign<'js>(ctx: Ctx<'js>, curve: String, hash: String, private: Bytes<'js>, data: Bytes<'js>) -> Result<Value<'js>> {
    let (curve, hash) = (curve_of(&ctx, &curve)?, hash_of(&ctx, &hash)?);
    give(&ctx, host::sign(curve, hash, bytes_in(&private), bytes_in(&data)))
}

fn verify<'js>(
    ctx: Ctx<'js>,
    curve: String,
    hash: String,
    public: Bytes<'js>,
    data: Bytes<'js>,
    signature: Bytes<'js>,
) -> Result<bool> {
    let (curve, hash) = (curve_of(&ctx, &curve)?, hash_of(&ctx, &hash)?);
    Ok(host::verify(curve, hash, bytes_in(&public), bytes_in(&data), bytes_in(&signature)).unwrap_or(false))
}

fn agree<'js>(ctx: Ctx<'js>, curve: String, private: Bytes<'js>, public: Bytes<'js>) -> Result<Value<'js>> {
    let curve = curve_of(&ctx, &curve)?;
    give(&ctx, host::agree(curve, bytes_in(&private), bytes_in(&public)))
}

fn rsa_generate<'js>(ctx: Ctx<'js>, bits: u32, exponent: Bytes<'js>) -> Result<Value<'js>> {
    require(&ctx, Import::Crypto, "cryptography")?;
    give(&ctx, host::rsa_generate(bits, bytes_in(&exponent)))
}

/// The numbers of a key: n and e, and of a private one d, p, q, dp, dq and qi.
fn rsa_numbers<'js>(ctx: Ctx<'js>, private: bool, der: Bytes<'js>) -> Result<Value<'js>> {
    require(&ctx, Import::Crypto, "cryptography")?;
    let numbers = if private {
        host::rsa_private_numbers(bytes_in(&der)).map(|key| {
            let RsaPrivate { n, e, d, p, q, dp, dq, qi } = key;
            vec![n, e, d, p, q, dp, dq, qi]
        })
    } else {
        host::rsa_public_numbers(bytes_in(&der)).map(|RsaPublic { n, e }| vec![n, e])
    };
    match numbers {
        Ok(numbers) => Ok(list(&ctx, numbers)?.into_value()),
        Err(code) => why(code).into_js(&ctx),
    }
}

/// A key of its numbers, as [`rsa_numbers`] gives them.
fn rsa_key<'js>(ctx: Ctx<'js>, numbers: Array<'js>) -> Result<Value<'js>> {
    require(&ctx, Import::Crypto, "cryptography")?;
    let mut parts = numbers.iter::<Bytes<'js>>().map(|part| part.map(|part| bytes_in(&part).to_vec()));
    let mut next = || parts.next().transpose().map(Option::unwrap_or_default);
    let (n, e) = (next()?, next()?);
    if numbers.len() == 2 {
        return give(&ctx, host::rsa_public_key(&RsaPublic { n, e }));
    }
    let key = RsaPrivate { n, e, d: next()?, p: next()?, q: next()?, dp: next()?, dq: next()?, qi: next()? };
    give(&ctx, host::rsa_private_key(&key))
}

/// `salt` is the length of the salt of PSS; none: PKCS #1 v1.5.
fn scheme_of(salt: Option<u32>) -> RsaScheme {
    salt.map_or(RsaScheme::Pkcs1, RsaScheme::Pss)
}

fn rsa_sign<'js>(
    ctx: Ctx<'js>,
    salt: Option<u32>,
    hash: String,
    key: Bytes<'js>,
    data: Bytes<'js>,
) -> Result<Value<'js>> {
    let hash = hash_of(&ctx, &hash)?;
    give(&ctx, host::rsa_sign(scheme_of(salt), hash, bytes_in(&key), bytes_in(&data)))
}

fn rsa_verify<'js>(
    ctx: Ctx<'js>,
    salt: Option<u32>,
    hash: String,
    key: Bytes<'js>,
    data: Bytes<'js>,
    signature: Bytes<'js>,
) -> Result<bool> {
    let hash = hash_of(&ctx, &hash)?;
    let verified = host::rsa_verify(scheme_of(salt), hash, bytes_in(&key), bytes_in(&data), bytes_in(&signature));
    Ok(verified.unwrap_or(false))
}

fn rsa_oaep<'js>(
    ctx: Ctx<'js>,
    encrypts: bool,
    hash: String,
    key: Bytes<'js>,
    label: Bytes<'js>,
    data: Bytes<'js>,
) -> Result<Value<'js>> {
    let (hash, key, label, data) = (hash_of(&ctx, &hash)?, bytes_in(&key), bytes_in(&label), bytes_in(&data));
    let done =
        if encrypts { host::rsa_encrypt(hash, key, label, data) } else { host::rsa_decrypt(hash, key, label, data) };
    give(&ctx, done)
}
