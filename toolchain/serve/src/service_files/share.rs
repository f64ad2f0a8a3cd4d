//! What tenants may hold in memory by files: attachments, and the bytes of messages, answers and states.

use elias_names::TenantId;
use elias_nine_p::{Errno, FileError, FileResult};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Attachments of a tenant at once: half of the connections of the server, so that others can attach.
const ATTACHMENTS_MAX: usize = 32;

/// Bytes that the open files of a tenant hold, and those of all tenants.
const TENANT_BYTES_MAX: usize = 16 << 20;
const HOST_BYTES_MAX: usize = 64 << 20;

/// The shares of all tenants.
pub(super) struct Shares {
    bytes: Arc<Semaphore>,
    tenants: Mutex<HashMap<TenantId, TenantShare>>,
}

#[derive(Clone)]
struct TenantShare {
    attachments: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
}

impl Default for Shares {
    fn default() -> Self {
        Self { bytes: Arc::new(Semaphore::new(HOST_BYTES_MAX)), tenants: Mutex::default() }
    }
}

impl Shares {
    /// The share of an attachment.
    ///
    /// # Errors
    /// `EAGAIN` if the tenant has too many.
    pub(super) fn take(&self, tenant: &TenantId) -> FileResult<Share> {
        let mut tenants = self.tenants.lock();
        // Those that nobody uses are made anew when they are needed.
        tenants.retain(|_, share| Arc::strong_count(&share.bytes) > 1);
        let TenantShare { attachments, bytes } = tenants
            .entry(tenant.clone())
            .or_insert_with(|| TenantShare {
                attachments: Arc::new(Semaphore::new(ATTACHMENTS_MAX)),
                bytes: Arc::new(Semaphore::new(TENANT_BYTES_MAX)),
            })
            .clone();
        let attachment = attachments
            .try_acquire_owned()
            .map_err(|_| FileError::new(Errno::TryAgain, "the tenant has too many attachments"))?;
        Ok(Share { _attachment: attachment, bytes: [bytes, Arc::clone(&self.bytes)] })
    }
}

/// The share of an attachment, which is the tenant's and the host's.
pub(super) struct Share {
    _attachment: OwnedSemaphorePermit,
    bytes: [Arc<Semaphore>; 2],
}

/// Bytes within a share.
#[derive(Default)]
pub(super) struct HeldBytes {
    bytes: Vec<u8>,
    permits: Vec<OwnedSemaphorePermit>,
}

impl HeldBytes {
    /// Bytes that are there already.
    ///
    /// # Errors
    /// `ENOSPC` if the share has no room for them.
    pub(super) fn new(share: &Share, bytes: Vec<u8>) -> FileResult<Self> {
        let mut held = Self { bytes: Vec::new(), permits: Vec::new() };
        held.take(share, bytes.len())?;
        held.bytes = bytes;
        Ok(held)
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// `ENOSPC` if the share has no room for them.
    pub(super) fn extend(&mut self, share: &Share, bytes: &[u8]) -> FileResult<()> {
        self.take(share, bytes.len())?;
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes
    }

    /// The part from an offset on, of at most so many bytes.
    pub(super) fn part(&self, offset: u64, count: u32) -> Vec<u8> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(self.bytes.len());
        self.bytes[start..].iter().copied().take(count as usize).collect()
    }

    fn take(&mut self, share: &Share, count: usize) -> FileResult<()> {
        let full = || FileError::new(Errno::NoSpace, "the open files of the tenant or of the host hold too much");
        let count = u32::try_from(count).map_err(|_| full())?;
        let mut taken = Vec::with_capacity(share.bytes.len());
        for semaphore in &share.bytes {
            taken.push(Arc::clone(semaphore).try_acquire_many_owned(count).map_err(|_| full())?);
        }
        if self.permits.is_empty() {
            self.permits = taken;
        } else {
            self.permits.iter_mut().zip(taken).for_each(|(permit, taken)| permit.merge(taken));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(name: &str) -> TenantId {
        name.parse().expect("a name")
    }

    #[test]
    fn a_tenant_has_a_bound_and_others_go_on() {
        let shares = Shares::default();
        let (share, other) =
            (shares.take(&tenant("acme")).expect("one"), shares.take(&tenant("umbrella")).expect("one"));
        let mut held = HeldBytes::default();
        let mib = vec![0; 1 << 20];
        for _ in 0..16 {
            held.extend(&share, &mib).expect("within");
        }
        assert_eq!(held.extend(&share, &[0]).expect_err("beyond").errno, Errno::NoSpace);
        HeldBytes::new(&other, mib.clone()).expect("another tenant's");
        drop(held);
        HeldBytes::new(&share, mib).expect("there is room again");
    }

    #[test]
    fn the_host_has_a_bound_too() {
        let shares = Shares::default();
        let held: Vec<_> = (0..4)
            .map(|number| {
                let share = shares.take(&tenant(&format!("t{number}"))).expect("one");
                let held = HeldBytes::new(&share, vec![0; TENANT_BYTES_MAX]).expect("within");
                (share, held)
            })
            .collect();
        let share = shares.take(&tenant("last")).expect("one");
        assert!(HeldBytes::new(&share, vec![0]).is_err());
        drop(held);
        assert!(HeldBytes::new(&share, vec![0]).is_ok());
    }

    #[test]
    fn no_tenant_takes_all_connections() {
        assert!(2 * ATTACHMENTS_MAX <= elias_nine_p::Limits::default().connections);
    }

    #[test]
    fn attachments_are_bounded_and_forgotten() {
        let shares = Shares::default();
        let taken: Vec<_> = (0..ATTACHMENTS_MAX).map(|_| shares.take(&tenant("acme")).expect("within")).collect();
        assert_eq!(shares.take(&tenant("acme")).err().expect("beyond").errno, Errno::TryAgain);
        drop(taken);
        drop(shares.take(&tenant("umbrella")).expect("one"));
        drop(shares.take(&tenant("initech")).expect("one"));
        assert_eq!(shares.tenants.lock().len(), 1, "of the others nothing is left");
    }

    #[test]
    fn parts_end_with_the_bytes() {
        let shares = Shares::default();
        let share = shares.take(&tenant("acme")).expect("one");
        let held = HeldBytes::new(&share, b"hello".to_vec()).expect("within");
        assert_eq!(
            (held.part(0, 2), held.part(3, 9), held.part(u64::MAX, 9)),
            (b"he".to_vec(), b"lo".to_vec(), vec![])
        );
    }
}
