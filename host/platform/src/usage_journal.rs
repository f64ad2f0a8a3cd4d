//! The usage of tenants as this host counts it, exact however its process ends.
//!
//! Each run of a host counts in a file of its own, `DATA_DIR/usage/ULID`, which has a slot for each tenant and hour.
//! The store is told what a slot has, and not by how much it grew: to tell it twice changes nothing. The file of a run
//! that ended is read by the next one, which tells the store and deletes it. So nothing is lost and nothing counts
//! twice, at whatever instruction a process is killed.
//!
//! An hour is over for a tenant when its slot was closed: whatever is counted after that belongs to a later hour, also
//! if the clock is set back.

mod page;
#[cfg(test)]
mod tests;

use cap_std::fs::Dir;
use elias_names::TenantId;
use elias_telemetry::usage::{UsageAmounts, hour_of};
use page::{Page, SlotContent};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// Slots of a file, of 128 bytes each. A tenant takes one for each hour of which the store was not told all.
const SLOTS: usize = 16_384;

/// The usage of a tenant in an hour, as one run of a host counted it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CountedUsage {
    pub(crate) tenant: TenantId,
    /// The hour, in hours since 1970.
    pub(crate) hour: u64,
    /// The run of a host that counted.
    pub(crate) source: String,
    pub(crate) amounts: UsageAmounts,
    /// The slot to free once the store knows, if nothing is added to it any more.
    closed: Option<usize>,
}

/// The counts of this host.
pub(crate) struct UsageJournal {
    folder: Dir,
    source: String,
    slots: Arc<Slots>,
    accounts: Mutex<HashMap<TenantId, Arc<UsageAccount>>>,
    /// Files of runs that ended, with what they counted.
    former: Mutex<Vec<(String, Vec<SlotContent>)>>,
    /// What the store was told of slots that are in use.
    told: Mutex<HashMap<usize, UsageAmounts>>,
}

/// The slots of the file.
struct Slots {
    page: Page,
    free: Mutex<Vec<usize>>,
    /// What was counted while there was no slot for it: lost with the process, and never told to the store.
    unassigned: Mutex<UsageAmounts>,
}

/// The counts of a tenant.
pub(crate) struct UsageAccount {
    tenant: TenantId,
    slots: Arc<Slots>,
    open: Mutex<OpenSlot>,
}

/// The slot that a tenant's usage is added to.
#[derive(Debug, Default)]
struct OpenSlot {
    slot: Option<usize>,
    hour: u64,
    /// The first hour that is not closed.
    least_hour: u64,
}

impl UsageJournal {
    /// Begins to count, in a file named by `source` in this folder, and reads the files that are there.
    ///
    /// # Errors
    /// If the folder cannot be read or written.
    pub(crate) fn open(folder: Dir, source: &str) -> std::io::Result<Self> {
        Self::with_slots(folder, source, SLOTS)
    }

    fn with_slots(folder: Dir, source: &str, slots: usize) -> std::io::Result<Self> {
        let mut former = Vec::new();
        for entry in folder.entries()? {
            // A file with another name is not ours.
            let Ok(name) = entry?.file_name().into_string() else { continue };
            if ulid::Ulid::from_string(&name).is_ok() {
                match Page::read(&folder, &name) {
                    // Without waiting for the store: a host that starts again and again while it is away has no more
                    // files for it.
                    Ok(slots) if slots.is_empty() => delete(&folder, &name),
                    Ok(slots) => former.push((name, slots)),
                    // It stays for the next run.
                    Err(error) => tracing::error!(%error, name, "a file with counts of usage cannot be read"),
                }
            }
        }
        let page = Page::create(&folder, source, slots).or_else(|error| {
            // Serving comes first.
            tracing::error!(
                %error,
                "usage is counted in memory alone, and ends with the process where the store is not told"
            );
            Page::in_memory(slots)
        })?;
        let free = Mutex::new((0..page.slots()).rev().collect());
        let slots = Arc::new(Slots { page, free, unassigned: Mutex::default() });
        let (accounts, told) = (Mutex::default(), Mutex::default());
        Ok(Self { folder, source: source.to_owned(), slots, accounts, former: Mutex::new(former), told })
    }

    /// The account of a tenant.
    pub(crate) fn account(&self, tenant: &TenantId) -> Arc<UsageAccount> {
        let mut accounts = self.accounts.lock(); // the map is whole after every operation
        let account = accounts.entry(tenant.clone()).or_insert_with(|| {
            let (tenant, slots) = (tenant.clone(), Arc::clone(&self.slots));
            Arc::new(UsageAccount { tenant, slots, open: Mutex::default() })
        });
        Arc::clone(account)
    }

