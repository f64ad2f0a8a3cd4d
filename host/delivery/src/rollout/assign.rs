//! The assignment of clients to versions.

use crate::setting::InvalidSetting;
use http::HeaderMap;
use http::header::{COOKIE, HeaderName};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::net::{IpAddr, Ipv6Addr};
use utoipa::ToSchema;

/// The attribute of a request by which a client always gets the same version.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Sticky {
    /// No attribute: each request is assigned at random.
    #[default]
    None,
    /// The value of the request header with this name. A request without it is assigned at random.
    Header(String),
    /// The value of the cookie with this name. A request without it is assigned at random.
    Cookie(String),
    /// The client's IP address; of an IPv6 address only the first 64 bits, which identify a subscriber.
    Address,
}

/// The attribute of a request that decides.
#[derive(Debug, Clone, Copy)]
pub struct Caller<'a> {
    /// The request's header fields.
    pub headers: &'a HeaderMap,
    /// The client's address, if it is known.
    pub address: Option<IpAddr>,
    /// Any 64 random bits, for a request without a key.
    pub random: u64,
}

/// Puts requests into buckets: 0 to 9,999, all equally likely.
///
/// The bucket is the first eight bytes of `SHA-256("elias-bucket-1\0" id "\0" key)`, as a number, big end first, modulo
/// 10,000. It depends on nothing else: whoever is among the lowest 1,000 (10 %) is among the lowest 2,500 too, on every
/// host and after every restart; and who is in one rollout's canary says nothing of the next one's.
#[derive(Debug, Clone)]
pub struct Assigner {
    key: Key,
    /// The hash of what comes before the key.
    prefix: Sha256,
}

#[derive(Debug, Clone)]
enum Key {
    None,
    Header(HeaderName),
    Cookie(String),
    Address,
}

/// How many buckets there are.
pub(crate) const BUCKETS: u32 = 10_000;

const NAME_MAX_BYTES: usize = 256;

/// How many buckets a percentage is, from 0 to 100.
pub(crate) fn buckets_of(percent: f64) -> u32 {
    (percent * f64::from(BUCKETS) / 100.0).round() as u32
}

impl Sticky {
    /// Checks that the names are ones that headers and cookies can have.
    ///
    /// # Errors
    /// [`InvalidSetting`] for one that is not.
    pub fn check(&self) -> Result<(), InvalidSetting> {
        self.key().map(|_| ())
    }

    fn key(&self) -> Result<Key, InvalidSetting> {
        Ok(match self {
            Self::None => Key::None,
            Self::Address => Key::Address,
            Self::Header(name) => {
                let name =
                    HeaderName::try_from(name.as_str()).ok().filter(|name| name.as_str().len() <= NAME_MAX_BYTES);
                Key::Header(name.ok_or_else(|| InvalidSetting::new("sticky.header", "must be a header name"))?)
            }
            // The name of a cookie is a token (RFC 6265, section 4.1.1), as that of a header field, but case counts.
            Self::Cookie(name) if name.len() <= NAME_MAX_BYTES && HeaderName::try_from(name.as_str()).is_ok() => {
                Key::Cookie(name.clone())
            }
            Self::Cookie(_) => return Err(InvalidSetting::new("sticky.cookie", "must be a cookie name")),
        })
    }
}

impl Assigner {
    /// Prepares assignment for a rollout, or whatever else has this id.
    ///
    /// # Errors
    /// [`InvalidSetting`] if `sticky` is wrong.
    pub fn new(id: &str, sticky: &Sticky) -> Result<Self, InvalidSetting> {
        let prefix = Sha256::new().chain_update("elias-bucket-1\0").chain_update(id).chain_update("\0");
        Ok(Self { key: sticky.key()?, prefix })
    }

    /// The bucket of a request.
    #[must_use]
    pub fn bucket(&self, caller: &Caller<'_>) -> u32 {
        self.sticky_bucket(caller).unwrap_or_else(|| remainder(caller.random))
    }

    /// The bucket of a service worker: by its class and name, however requests are told apart.
    ///
    /// The key that is hashed is `"worker\0" class "\0" name`. No class has a character 0, so no two workers have the
    /// same key.
    #[must_use]
    pub fn worker_bucket(&self, class: &str, name: &str) -> u32 {
        self.hashed(format!("worker\0{class}\0{name}").as_bytes())
    }

    /// The bucket of a targeting key, such as the id of a user: by its text, however requests are told apart.
    #[must_use]
    pub fn key_bucket(&self, key: &str) -> u32 {
        self.hashed(key.as_bytes())
    }

    /// The bucket of a request that has a key; an empty one is none.
    fn sticky_bucket(&self, caller: &Caller<'_>) -> Option<u32> {
        match &self.key {
            Key::None => None,
            Key::Header(name) => {
                let value = caller.headers.get(name)?.as_bytes();
                (!value.is_empty()).then(|| self.hashed(value))
            }
            Key::Cookie(name) => cookie(caller.headers, name).map(|value| self.hashed(value)),
            Key::Address => Some(match caller.address?.to_canonical() {
                IpAddr::V4(address) => self.hashed(&address.octets()),
                IpAddr::V6(address) => self.hashed(&network(address)),
            }),
        }
    }

    fn hashed(&self, key: &[u8]) -> u32 {
        let digest = self.prefix.clone().chain_update(key).finalize();
        let first = digest.iter().take(8).fold(0, |number, byte| (number << 8) | u64::from(*byte));
        remainder(first)
    }
}

fn remainder(number: u64) -> u32 {
    (number % u64::from(BUCKETS)) as u32
}

fn network(address: Ipv6Addr) -> [u8; 8] {
    let [a, b, c, d, e, f, g, h, ..] = address.octets();
    [a, b, c, d, e, f, g, h]
}

/// The value of the first cookie of this name that has one. A request may have several `Cookie` fields (RFC 9113,
/// section 8.2.3), each with `name=value` pairs between semicolons (RFC 6265, section 4.2.1); a name is compared with
/// its case, and a value may hold `=` and is taken with its quotes.
fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    headers
        .get_all(COOKIE)
        .iter()
        .flat_map(|field| field.as_bytes().split(|byte| *byte == b';'))
        .filter_map(|pair| {
            let equals = pair.iter().position(|byte| *byte == b'=')?;
            let (found, value) = pair.split_at_checked(equals)?;
            Some((found.trim_ascii(), value.get(1..)?.trim_ascii()))
        })
        .find(|(found, value)| *found == name.as_bytes() && !value.is_empty())
        .map(|(_, value)| value)
}
