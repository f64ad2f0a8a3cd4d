//! Leases: what only one host may do at a time, by the database's clock.

use super::{Database, span, statement};
use crate::error::Result;
use crate::{HostScope, get, number, signed};
use sqlx::any::AnyRow;

/// A lease as it was read or acquired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The purpose of the lease.
    pub name: String,
    /// The process that has it.
    pub owner: String,
    /// Grows each time that somebody acquires it. What is written under a lease carries the epoch, so that the writes
    /// of a former owner can be refused.
    pub epoch: u64,
    /// When it ends, in milliseconds since 1970 by the database's clock.
    pub until: i64,
}

fn lease(row: &AnyRow) -> Result<Lease> {
    Ok(Lease {
        name: get(row, "name")?,
        owner: get(row, "owner")?,
        epoch: number(row, "epoch")?,
        until: get(row, "until")?,
    })
}

impl HostScope {
    /// Acquires a lease that is free, for `for_ms` milliseconds; `None` if somebody has it, be it the same owner.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn acquire_lease(&mut self, name: &str, owner: &str, for_ms: u64) -> Result<Option<Lease>> {
        self.database().acquire_lease(name, owner, for_ms).await
    }

    /// Extends a lease to `for_ms` milliseconds from now. `false` if it has ended: it must be acquired again.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn renew_lease(&mut self, lease: &Lease, for_ms: u64) -> Result<bool> {
        self.database().renew_lease(lease, for_ms).await
    }

    /// Ends a lease. `false` if it was somebody else's by now.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn release_lease(&mut self, lease: &Lease) -> Result<bool> {
        let update = "UPDATE leases SET until = 0 WHERE name = $1 AND owner = $2 AND epoch = $3";
        let query = sqlx::query(update).bind(lease.name.clone()).bind(lease.owner.clone());
        Ok(self.database().run(query.bind(signed(lease.epoch))).await? > 0)
    }

    /// The lease with this name, if anybody ever had it; it may have ended.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn lease(&mut self, name: &str) -> Result<Option<Lease>> {
        let query = sqlx::query("SELECT * FROM leases WHERE name = $1").bind(name.to_owned());
        self.database().row(query).await?.as_ref().map(lease).transpose()
    }
}

impl Database<'_> {
    async fn acquire_lease(&mut self, name: &str, owner: &str, for_ms: u64) -> Result<Option<Lease>> {
        let now = self.dialect.now();
        let upsert = format!(
            "INSERT INTO leases (name, owner, epoch, until) VALUES ($1, $2, 1, {now} + $3) \
             ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, epoch = leases.epoch + 1, until = excluded.until \
             WHERE leases.until <= {now} RETURNING name, owner, epoch, until"
        );
        let query = statement(upsert).bind(name.to_owned()).bind(owner.to_owned()).bind(span(for_ms));
        self.row(query).await?.as_ref().map(lease).transpose()
    }

    async fn renew_lease(&mut self, lease: &Lease, for_ms: u64) -> Result<bool> {
        let now = self.dialect.now();
        let update = format!(
            "UPDATE leases SET until = {now} + $4 WHERE name = $1 AND owner = $2 AND epoch = $3 AND until > {now}"
        );
        let query = statement(update).bind(lease.name.clone()).bind(lease.owner.clone());
        let query = query.bind(signed(lease.epoch)).bind(span(for_ms));
        Ok(self.run(query).await? > 0)
    }
}
