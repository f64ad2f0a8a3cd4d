//! Limits of the memory that scrypt takes, for all components and for each.

use super::derive::Parts;
use elias_host::capability::wasmtime;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Weak};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// KiB that all calls of scrypt together may have at a time, and those of one component; more of them wait.
const ALL_KIB: usize = 256 * 1024;
const COMPONENT_KIB: usize = ALL_KIB / 2;

static ALL: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(ALL_KIB)));

/// By component, as long as one has or waits for memory.
static COMPONENTS: Mutex<Option<HashMap<String, Weak<Semaphore>>>> = Mutex::new(None);

/// Memory that may be used until this is dropped.
pub(super) struct MemoryReservation {
    _of_all: OwnedSemaphorePermit,
    _of_component: OwnedSemaphorePermit,
}

/// Waits until a component may use this many bytes.
pub(super) async fn reserve(component: &str, bytes: u64) -> wasmtime::Result<MemoryReservation> {
    let kib = u32::try_from(bytes.div_ceil(1024))?;
    // First its own: who waits for its own share holds nothing of what others need.
    let of_component = share(component).acquire_many_owned(kib).await?;
    let of_all = Arc::clone(&ALL).acquire_many_owned(kib).await?;
    Ok(MemoryReservation { _of_all: of_all, _of_component: of_component })
}

fn share(component: &str) -> Arc<Semaphore> {
    let mut all = COMPONENTS.lock(); // whole after every operation
    let all = all.get_or_insert_default();
    if let Some(share) = all.get(component).and_then(Weak::upgrade) {
        return share;
    }
    all.retain(|_, share| share.strong_count() > 0);
    let share = Arc::new(Semaphore::new(COMPONENT_KIB));
    all.insert(component.to_owned(), Arc::downgrade(&share));
    share
}

impl MemoryReservation {
    /// The same work, which keeps the memory until it is dropped: it is so with a thread that is at a part of it while
    /// the guest is ended.
    pub(super) fn held_by(self, mut parts: Parts) -> Parts {
        Box::new(move || {
            let _held = &self;
            parts()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_component_that_takes_its_share_leaves_others_theirs() {
        let half = COMPONENT_KIB as u64 / 2 * 1024;
        let first = reserve("greedy", half).await.expect("memory");
        let _second = reserve("greedy", half).await.expect("memory");
        let mut third = Box::pin(reserve("greedy", half));
        assert!(futures::poll!(&mut third).is_pending());
        let _other = reserve("modest", half).await.expect("its own share");
        drop(first);
        third.await.expect("what was given back");
    }
}
