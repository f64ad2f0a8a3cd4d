//! That what an operation costs and the CPU time that it takes rise alike.

use super::super::cipher::{Direction, run};
use super::super::curve;
use super::super::derive::{self, Parts};
use super::super::hash;
use super::super::rsa;
use super::super::types::{Bytes, Cipher, Ctr, Curve, Gcm, Hash, RsaPublic, RsaScheme, Secret};
use super::*;
use std::task::Poll;
use std::time::Duration;

/// By how much the time of a unit may differ from one size to another.
const FACTOR: f64 = 8.0;

/// CPU time that is enough to be measured: the system brings a thread's up to date every few milliseconds.
const ENOUGH: Duration = Duration::from_millis(60);

const HASHES: [Hash; 5] = [Hash::Md5, Hash::Sha1, Hash::Sha256, Hash::Sha384, Hash::Sha512];

/// How long this thread has been on a core.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(stat.split(' ').next().unwrap().parse().unwrap())
}

/// CPU time of a unit, in nanoseconds: the least of some attempts, since what else a machine does only adds to it.
fn of_unit(units: u64, work: &mut dyn FnMut()) -> f64 {
    let mut attempt = || {
        let (began, mut calls) = (cpu_time(), 0_u32);
        loop {
            work();
            calls += 1;
            let taken = cpu_time().saturating_sub(began);
            if taken >= ENOUGH {
                return taken.as_secs_f64() * 1e9 / f64::from(calls) / units as f64;
            }
        }
    };
    (0..3).map(|_| attempt()).fold(f64::INFINITY, f64::min)
}

/// Does an operation in several sizes, of which each has its price.
fn rises_alike<S: Copy + std::fmt::Debug>(what: &str, sizes: &[S], price: impl Fn(S) -> u64, mut work: impl FnMut(S)) {
    let times: Vec<_> = sizes.iter().map(|size| (*size, of_unit(price(*size), &mut || work(*size)))).collect();
    let least = times.iter().map(|(_, time)| *time).fold(f64::INFINITY, f64::min);
    let most = times.iter().map(|(_, time)| *time).fold(0.0, f64::max);
    assert!(most <= FACTOR * least, "{what}: nanoseconds of a unit by size: {times:?}");
}

fn done(mut parts: Parts) -> Vec<u8> {
    loop {
        if let Poll::Ready(done) = parts() {
            return done.expect("it is allowed");
        }
    }
}

fn secret(bytes: usize) -> Secret {
    Secret::new(vec![7; bytes])
}

#[test]
fn hashing_rises_with_its_price() {
    const SIZES: [usize; 3] = [256 << 10, 1 << 20, 4 << 20];
    let data = vec![1; SIZES[2]];
    for of in HASHES {
        let price = |bytes: usize| CALL + hash_byte(of) * bytes as u64;
        rises_alike(&format!("digest {of:?}"), &SIZES, price, |bytes| drop(hash::digest(of, &data[..bytes])));
        rises_alike(&format!("hmac {of:?}"), &SIZES, price, |bytes| drop(hash::hmac(of, &secret(64), &data[..bytes])));
        let key = Secret::new(data.clone());
        rises_alike(&format!("a key of hmac {of:?}"), &SIZES, price, |bytes| {
            drop(hash::hmac(of, &Secret::new(key[..bytes].to_vec()), b"text"));
        });
    }
}

#[test]
fn expanding_a_key_rises_with_its_price() {
    let info = vec![1; 1 << 20];
    for of in HASHES {
        let blocks = [1_u32, 8, 64].map(|blocks| blocks * u32::try_from(hash::output_bytes(of)).unwrap());
        let sizes: Vec<_> =
            [64 << 10, 1 << 20].into_iter().flat_map(|info| blocks.map(|bytes| (info, bytes))).collect();
        let price = |(info, bytes): (usize, u32)| {
            CALL + hash_byte(of) * hash::hkdf_bytes(of, 64, info, bytes) as u64 + DERIVED_BYTE * u64::from(bytes)
        };
        rises_alike(&format!("hkdf {of:?}"), &sizes, price, |(length, bytes)| {
            hash::hkdf(of, &secret(32), &[7; 32], &info[..length], bytes).expect("it is allowed");
        });
    }
}

