//! Keys and signatures on elliptic curves.

use super::hash;
use super::types::{Bytes, Curve, ErrorCode, Hash, KeyPair, Secret};
use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use p256::elliptic_curve::pkcs8::{DecodePrivateKey, DecodePublicKey, EncodePrivateKey, EncodePublicKey};
use p256::elliptic_curve::rand_core::OsRng;
use p256::elliptic_curve::sec1::ToEncodedPoint;
use x25519_dalek::{PublicKey as X25519Public, StaticSecret};
use zeroize::Zeroizing;

/// The prefix of the 32 bytes of a key in PKCS #8 and SubjectPublicKeyInfo (RFC 8410): the last byte of the
/// algorithm's identifier is where they differ.
fn okp_prefix(curve: Curve, private: bool) -> Vec<u8> {
    let oid = if curve == Curve::Ed25519 { 0x70 } else { 0x6e };
    if private {
        vec![0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, oid, 4, 0x22, 4, 0x20]
    } else {
        vec![0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, oid, 3, 0x21, 0]
    }
}

fn okp_encode(curve: Curve, private: bool, key: &[u8]) -> Bytes {
    let key: [u8; 32] = key.try_into().map_err(|_| ErrorCode::InvalidKey)?;
    let mut der = okp_prefix(curve, private);
    der.extend_from_slice(&key);
    Ok(der)
}

fn okp_decode(curve: Curve, private: bool, der: &[u8]) -> Bytes {
    let key = der.strip_prefix(&*okp_prefix(curve, private)).filter(|key| key.len() == 32);
    key.map(<[u8]>::to_vec).ok_or(ErrorCode::InvalidKey)
}

/// Runs `$body` with `$c` as the crate of a curve of NIST; `$okp` for the others.
macro_rules! with_nist {
    ($curve:expr, $c:ident => $body:expr, $okp:expr) => {
        match $curve {
            Curve::P256 => {
                use p256 as $c;
                $body
            }
            Curve::P384 => {
                use p384 as $c;
                $body
            }
            Curve::P521 => {
                use p521 as $c;
                $body
            }
            Curve::Ed25519 | Curve::X25519 => $okp,
        }
    };
}

fn bytes32(key: &[u8]) -> Result<[u8; 32], ErrorCode> {
    key.try_into().map_err(|_| ErrorCode::InvalidKey)
}

pub(super) fn generate(curve: Curve) -> KeyPair {
    with_nist!(curve, c => {
        let key = c::SecretKey::random(&mut OsRng);
        KeyPair {
            private: key.to_bytes().to_vec(),
            public: key.public_key().to_encoded_point(false).as_bytes().to_vec(),
        }
    }, {
        let private = StaticSecret::random_from_rng(OsRng).to_bytes().to_vec();
        let public = public_of(curve, &private).unwrap_or_default(); // 32 bytes always are a key
        KeyPair { private, public }
    })
}

pub(super) fn public_of(curve: Curve, private: &[u8]) -> Bytes {
    with_nist!(curve, c => {
        let key = c::SecretKey::from_slice(private).map_err(|_| ErrorCode::InvalidKey)?;
        Ok(key.public_key().to_encoded_point(false).as_bytes().to_vec())
    }, {
        let private = Zeroizing::new(bytes32(private)?);
        Ok(if curve == Curve::Ed25519 {
            SigningKey::from_bytes(&private).verifying_key().to_bytes().to_vec()
        } else {
            X25519Public::from(&StaticSecret::from(*private)).to_bytes().to_vec()
        })
    })
}

pub(super) fn check_public(curve: Curve, public: &[u8]) -> Bytes {
    with_nist!(curve, c => {
        let key = c::PublicKey::from_sec1_bytes(public).map_err(|_| ErrorCode::InvalidKey)?;
        Ok(key.to_encoded_point(false).as_bytes().to_vec())
    }, bytes32(public).map(Vec::from))
}

pub(super) fn decode_pkcs8(curve: Curve, der: &[u8]) -> Bytes {
    with_nist!(curve, c => {
        let key = c::SecretKey::from_pkcs8_der(der).map_err(|_| ErrorCode::InvalidKey)?;
        Ok(key.to_bytes().to_vec())
    }, okp_decode(curve, true, der))
}

