//! Which worker.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A worker: its class, and its name among the workers of that class.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WorkerKey {
    /// The class, a named export of the component's entry module.
    pub class: String,
    /// The name; any text.
    pub name: String,
}

impl WorkerKey {
    /// Characters (UTF-16 code units, as JavaScript counts) that class and name have at most, each.
    pub const CHARACTERS_MAX: usize = 256;

    /// The worker of this class and name.
    #[must_use]
    pub fn new(class: impl Into<String>, name: impl Into<String>) -> Self {
        Self { class: class.into(), name: name.into() }
    }

    /// The group that a message to this worker is for where there is one of that name, and the key of the message:
    /// `pool` or `pool/user-42`.
    #[must_use]
    pub fn group_name(&self) -> (&str, Option<&str>) {
        match self.name.split_once('/') {
            Some((group, key)) => (group, Some(key)),
            None => (self.name.as_str(), None),
        }
    }

    /// Why no worker can have this class and name; none if one can.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        [("class", &self.class), ("name", &self.name)].into_iter().find_map(|(what, text)| {
            let characters = text.encode_utf16().count();
            (!(1..=Self::CHARACTERS_MAX).contains(&characters)).then(|| {
                format!("the {what} of a worker has from 1 to {} characters, not {characters}", Self::CHARACTERS_MAX)
            })
        })
    }
}

impl fmt::Display for WorkerKey {
    /// For people: control characters are escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.class.escape_debug(), self.name.escape_debug())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bounded_and_shown_without_control_characters() {
        assert_eq!(WorkerKey::new("Cart", "../user\0/42").problem(), None);
        assert_eq!(WorkerKey::new("Cart", "a\nb").to_string(), "Cart/a\\nb");
        for (key, what) in [
            (WorkerKey::new("", "a"), "class"),
            (WorkerKey::new("Cart", ""), "name"),
            (WorkerKey::new("Cart", "é".repeat(257)), "name"),
            // A character beyond the basic plane is two of JavaScript's.
            (WorkerKey::new("Cart", "𝄞".repeat(129)), "name"),
        ] {
            let problem = key.problem().expect("it is refused");
            assert!(problem.starts_with(&format!("the {what} of a worker")), "{problem}");
        }
        assert_eq!(WorkerKey::new("Cart", "𝄞".repeat(128)).problem(), None);
    }
}
