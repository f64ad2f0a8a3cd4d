//! Limits how often one address may try tokens that the host does not know.
//!
//! A wrong token costs a look at the store. Those who send nothing else are refused before that, whatever tenant or
//! route they ask; who was found valid lately is not affected, at whatever address.

use elias_api::{Code, Error, Result};
use elias_delivery::supervision::GcraLimiter;
use moka::sync::Cache;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

/// Look-ups in vain that an address may cause in a minute. All of them may come at once; they come back evenly.
pub(super) const IN_VAIN_PER_MINUTE: u32 = 600;
const MINUTE: Duration = Duration::from_secs(60);
/// Addresses that are remembered; those that were not heard of for longest are forgotten.
const ADDRESSES_MAX: u64 = 100_000;

/// The look-ups in vain of each address.
pub(super) struct Attempts {
    addresses: Cache<IpAddr, Arc<GcraLimiter>>,
}

impl Attempts {
    pub(super) fn new() -> Self {
        // A limiter that was not touched for a minute is whole again.
        Self { addresses: Cache::builder().max_capacity(ADDRESSES_MAX).time_to_idle(MINUTE).build() }
    }

    /// Whether an address may cause a look-up.
    ///
    /// # Errors
    /// `rate-limited`, with after how long it may.
    pub(super) fn check(&self, address: Option<IpAddr>, now_ms: u64) -> Result<()> {
        let Some(limiter) = address.and_then(|address| self.addresses.get(&network(address))) else { return Ok(()) };
        limiter.check(now_ms).map_err(|wait| {
            let seconds = wait.as_secs() + 1;
            let message = format!("too many tokens from this address were not valid; try again in {seconds} s");
            Error::new(Code::RateLimited, message)
        })
    }

    /// Counts a look-up that was in vain.
    pub(super) fn count(&self, address: Option<IpAddr>, now_ms: u64) {
        let Some(address) = address else { return };
        let new = || GcraLimiter::new(IN_VAIN_PER_MINUTE.into(), MINUTE).map(Arc::new);
        if let Some(limiter) = self.addresses.optionally_get_with(network(address), new) {
            limiter.spend(1, now_ms);
        }
    }
}

/// The smallest network of one subscriber: an IPv4 address, or an IPv6 network of 64 bits.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_sends_wrong_tokens_waits_and_no_other_does() {
        let attempts = Attempts::new();
        let stranger: IpAddr = "2001:db8::1".parse().expect("an address");
        for _ in 0..IN_VAIN_PER_MINUTE {
            attempts.check(Some(stranger), 0).expect("within the limit");
            attempts.count(Some(stranger), 0);
        }
        let refused = attempts.check(Some(stranger), 0).expect_err("over it");
        assert_eq!(refused.code(), Code::RateLimited);
        let neighbour = "2001:db8::ffff".parse().ok();
        assert!(attempts.check(neighbour, 0).is_err(), "another address of the same network is the same stranger");
        for other in ["2001:db8:0:1::1", "192.0.2.1"] {
            assert!(attempts.check(other.parse().ok(), 0).is_ok(), "{other}");
        }
        assert!(attempts.check(Some(stranger), 200).is_ok(), "one comes back each tenth of a second");
        assert!(attempts.check(None, 0).is_ok());
    }
}
