//! `elias:crypto/crypto` as types.

use elias_host::capability::pricing::Payload;
use elias_host::capability::wasmtime;
use elias_host::capability::wasmtime::component::{ComponentType, Lift, Lower};
use zeroize::Zeroizing;

/// Why an operation was not done.
#[derive(ComponentType, Lower, Debug, Clone, Copy, PartialEq, Eq)]
#[component(enum)]
#[repr(u8)]
pub(super) enum Error {
    #[component(name = "invalid-key")]
    InvalidKey,
    #[component(name = "invalid-data")]
    InvalidData,
    #[component(name = "unsupported")]
    Unsupported,
}

/// What most operations give.
pub(super) type Bytes = Result<Vec<u8>, Error>;

/// Key material: wiped when it is dropped.
pub(super) type Secret = Zeroizing<Vec<u8>>;

#[derive(ComponentType, Lift, Debug, Clone, Copy, PartialEq, Eq)]
#[component(enum)]
#[repr(u8)]
#[allow(dead_code)] // lifted from the guest
pub(super) enum Hash {
    #[component(name = "md5")]
    Md5,
    #[component(name = "sha1")]
    Sha1,
    #[component(name = "sha256")]
    Sha256,
    #[component(name = "sha384")]
    Sha384,
    #[component(name = "sha512")]
    Sha512,
}

#[derive(ComponentType, Lift, Debug, Clone, Copy, PartialEq, Eq)]
#[component(enum)]
#[repr(u8)]
#[allow(dead_code)] // lifted from the guest
pub(super) enum Curve {
    #[component(name = "p256")]
    P256,
    #[component(name = "p384")]
    P384,
    #[component(name = "p521")]
    P521,
    #[component(name = "ed25519")]
    Ed25519,
    #[component(name = "x25519")]
    X25519,
}

#[derive(ComponentType, Lift, Debug)]
#[component(variant)]
pub(super) enum Cipher {
    #[component(name = "gcm")]
    Gcm(Gcm),
    #[component(name = "cbc")]
    Cbc(Vec<u8>),
    #[component(name = "ctr")]
    Ctr(Ctr),
    #[component(name = "kw")]
    Kw,
}

#[derive(ComponentType, Lift, Debug)]
#[component(record)]
pub(super) struct Gcm {
    pub(super) iv: Vec<u8>,
    #[component(name = "additional-data")]
    pub(super) additional_data: Vec<u8>,
    #[component(name = "tag-bits")]
    pub(super) tag_bits: u8,
}

#[derive(ComponentType, Lift, Debug)]
#[component(record)]
pub(super) struct Ctr {
    pub(super) counter: Vec<u8>,
    pub(super) bits: u8,
}

#[derive(ComponentType, Lower)]
#[component(record)]
pub(super) struct KeyPair {
    pub(super) private: Vec<u8>,
    pub(super) public: Vec<u8>,
}

#[derive(ComponentType, Lift, Lower)]
#[component(record)]
pub(super) struct RsaPublic {
    pub(super) n: Vec<u8>,
    pub(super) e: Vec<u8>,
}

#[derive(ComponentType, Lift, Lower)]
#[component(record)]
pub(super) struct RsaPrivate {
    pub(super) n: Vec<u8>,
    pub(super) e: Vec<u8>,
    pub(super) d: Vec<u8>,
    pub(super) p: Vec<u8>,
    pub(super) q: Vec<u8>,
    pub(super) dp: Vec<u8>,
    pub(super) dq: Vec<u8>,
    pub(super) qi: Vec<u8>,
}

#[derive(ComponentType, Lift, Debug, Clone, Copy)]
#[component(variant)]
pub(super) enum RsaScheme {
    #[component(name = "pkcs1")]
    Pkcs1,
    #[component(name = "pss")]
    Pss(u32),
}

impl Payload for Error {}
impl Payload for Hash {}
impl Payload for Curve {}
impl Payload for RsaScheme {}

impl Payload for Cipher {
    fn units(&self) -> u64 {
        match self {
            Self::Gcm(Gcm { iv, additional_data, .. }) => iv.units() + additional_data.units(),
            Self::Cbc(iv) => iv.units(),
            Self::Ctr(ctr) => ctr.counter.units(),
            Self::Kw => 0,
        }
    }
}

impl Payload for KeyPair {
    fn units(&self) -> u64 {
        self.private.units() + self.public.units()
    }
}

impl Payload for RsaPublic {
    fn units(&self) -> u64 {
        self.n.units() + self.e.units()
    }
}

impl RsaPrivate {
    fn numbers(&self) -> [&Vec<u8>; 8] {
        let Self { n, e, d, p, q, dp, dq, qi } = self;
        [n, e, d, p, q, dp, dq, qi]
    }

    /// Bytes of its longest number.
    pub(super) fn longest(&self) -> u64 {
        self.numbers().into_iter().map(|number| number.len() as u64).max().unwrap_or(0)
    }
}

impl Payload for RsaPrivate {
    fn units(&self) -> u64 {
        self.numbers().into_iter().map(Payload::units).sum()
    }
}
