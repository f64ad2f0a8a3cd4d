//! The types that the functions share, and the fuel that copying the contract's types costs.

pub(super) use super::bindings::elias::crypto::crypto::{
    Cipher, Ctr, Curve, ErrorCode, Gcm, Hash, KeyPair, RsaPrivate, RsaPublic, RsaScheme,
};
use elias_host::capability::pricing::Payload;
use zeroize::Zeroizing;

/// The result of most operations.
pub(super) type Bytes = Result<Vec<u8>, ErrorCode>;

/// Key material: wiped when it is dropped.
pub(super) type Secret = Zeroizing<Vec<u8>>;

impl Payload for ErrorCode {}
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
