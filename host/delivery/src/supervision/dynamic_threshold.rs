//! The share of a tenant in what a host does at a time.
//!
//! A tenant is given another slot while it holds less than three times as many as are free: one tenant can have three
//! quarters of them all, two have three sevenths each, and each newcomer finds some free. Of three slots or fewer one
//! can have all: to keep one of so few free would cost more than it is worth. No number has to be set, and what tenants
//! do not use is there for others. The rule is the dynamic threshold of A. K. Choudhury and E. L. Hahne, "Dynamic Queue
//! Length Thresholds for Shared-Memory Packet Switches", IEEE/ACM Transactions on Networking 6(2), 1998.

/// A tenant may hold so many times as many slots as are free.
const SHARE_OF_FREE: u32 = 3;

/// Whether a tenant that holds so many slots may take one more, of so many that are free.
#[must_use]
pub fn may_take(held: u32, free: u32) -> bool {
    free > 0 && held < free.saturating_mul(SHARE_OF_FREE)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many slots tenants hold that take them by turns while each may.
    fn taken(slots: u32, tenants: usize) -> Vec<u32> {
        let (mut held, mut free) = (vec![0; tenants], slots);
        loop {
            let before = free;
            for held in &mut held {
                if may_take(*held, free) {
                    *held += 1;
                    free -= 1;
                }
            }
            if free == before {
                return held;
            }
        }
    }

    #[test]
    fn some_are_left_however_many_tenants_take_all_that_they_may() {
        assert_eq!((taken(16, 1), taken(20, 1)), (vec![12], vec![15]));
        assert_eq!((taken(4, 1), taken(3, 1), taken(2, 1)), (vec![3], vec![3], vec![2]), "of few all");
        assert_eq!(taken(70, 2), [30, 30]);
        for tenants in 1..20 {
            let held = taken(1_000, tenants);
            let free = 1_000 - held.iter().sum::<u32>();
            assert!(may_take(0, free), "{tenants} tenants leave {free}");
        }
    }

    #[test]
    fn the_only_slot_can_be_taken_and_none_that_is_not_free() {
        assert!(may_take(0, 1) && !may_take(0, 0) && !may_take(3, 1));
        assert!(may_take(u32::MAX - 1, u32::MAX), "large numbers do not overflow");
    }
}