    /// Everything of which the store was not told. Closes the hours before the one of `now_ms`. To be called by one
    /// task at a time, which then calls [`told`](Self::told).
    pub(crate) fn untold(&self, now_ms: u64) -> Vec<CountedUsage> {
        let mut counted = Vec::new();
        for (source, slots) in &*self.former.lock() {
            counted.extend(slots.iter().map(|slot| slot.counted(source, None)));
        }
        let told = self.told.lock().clone();
        for slot in 0..self.slots.page.slots() {
            let Some(content) = self.slots.page.get(slot) else { continue };
            let closed = (content.hour < hour_of(now_ms)).then(|| self.close(slot, &content));
            // What was added before it was closed counts too.
            let Some(content) = self.slots.page.get(slot) else { continue };
            if closed.is_some() || told.get(&slot) != Some(&content.amounts) {
                counted.push(content.counted(&self.source, closed.map(|()| slot)));
            }
        }
        counted
    }

    /// The store has taken all of this: slots that are closed are free, and files of former runs are deleted.
    pub(crate) fn told(&self, counted: &[CountedUsage]) {
        for usage in counted.iter().filter(|usage| usage.source == self.source) {
            match usage.closed {
                Some(slot) => {
                    self.told.lock().remove(&slot);
                    self.slots.page.free(slot);
                    self.slots.free.lock().push(slot);
                }
                None => self.note_told(usage),
            }
        }
        for (file, _) in self.former.lock().drain(..) {
            delete(&self.folder, &file);
        }
    }

    /// What was counted without a slot, because there were too many tenants and hours that the store was not told of.
    pub(crate) fn unassigned(&self) -> UsageAmounts {
        *self.slots.unassigned.lock()
    }

    fn note_told(&self, usage: &CountedUsage) {
        let accounts = self.accounts.lock();
        let open = accounts.get(&usage.tenant).map(|account| account.open.lock());
        if let Some(open) = open
            && open.hour == usage.hour
            && let Some(slot) = open.slot
        {
            self.told.lock().insert(slot, usage.amounts);
        }
    }

    /// Has nothing be added to a slot any more, nor to another one of its hour.
    fn close(&self, slot: usize, content: &SlotContent) {
        let account = self.account(&content.tenant);
        let mut open = account.open.lock();
        open.slot = open.slot.filter(|open| *open != slot);
        open.least_hour = open.least_hour.max(content.hour + 1);
    }
}

/// Deletes the file of a former run. One that stays is told again by the next run, which changes nothing.
fn delete(folder: &Dir, file: &str) {
    if let Err(error) = folder.remove_file(file) {
        tracing::warn!(%error, file, "a file with counts of usage cannot be deleted");
    }
}

impl SlotContent {
    fn counted(&self, source: &str, closed: Option<usize>) -> CountedUsage {
        let Self { tenant, hour, amounts } = self.clone();
        CountedUsage { tenant, hour, source: source.to_owned(), amounts, closed }
    }
}

impl UsageAccount {
    /// Counts. When this returns, the count survives the process.
    pub(crate) fn book(&self, amounts: UsageAmounts, now_ms: u64) {
        if amounts.is_zero() {
            return;
        }
        let mut open = self.open.lock();
        let hour = hour_of(now_ms).max(open.least_hour);
        if open.slot.is_none() || open.hour < hour {
            // Without a free slot the tenant goes on in the one that it has: a wrong hour is better than a wrong sum.
            if let Some(slot) = self.slots.begin(&self.tenant, hour) {
                (open.slot, open.hour) = (Some(slot), hour);
            }
        }
        match open.slot {
            Some(slot) => self.slots.page.add(slot, amounts),
            None => self.slots.add_unassigned(amounts),
        }
    }

    /// An account that counts in memory only, for tests.
    #[cfg(test)]
    pub(crate) fn for_tests() -> Arc<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let dir = Dir::open_ambient_dir(folder.path(), cap_std::ambient_authority()).expect("it is there");
        let journal = UsageJournal::with_slots(dir, &ulid::Ulid::new().to_string(), 1).expect("a journal");
        journal.account(&"acme".parse().expect("a name"))
    }
}

impl Slots {
    fn begin(&self, tenant: &TenantId, hour: u64) -> Option<usize> {
        let slot = self.free.lock().pop()?;
        self.page.begin(slot, tenant, hour);
        Some(slot)
    }

    fn add_unassigned(&self, amounts: UsageAmounts) {
        let mut unassigned = self.unassigned.lock();
        if unassigned.is_zero() {
            tracing::error!("usage cannot be counted by tenant: the store was not told of it for too long");
        }
        let (sum, more) = (unassigned.to_array(), amounts.to_array());
        *unassigned = UsageAmounts::from_array(std::array::from_fn(|at| sum[at].saturating_add(more[at])));
    }
}
