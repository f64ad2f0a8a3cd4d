//! The usage of a tenant: what its bill is made of.

pub use crate::series::HOUR_MS;

/// Usage of a tenant in some time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UsageAmounts {
    /// Executions that began to respond, or ended without a response.
    pub executions: u64,
    /// Units of fuel.
    pub fuel: u64,
    /// Bytes of bodies of requests.
    pub bytes_in: u64,
    /// Bytes of bodies of responses, and of requests to other servers.
    pub bytes_out: u64,
}

impl UsageAmounts {
    /// The number of amounts.
    pub const COUNT: usize = 4;

    /// The amounts, in the order in which files have them.
    #[must_use]
    pub fn to_array(self) -> [u64; Self::COUNT] {
        [self.executions, self.fuel, self.bytes_in, self.bytes_out]
    }

    /// The amounts of [`to_array`](Self::to_array).
    #[must_use]
    pub fn from_array([executions, fuel, bytes_in, bytes_out]: [u64; Self::COUNT]) -> Self {
        Self { executions, fuel, bytes_in, bytes_out }
    }

    /// Whether there is nothing to count.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        *self == Self::default()
    }

    /// By how much these amounts, which only grow, are more than they were.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let (now, before) = (self.to_array(), before.to_array());
        Self::from_array(std::array::from_fn(|at| now[at].saturating_sub(before[at])))
    }

    /// The larger of each amount.
    #[must_use]
    pub fn max(&self, other: &Self) -> Self {
        let (one, other) = (self.to_array(), other.to_array());
        Self::from_array(std::array::from_fn(|at| one[at].max(other[at])))
    }
}

/// The number of the hour since 1970 in which a moment in milliseconds since 1970 is.
#[must_use]
pub fn hour_of(ms: u64) -> u64 {
    ms / HOUR_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_already_is_not_counted_again() {
        let first = UsageAmounts { executions: 1, bytes_out: 10, ..UsageAmounts::default() };
        let last = UsageAmounts { executions: 1, fuel: 500, bytes_in: 3, bytes_out: 25 };
        let rest = last.since(&first);
        assert_eq!(rest, UsageAmounts { executions: 0, fuel: 500, bytes_in: 3, bytes_out: 15 });
        assert!(first.since(&last).is_zero(), "amounts never fall");
        assert_eq!(first.max(&last), last);
        assert_eq!(UsageAmounts::from_array(last.to_array()), last);
    }

    #[test]
    fn an_hour_ends_where_the_next_begins() {
        assert_eq!((hour_of(0), hour_of(HOUR_MS - 1), hour_of(HOUR_MS)), (0, 0, 1));
    }
}
