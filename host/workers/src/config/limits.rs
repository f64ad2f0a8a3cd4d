//! The table `[workers.limits]`: what the workers of a component may take.

use super::InvalidSetting;
use elias_delivery::setting::within;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Timers and alarms that a worker can have set: 10,000 and 1,000.
const TIMERS_MAX: u32 = 11_000;

/// Units of fuel that no bound has more of: numbers of TOML and JSON are exact up to here.
const FUEL_MAX: u64 = 1 << 53;

/// The least fuel of a turn: less does not run the smallest handler.
const FUEL_MIN: u64 = 1_000_000;

/// The bounds of workers, beside those of their mailboxes and sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct LimitsConfig {
    /// The number of timers and alarms that a worker may have set: 1 to 11,000, which is the default.
    pub timers: u32,
    /// The fuel of a turn, from 1,000,000 units on, where that is lower than the limit `fuel`; that limit by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fuel: Option<u64>,
    /// The fuel that turns of all workers of a service may use in an hour on each host of a platform; 0 by default,
    /// which is no limit.
    pub fuel_per_hour: u64,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self { timers: TIMERS_MAX, fuel: None, fuel_per_hour: 0 }
    }
}

impl LimitsConfig {
    /// Checks every setting.
    pub(super) fn check(&self) -> Result<(), InvalidSetting> {
        let Self { timers, fuel, fuel_per_hour } = *self;
        within("workers.limits.timers", timers, 1..=TIMERS_MAX)?;
        within("workers.limits.fuel", fuel.unwrap_or(FUEL_MAX), FUEL_MIN..=FUEL_MAX)?;
        within("workers.limits.fuel-per-hour", fuel_per_hour, 0..=FUEL_MAX)
    }
}
