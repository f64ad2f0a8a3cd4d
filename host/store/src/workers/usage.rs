//! How many workers tenants have, and how many bytes these: counted along the way, in rows that are written to anyway.

use crate::error::{Error, Result};
use crate::triggers::{COUNT_SLOTS, statement};
use crate::{Dialect, HostScope, TenantScope, get, text};
use elias_api::Code;
use elias_names::TenantId;
use sqlx::any::AnyRow;
use std::collections::HashMap;

/// The workers of a tenant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WorkerUse {
    /// How many.
    pub workers: u64,
    /// Bytes of their records and of their histories, also of what is in artifacts.
    pub bytes: u64,
}
