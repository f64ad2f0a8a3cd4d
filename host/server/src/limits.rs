//! The shares of one client address, one service and one connection in the server: connections, requests, bytes in
//! memory.

use crate::config::ServerConfig;
use crate::failure::Refusal;
use elias_delivery::supervision::{Resource, ResourceUsage, UsageReservation};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Weak};

/// Bytes of one response that are read ahead of its client.
pub(crate) const READ_AHEAD_BYTES_MAX: u64 = 1 << 20;
/// Bytes of all responses of one connection that are read ahead: HTTP/2 has many on one.
const CONNECTION_BYTES_MAX: u64 = 4 << 20;
/// Executions of one connection that may wait for its client for long.
pub(crate) const CONNECTION_STALLED_MAX: u64 = 16;
/// A service's and an address's part of all bytes that are read ahead.
const SHARE_OF_BYTES: u64 = 4;
/// A body of so few bytes waits for its client uncounted: its request is counted.
pub(crate) const BYTES_UNCOUNTED: u64 = 16 << 10;
/// Bytes of all request bodies that are kept at once for mirrored requests; beyond that requests are not mirrored.
pub(crate) const MIRRORED_BYTES_MAX: usize = 64 << 20;
/// Addresses in the table before those that nobody uses are removed.
const ADDRESSES_MIN: usize = 1 << 10;

/// The usage of each client address.
pub(crate) struct AddressUsages {
    table: Mutex<AddressTable>,
}

struct AddressTable {
    usages: HashMap<IpAddr, Weak<ResourceUsage>>,
    /// Entries at which those that nobody uses are removed.
    sweep_at: usize,
}

impl Default for AddressUsages {
    fn default() -> Self {
        Self { table: Mutex::new(AddressTable { usages: HashMap::new(), sweep_at: ADDRESSES_MIN }) }
    }
}

impl AddressUsages {
    /// The usage of an address. Addresses of one IPv6 network of 64 bits are one: a single client has them all.
    pub(crate) fn usage(&self, address: IpAddr) -> Arc<ResourceUsage> {
        let address = match address.to_canonical() {
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
            address @ IpAddr::V4(_) => address,
        };
        let mut table = self.table.lock(); // no operation leaves it half done
        if let Some(usage) = table.usages.get(&address).and_then(Weak::upgrade) {
            return usage;
        }
        if table.usages.len() >= table.sweep_at {
            table.usages.retain(|_, usage| usage.strong_count() > 0);
            table.sweep_at = ADDRESSES_MIN.max(table.usages.len() * 2);
        }
        let usage = Arc::new(ResourceUsage::default());
        table.usages.insert(address, Arc::downgrade(&usage));
        usage
    }
}

/// The counters of everyone whom the use of one request is counted for.
#[derive(Clone)]
pub(crate) struct UsageScopes {
    host: Arc<ResourceUsage>,
    address: Arc<ResourceUsage>,
    connection: Arc<ResourceUsage>,
    /// Known once the request's route is.
    service: Option<Arc<ResourceUsage>>,
    /// Bytes of all responses together.
    bytes_max: u64,
}

impl UsageScopes {
    pub(crate) fn new(
        host: &Arc<ResourceUsage>,
        address: Arc<ResourceUsage>,
        connection: &Arc<ResourceUsage>,
        config: &ServerConfig,
    ) -> Self {
        let (host, connection) = (Arc::clone(host), Arc::clone(connection));
        Self { host, address, connection, service: None, bytes_max: config.buffered_bytes }
    }

    /// Counts a request.
    pub(crate) fn request(&self, config: &ServerConfig) -> Result<[UsageReservation; 2], Refusal> {
        let one = |usage: &Arc<ResourceUsage>, max: u32| usage.reserve(Resource::Requests, 1, max.into());
        let host = one(&self.host, config.requests).ok_or(Refusal::HostRequests)?;
        let address = one(&self.address, config.requests_per_address).ok_or(Refusal::AddressRequests)?;
        Ok([host, address])
    }

