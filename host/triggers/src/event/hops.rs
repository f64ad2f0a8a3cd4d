//! The hop count, which ends loops of events.

/// How often an event may lead to another: the seventeenth is refused.
pub const HOPS_MAX: u8 = 16;

/// An event that came about through too many others: a subscription to what its own handler publishes, as a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "an event that is published while another is handled must not lead to more than {HOPS_MAX} further ones in a row"
)]
pub struct TooManyHops;

impl TooManyHops {
    /// The error's stable name.
    #[must_use]
    pub fn code(self) -> &'static str {
        "too-many-hops"
    }
}

/// How many events led to an event: 0 for one that was published outside of an event's handler.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hops(u8);

impl Hops {
    /// The count as the store has it; more than there may be counts as the most.
    #[must_use]
    pub fn from_stored(hops: u8) -> Self {
        Self(hops.min(HOPS_MAX))
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }

    /// The count of an event, or a job, that the handler of this one causes.
    ///
    /// # Errors
    /// The handler's own event is the last that was allowed.
    pub fn next(self) -> Result<Self, TooManyHops> {
        if self.0 < HOPS_MAX { Ok(Self(self.0 + 1)) } else { Err(TooManyHops) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_ends() {
        let mut hops = Hops::default();
        let mut events = 1;
        while let Ok(next) = hops.next() {
            (hops, events) = (next, events + 1);
        }
        assert_eq!((events, hops.get()), (17, HOPS_MAX));
        assert_eq!(Hops::from_stored(200).next(), Err(TooManyHops));
    }
}