pub(super) fn encode_pkcs8(curve: Curve, private: &[u8]) -> Bytes {
    with_nist!(curve, c => {
        let key = c::SecretKey::from_slice(private).map_err(|_| ErrorCode::InvalidKey)?;
        Ok(key.to_pkcs8_der().map_err(|_| ErrorCode::InvalidKey)?.as_bytes().to_vec())
    }, okp_encode(curve, true, private))
}

pub(super) fn decode_spki(curve: Curve, der: &[u8]) -> Bytes {
    with_nist!(curve, c => {
        let key = c::PublicKey::from_public_key_der(der).map_err(|_| ErrorCode::InvalidKey)?;
        Ok(key.to_encoded_point(false).as_bytes().to_vec())
    }, okp_decode(curve, false, der))
}

pub(super) fn encode_spki(curve: Curve, public: &[u8]) -> Bytes {
    with_nist!(curve, c => {
        let key = c::PublicKey::from_sec1_bytes(public).map_err(|_| ErrorCode::InvalidKey)?;
        Ok(key.to_public_key_der().map_err(|_| ErrorCode::InvalidKey)?.as_bytes().to_vec())
    }, okp_encode(curve, false, public))
}

pub(super) fn sign(curve: Curve, hash: Hash, private: &Secret, data: &[u8]) -> Bytes {
    with_nist!(curve, c => {
        use p256::ecdsa::signature::hazmat::PrehashSigner;
        let key = c::ecdsa::SigningKey::from_slice(private).map_err(|_| ErrorCode::InvalidKey)?;
        let signature: c::ecdsa::Signature =
            key.sign_prehash(&padded(curve, hash::digest(hash, data))).map_err(|_| ErrorCode::Unsupported)?;
        Ok(signature.to_bytes().to_vec())
    }, {
        if curve == Curve::X25519 {
            return Err(ErrorCode::Unsupported);
        }
        let private = Zeroizing::new(bytes32(private)?);
        Ok(SigningKey::from_bytes(&private).sign(data).to_bytes().to_vec())
    })
}

/// A hash that is shorter than half of the curve's order is refused by the crates as too weak to sign; the standard
/// takes it. Zeros before it do not change the number that it is.
fn padded(curve: Curve, digest: Vec<u8>) -> Vec<u8> {
    let wanted = match curve {
        Curve::P521 => 33,
        Curve::P384 => 24,
        _ => 16,
    };
    let missing = usize::saturating_sub(wanted, digest.len());
    std::iter::repeat_n(0, missing).chain(digest).collect()
}

pub(super) fn verify(
    curve: Curve,
    hash: Hash,
    public: &[u8],
    data: &[u8],
    signature: &[u8],
) -> Result<bool, ErrorCode> {
    with_nist!(curve, c => {
        use p256::ecdsa::signature::hazmat::PrehashVerifier;
        let key = c::ecdsa::VerifyingKey::from_sec1_bytes(public).map_err(|_| ErrorCode::InvalidKey)?;
        let Ok(signature) = c::ecdsa::Signature::from_slice(signature) else { return Ok(false) };
        Ok(key.verify_prehash(&padded(curve, hash::digest(hash, data)), &signature).is_ok())
    }, {
        if curve == Curve::X25519 {
            return Err(ErrorCode::Unsupported);
        }
        let Ok(key) = VerifyingKey::from_bytes(&bytes32(public)?) else { return Ok(false) };
        let Ok(signature) = ed25519_dalek::Signature::from_slice(signature) else { return Ok(false) };
        Ok(key.verify_strict(data, &signature).is_ok())
    })
}

pub(super) fn agree(curve: Curve, private: &Secret, public: &[u8]) -> Bytes {
    with_nist!(curve, c => {
        let private = c::SecretKey::from_slice(private).map_err(|_| ErrorCode::InvalidKey)?;
        let public = c::PublicKey::from_sec1_bytes(public).map_err(|_| ErrorCode::InvalidKey)?;
        let shared = p256::elliptic_curve::ecdh::diffie_hellman(private.to_nonzero_scalar(), public.as_affine());
        Ok(shared.raw_secret_bytes().to_vec())
    }, {
        if curve == Curve::Ed25519 {
            return Err(ErrorCode::Unsupported);
        }
        let private = StaticSecret::from(bytes32(private)?);
        let shared = private.diffie_hellman(&X25519Public::from(bytes32(public)?));
        // RFC 7748, 6.1: all zeros come of a key of small order.
        if shared.was_contributory() { Ok(shared.to_bytes().to_vec()) } else { Err(ErrorCode::InvalidKey) }
    })
}