    /// Counts a request to this service.
    pub(crate) fn service_request(
        &mut self,
        service: &Arc<ResourceUsage>,
        config: &ServerConfig,
    ) -> Result<UsageReservation, Refusal> {
        let reservation = service.reserve(Resource::Requests, 1, config.requests_per_service.into());
        self.service = Some(Arc::clone(service));
        reservation.ok_or(Refusal::ServiceRequests)
    }

    /// Reserves memory for bytes of a response, if every scope has so much left.
    pub(crate) fn reserve_buffer(&self, bytes: u64) -> Option<BufferReservation> {
        if bytes <= BYTES_UNCOUNTED {
            return Some(BufferReservation::default());
        }
        let reserve = |usage: &Arc<ResourceUsage>, max| usage.reserve(Resource::BufferedBytes, bytes, max);
        let part = self.bytes_max / SHARE_OF_BYTES;
        let service = match &self.service {
            Some(service) => Some(reserve(service, part)?),
            None => None,
        };
        let others = [
            reserve(&self.connection, CONNECTION_BYTES_MAX)?,
            reserve(&self.address, part)?,
            reserve(&self.host, self.bytes_max)?,
        ];
        Some(BufferReservation { _service: service, _others: Some(others) })
    }

    /// Whether more executions of the connection wait for its client than may for long.
    pub(crate) fn has_too_many_stalled(&self) -> bool {
        self.connection.of(Resource::StalledExecutions) > CONNECTION_STALLED_MAX
    }

    /// Counts an execution that waits for its client.
    pub(crate) fn stalled(&self) -> [Option<UsageReservation>; 2] {
        [&self.host, &self.connection].map(|usage| usage.reserve(Resource::StalledExecutions, 1, u64::MAX))
    }
}

/// Memory for bytes of a response, given back when dropped.
#[derive(Debug, Default)]
pub(crate) struct BufferReservation {
    _service: Option<UsageReservation>,
    _others: Option<[UsageReservation; 3]>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_network_is_one_client_and_mapped_addresses_are_ipv4() {
        let addresses = AddressUsages::default();
        let of = |text: &str| addresses.usage(text.parse().expect("an address"));
        let one = of("2001:db8::1");
        assert!(Arc::ptr_eq(&one, &of("2001:db8::ffff:1")));
        assert!(!Arc::ptr_eq(&one, &of("2001:db8:0:1::1")));
        let four = of("192.0.2.1");
        assert!(Arc::ptr_eq(&four, &of("::ffff:192.0.2.1")) && !Arc::ptr_eq(&four, &of("192.0.2.2")));
    }

    #[test]
    fn addresses_that_nobody_uses_are_forgotten() {
        let addresses = AddressUsages::default();
        let kept = addresses.usage([10, 0, 0, 1].into());
        for number in 0..10_000_u32 {
            addresses.usage(IpAddr::V4(number.into()));
        }
        assert!(addresses.table.lock().usages.len() <= ADDRESSES_MIN);
        assert!(Arc::ptr_eq(&kept, &addresses.usage([10, 0, 0, 1].into())));
    }

    #[test]
    fn nobody_has_more_than_a_part_of_the_memory() {
        let (host, service) = (Arc::new(ResourceUsage::default()), Arc::new(ResourceUsage::default()));
        let config = ServerConfig { buffered_bytes: 4 << 20, ..ServerConfig::default() };
        let scopes = |address: &Arc<ResourceUsage>| {
            let mut scopes = UsageScopes::new(&host, Arc::clone(address), &Arc::default(), &config);
            scopes.service_request(&service, &config).map(|_| scopes).expect("few requests")
        };
        let [first, second] = [Arc::default(), Arc::default()];
        let room = scopes(&first).reserve_buffer(1 << 20).expect("a quarter");
        assert!(scopes(&first).reserve_buffer(20_000).is_none(), "the address has its part");
        assert!(scopes(&second).reserve_buffer(20_000).is_none(), "the service has its part");
        assert!(scopes(&second).reserve_buffer(BYTES_UNCOUNTED).is_some());
        assert_eq!(host.of(Resource::BufferedBytes), 1 << 20);
        drop(room);
        assert!(scopes(&first).reserve_buffer(20_000).is_some());
        assert_eq!(host.of(Resource::BufferedBytes), 0);
    }
}
