//! The memory that messages, answers and records of workers take, as one bound for all workers of somebody.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// The bytes that workers may hold together beside their instances: messages that wait, answers that wait for their
/// callers, and records of workers that have something to do.
#[derive(Debug)]
pub struct MemoryBudget {
    /// The name of the bound, for those who are refused.
    name: String,
    most: usize,
    reserved: AtomicUsize,
}

/// Bytes of a [`MemoryBudget`], which are given back when this is dropped.
#[derive(Debug)]
pub struct MemoryReservation {
    budget: Arc<MemoryBudget>,
    bytes: usize,
}

/// Why there is no room for more bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryFull {
    /// The name of the bound.
    pub name: String,
    /// The bound, in bytes.
    pub most: usize,
    /// Bytes that are held.
    pub reserved: usize,
    /// Bytes for which there is no room.
    pub more: usize,
}

impl fmt::Display for MemoryFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, most, reserved, more } = self;
        write!(
            f,
            "the bound `{name}` is {most} bytes for the messages, calls and answers of all workers together: \
             {reserved} are held, and {more} more would be too many; try again when some are handled"
        )
    }
}

impl MemoryBudget {
    /// So many bytes, as a bound of this name.
    #[must_use]
    pub fn new(name: impl Into<String>, most: usize) -> Arc<Self> {
        Arc::new(Self { name: name.into(), most, reserved: AtomicUsize::new(0) })
    }

    /// Reserves bytes.
    ///
    /// # Errors
    /// [`MemoryFull`], if the bound would be exceeded. Nothing is reserved then.
    pub fn reserve(self: &Arc<Self>, bytes: usize) -> Result<MemoryReservation, MemoryFull> {
        let mut reservation = MemoryReservation { budget: Arc::clone(self), bytes: 0 };
        reservation.resize(bytes)?;
        Ok(reservation)
    }

    /// Bytes that are reserved.
    #[must_use]
    pub fn reserved(&self) -> usize {
        self.reserved.load(SeqCst)
    }
}

impl MemoryReservation {
    /// Has it be so many bytes. Fewer ones are never refused.
    ///
    /// # Errors
    /// [`MemoryFull`], if the bound would be exceeded. It is as large as before then.
    pub fn resize(&mut self, bytes: usize) -> Result<(), MemoryFull> {
        let MemoryBudget { name, most, reserved } = &*self.budget;
        match bytes.checked_sub(self.bytes) {
            None => {
                reserved.fetch_sub(self.bytes - bytes, SeqCst);
            }
            Some(more) => {
                let grown = |reserved: usize| reserved.checked_add(more).filter(|sum| more == 0 || sum <= most);
                reserved.fetch_update(SeqCst, SeqCst, grown).map_err(|reserved| MemoryFull {
                    name: name.clone(),
                    most: *most,
                    reserved,
                    more,
                })?;
            }
        }
        self.bytes = bytes;
        Ok(())
    }
}

impl Drop for MemoryReservation {
    fn drop(&mut self) {
        self.budget.reserved.fetch_sub(self.bytes, SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_reserved_than_the_bound_and_what_is_dropped_is_free() {
        let budget = MemoryBudget::new("test-bytes", 10);
        let first = budget.reserve(6).expect("there is room");
        let refused = budget.reserve(5).expect_err("eleven bytes");
        assert_eq!((refused.reserved, refused.more, budget.reserved()), (6, 5, 6));
        let text = refused.to_string();
        assert!(text.contains("`test-bytes` is 10 bytes") && text.contains("6 are held, and 5 more"), "{text}");
        let second = budget.reserve(4).expect("there is room");
        drop(first);
        assert_eq!(budget.reserved(), 4);
        drop(second);
        assert_eq!(budget.reserved(), 0);
    }

    #[test]
    fn a_reservation_grows_within_the_bound_and_shrinks() {
        let budget = MemoryBudget::new("test-bytes", 10);
        let (mut one, _other) = (budget.reserve(2).expect("there is room"), budget.reserve(3).expect("there is room"));
        one.resize(7).expect("there is room");
        assert!(one.resize(8).is_err());
        assert_eq!(budget.reserved(), 10, "it is as large as before");
        one.resize(0).expect("fewer bytes are never refused");
        assert_eq!(budget.reserved(), 3);
    }
}
