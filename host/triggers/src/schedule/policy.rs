//! The policies of a schedule.

use serde::{Deserialize, Serialize};

/// The policy for a tick that is due while a run of the same schedule is not over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Overlap {
    /// The tick is skipped.
    #[default]
    Skip,
    /// The tick waits until the run is over; at most 100 wait.
    Queue,
    /// The run is cancelled, and the tick is run.
    Cancel,
    /// Both run at the same time.
    Allow,
}

/// The policy for ticks that were due while no host could run them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum CatchUp {
    /// They are skipped.
    None,
    /// The last one is run, unless a tick is due on time.
    #[default]
    Last,
    /// All are run, the latest `catch-up-max` of them.
    All,
}