#[test]
fn encrypting_rises_with_its_price() {
    const SIZES: [usize; 3] = [128 << 10, 512 << 10, 2 << 20];
    let gcm =
        |additional: usize| Cipher::Gcm(Gcm { iv: vec![1; 12], additional_data: vec![2; additional], tag_bits: 128 });
    for cipher in [gcm(0), Cipher::Cbc(vec![1; 16]), Cipher::Ctr(Ctr { counter: vec![1; 16], bits: 64 }), Cipher::Kw] {
        let price = |bytes: usize| CALL + cipher_byte(&cipher) * bytes as u64;
        let what = format!("{cipher:?}");
        rises_alike(&format!("encrypt {what:.20}"), &SIZES, price, |bytes| {
            run(Direction::Encrypt, &cipher, &secret(32), vec![3; bytes]).expect("it is allowed");
        });
        let encrypted = SIZES.map(|bytes| run(Direction::Encrypt, &cipher, &secret(32), vec![3; bytes]).expect("done"));
        let sizes = [0, 1, 2];
        let price = |at: usize| price(encrypted[at].len());
        rises_alike(&format!("decrypt {what:.20}"), &sizes, price, |at| {
            run(Direction::Decrypt, &cipher, &secret(32), encrypted[at].clone()).expect("it is right");
        });
    }
    let price = |bytes: usize| CALL + cipher_byte(&gcm(0)) * bytes as u64;
    let with = SIZES.map(gcm);
    rises_alike(
        "additional data",
        &[0, 1, 2],
        |at: usize| price(SIZES[at]),
        |at| {
            run(Direction::Encrypt, &with[at], &secret(32), Vec::new()).expect("it is allowed");
        },
    );
}

#[test]
fn deriving_a_key_rises_with_its_price() {
    for of in [Hash::Sha1, Hash::Sha256, Hash::Sha512] {
        let length = u32::try_from(hash::output_bytes(of)).unwrap();
        // Of a hash's own length, for the price knows blocks of 32 bytes alone.
        let price = |(iterations, blocks): (u32, u32)| {
            CALL + ITERATION * u64::from(iterations) * u64::from((blocks * length).div_ceil(32))
        };
        rises_alike(
            &format!("pbkdf2 {of:?}"),
            &[(2_000, 1), (20_000, 1), (2_000, 16)],
            price,
            |(iterations, blocks)| {
                done(derive::pbkdf2(of, &secret(16), &[7; 16], iterations, blocks * length).expect("it is allowed"));
            },
        );
    }
    let mixes = |(n, r, p): (u32, u32, u32)| CALL + MIX * u64::from(n) * u64::from(r) * u64::from(p);
    rises_alike(
        "scrypt",
        &[(1 << 10, 8, 1), (1 << 13, 8, 1), (1 << 10, 32, 1), (1 << 10, 8, 8)],
        mixes,
        |(n, r, p)| {
            done(derive::scrypt(&secret(16), &[7; 16], n, r, p, 32).expect("it is allowed"));
        },
    );
    let derived = |bytes: u32| CALL + MIX * 16 + DERIVED_BYTE * u64::from(bytes);
    rises_alike("bytes of scrypt", &[64 << 10, 256 << 10, 1 << 20], derived, |bytes| {
        done(derive::scrypt(&secret(16), &[7; 16], 16, 1, 1, bytes).expect("it is allowed"));
    });
}

/// Fails if an operation, whose work depends on a kind and on no size, takes more than it costs by that factor.
fn takes_what_it_costs(what: &str, price: u64, mut work: impl FnMut()) {
    const COSTS: f64 = 0.1; // nanoseconds of a unit
    let time = of_unit(price, &mut work);
    assert!(time <= FACTOR * COSTS, "{what}: {time} nanoseconds of a unit");
}

#[test]
fn operations_on_curves_take_what_they_cost() {
    type Convert = fn(Curve, &[u8]) -> Bytes;
    for of in [Curve::P256, Curve::P384, Curve::P521, Curve::Ed25519, Curve::X25519] {
        let point = CALL + super::curve(of);
        let look = CALL + super::curve(of) / LOOK_PART;
        let what = |operation: &str| format!("{operation} {of:?}");
        takes_what_it_costs(&what("generate"), point, || drop(curve::generate(of)));
        let key = curve::generate(of);
        let (pkcs8, spki) = (
            curve::encode_pkcs8(of, &key.private).expect("a key"),
            curve::encode_spki(of, &key.public).expect("a key"),
        );
        let conversions: [(&str, u64, Convert, &[u8]); 6] = [
            ("public-of", point, curve::public_of, &key.private),
            ("encode-pkcs8", point, curve::encode_pkcs8, &key.private),
            ("decode-pkcs8", point, curve::decode_pkcs8, &pkcs8),
            ("check-public", look, curve::check_public, &key.public),
            ("encode-spki", look, curve::encode_spki, &key.public),
            ("decode-spki", look, curve::decode_spki, &spki),
        ];
        for (operation, price, convert, input) in conversions {
            let price = price + BYTE * input.len() as u64;
            takes_what_it_costs(&what(operation), price, || drop(convert(of, input).expect("it is a key")));
        }
        let private = Secret::new(key.private.clone());
        if of != Curve::Ed25519 {
            takes_what_it_costs(&what("agree"), point, || {
                curve::agree(of, &private, &key.public).expect("they agree");
            });
        }
        if of != Curve::X25519 {
            let sign = |data: &[u8]| curve::sign(of, Hash::Sha512, &private, data).expect("it is signed");
            let signature = sign(b"text");
            takes_what_it_costs(&what("sign"), point, || drop(sign(b"text")));
            takes_what_it_costs(&what("verify"), point, || {
                assert_eq!(curve::verify(of, Hash::Sha512, &key.public, b"text", &signature), Ok(true));
            });
        }
    }
}

