//! The order of deliveries.

use super::Event;
use serde::{Deserialize, Serialize};

/// In which order a subscription's events are delivered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// In any order, at the same time.
    #[default]
    None,
    /// Those of one subject one after another; those without a subject in any order.
    Subject,
    /// All one after another.
    All,
}

impl Order {
    /// The key of which only the first delivery is ready: those with the same key are delivered one after another.
    /// None: the delivery waits for no other.
    #[must_use]
    pub fn key(self, event: &Event) -> Option<&str> {
        match self {
            Self::None => None,
            Self::Subject => event.subject.as_deref(),
            Self::All => Some(""),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deliveries_with_the_same_key_wait_for_each_other() {
        let mut event = Event::new("1", "t", "s");
        assert_eq!(
            (Order::None.key(&event), Order::Subject.key(&event), Order::All.key(&event)),
            (None, None, Some(""))
        );
        event.subject = Some("42".to_owned());
        assert_eq!((Order::None.key(&event), Order::Subject.key(&event)), (None, Some("42")));
    }
}
