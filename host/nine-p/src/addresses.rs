//! The connections of each client address.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

/// Bits of an IPv6 address that whoever has a network of them chooses.
const HOST_BITS: u32 = 64;

/// How many connections each address has. An IPv6 network of 64 bits counts as one address.
#[derive(Clone)]
pub(crate) struct Addresses {
    most: usize,
    open: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// A connection of an address, which is counted until this is dropped.
pub(crate) struct AddressPermit {
    address: IpAddr,
    open: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Addresses {
    /// At most so many connections of each address.
    pub(crate) fn new(most: usize) -> Self {
        Self { most, open: Arc::default() }
    }

    /// Counts a connection; none if its address has as many as it may. Those of loopback addresses have no share of
    /// their own: users of this machine and tunnels have them all.
    pub(crate) fn take(&self, address: IpAddr) -> Option<AddressPermit> {
        let address = match address.to_canonical() {
            IpAddr::V6(v6) if !v6.is_loopback() => {
                IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> HOST_BITS << HOST_BITS))
            }
            other => other,
        };
        let mut open = self.open.lock();
        let count = open.entry(address).or_default();
        if *count >= self.most && !address.is_loopback() {
            return None;
        }
        *count += 1;
        Some(AddressPermit { address, open: Arc::clone(&self.open) })
    }
}

impl Drop for AddressPermit {
    fn drop(&mut self) {
        let mut open = self.open.lock();
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn an_address_has_its_share_and_gives_it_back() {
        let addresses = Addresses::new(2);
        let mut permits: Vec<_> = (0..2).filter_map(|_| addresses.take(address("192.0.2.1"))).collect();
        assert_eq!(permits.len(), 2);
        assert!(addresses.take(address("192.0.2.1")).is_none());
        assert!(addresses.take(address("::ffff:192.0.2.1")).is_none(), "it is the same address");
        assert!(addresses.take(address("192.0.2.2")).is_some());
        permits.pop();
        permits.extend(addresses.take(address("192.0.2.1")));
        assert_eq!(permits.len(), 2);
        drop(permits);
        assert!(addresses.open.lock().is_empty(), "nothing is kept of addresses without connections");
    }

    #[test]
    fn a_network_of_ipv6_is_one_address_and_loopback_has_no_share() {
        let addresses = Addresses::new(1);
        let _first = addresses.take(address("2001:db8:0:1::1"));
        assert!(addresses.take(address("2001:db8:0:1:ffff::2")).is_none());
        assert!(addresses.take(address("2001:db8:0:2::1")).is_some());
        for loopback in ["127.0.0.1", "127.0.0.1", "::1", "::1"] {
            let permit = addresses.take(address(loopback));
            assert!(permit.is_some(), "{loopback}");
            // Counted as long as the test runs.
            std::mem::forget(permit);
        }
    }
}