#[test]
fn signing_on_a_curve_rises_with_its_price() {
    const SIZES: [usize; 3] = [256 << 10, 1 << 20, 4 << 20];
    let data = vec![1; SIZES[2]];
    // Ed25519 hashes what it signs twice, by a hash of its own.
    for (of, times) in [(Curve::P256, 1), (Curve::Ed25519, 2)] {
        let key = curve::generate(of);
        let private = Secret::new(key.private.clone());
        let price = |bytes: usize| CALL + super::curve(of) + times * hash_byte(Hash::Sha512) * bytes as u64;
        let sign = |bytes: usize| curve::sign(of, Hash::Sha512, &private, &data[..bytes]).expect("it is signed");
        let signatures = SIZES.map(sign);
        rises_alike(&format!("sign {of:?}"), &SIZES, price, |bytes| drop(sign(bytes)));
        rises_alike(
            &format!("verify {of:?}"),
            &[0, 1, 2],
            |at: usize| price(SIZES[at]),
            |at| {
                let (data, signature) = (&data[..SIZES[at]], &signatures[at]);
                assert_eq!(curve::verify(of, Hash::Sha512, &key.public, data, signature), Ok(true));
            },
        );
    }
}

#[test]
fn signing_rises_with_its_price() {
    let keys =
        [1024, 2048, 3072].map(|bits| Secret::new(done(rsa::generate(bits, &[1, 0, 1]).expect("it is allowed"))));
    let price = |at: usize| CALL + rsa_private(rsa::bits_of(&keys[at], true));
    rises_alike("rsa-sign", &[0, 1, 2], price, |at| {
        rsa::sign(RsaScheme::Pkcs1, Hash::Sha256, &keys[at], b"text").expect("signed");
    });
}

#[test]
fn what_is_done_with_rsa_keys_rises_with_its_price() {
    let keys =
        [1024, 2048, 3072].map(|bits| Secret::new(done(rsa::generate(bits, &[1, 0, 1]).expect("it is allowed"))));
    let private = [0, 1, 2].map(|at: usize| rsa::private_numbers(&keys[at]).expect("a key"));
    let public = private.each_ref().map(|numbers| RsaPublic { n: numbers.n.clone(), e: numbers.e.clone() });
    let spki = public.each_ref().map(|numbers| rsa::public_from(numbers).expect("a key"));
    const SIZES: [usize; 3] = [0, 1, 2];

    let looked_at = |at: usize| CALL + BYTE * keys[at].len() as u64 + rsa_public(rsa::bits_of(&keys[at], true));
    rises_alike("rsa-private-numbers", &SIZES, looked_at, |at| {
        rsa::private_numbers(&keys[at]).expect("a key");
    });
    let made = |at: usize| CALL + BYTE * private[at].n.len() as u64 + rsa_public(8 * private[at].longest());
    rises_alike("rsa-private-key", &SIZES, made, |at| {
        rsa::private_from(&private[at]).expect("a key");
    });
    let read = |at: usize| CALL + BYTE * spki[at].len() as u64;
    rises_alike("rsa-public-numbers", &SIZES, read, |at| {
        rsa::public_numbers(&spki[at]).expect("a key");
    });
    let written = |at: usize| CALL + BYTE * (public[at].n.len() + public[at].e.len()) as u64;
    rises_alike("rsa-public-key", &SIZES, written, |at| {
        rsa::public_from(&public[at]).expect("a key");
    });

    let with_public = |at: usize| CALL + rsa_public(rsa::bits_of(&spki[at], false));
    let signatures =
        keys.each_ref().map(|key| rsa::sign(RsaScheme::Pkcs1, Hash::Sha256, key, b"text").expect("it is signed"));
    rises_alike("rsa-verify", &SIZES, with_public, |at| {
        let verified = rsa::verify(RsaScheme::Pkcs1, Hash::Sha256, &spki[at], b"text", &signatures[at]);
        assert_eq!(verified, Ok(true));
    });
    let encrypt = |at: usize| rsa::encrypt(Hash::Sha256, &spki[at], b"", b"text").expect("it is short enough");
    let encrypted = SIZES.map(encrypt);
    rises_alike("rsa-encrypt", &SIZES, with_public, |at| drop(encrypt(at)));
    let with_private = |at: usize| CALL + rsa_private(rsa::bits_of(&keys[at], true));
    rises_alike("rsa-decrypt", &SIZES, with_private, |at| {
        rsa::decrypt(Hash::Sha256, &keys[at], b"", &encrypted[at]).expect("it is right");
    });
}
