//! Issues: groups of failures of executions that have one cause.
//!
//! - `grouping`: which failures belong together.
//! - `message`: a message without what changes from one occurrence to the next.
//! - `state`: an issue with its counts, and how it goes from one state to another.

mod grouping;
mod message;
mod state;

pub(crate) use grouping::is_own_file;
pub use grouping::{Failure, Group, Place, group};
pub use message::normalise;
pub use state::{HOURS_KEPT, Issue, Occurrence, Occurrences, SAMPLES_MAX, Status, Transition, hour_of};
