//! The rows of the transparency log. A record is appended in the transaction that stores the version, so that there is
//! neither without the other.

use super::{HostScope, Store, TenantScope, get, number, signed};
use crate::error::{Error, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use elias_api::Code;
use elias_transparency::Hash;
use std::collections::HashMap;

impl TenantScope {
    /// The next record's place. Appends take turns from here to the transaction's end.
    pub async fn reserve_log(&mut self) -> Result<u64> {
        let query = self.query("UPDATE counters SET value = value + 1 WHERE name = 'log' AND $1 <> '' RETURNING value");
        let row = self.row(query).await?.ok_or_else(|| Error::new(Code::Internal, "the log has no counter"))?;
        Ok(number::<u64>(&row, "value")?.saturating_sub(1))
    }

    /// Hashes of the log by position.
    pub async fn log_hashes(&mut self, positions: &[u64]) -> Result<HashMap<u64, Hash>> {
        let mut hashes = HashMap::new();
        for position in positions {
            let query =
                self.query("SELECT hash FROM log_hashes WHERE position = $2 AND $1 <> ''").bind(signed(*position));
            if let Some(row) = self.row(query).await? {
                hashes.insert(*position, hash(&row)?);
            }
        }
        Ok(hashes)
    }

    /// Stores a record and the hashes that it adds.
    pub async fn append_log(&mut self, position: u64, record: &str, hashes: &[(u64, Hash)]) -> Result<()> {
        let insert = "INSERT INTO log_records (position, record) SELECT $2, $3 WHERE $1 <> ''";
        let query = self.query(insert).bind(signed(position)).bind(record.to_owned());
        self.run(query).await?;
        for (position, hash) in hashes {
            let insert = "INSERT INTO log_hashes (position, hash) SELECT $2, $3 WHERE $1 <> ''";
            let query = self.query(insert).bind(signed(*position)).bind(BASE64.encode(hash.0));
            self.run(query).await?;
        }
        Ok(())
    }
}

impl HostScope {
    /// How many records the log has.
    pub async fn log_size(&mut self) -> Result<u64> {
        let row = sqlx::query("SELECT value FROM counters WHERE name = 'log'").fetch_one(&mut *self.tx).await?;
        number(&row, "value")
    }

    /// Hashes by position.
    pub async fn log_hashes(&mut self, positions: &[u64]) -> Result<HashMap<u64, Hash>> {
        let mut hashes = HashMap::new();
        for position in positions {
            let query = sqlx::query("SELECT hash FROM log_hashes WHERE position = $1").bind(signed(*position));
            if let Some(row) = query.fetch_optional(&mut *self.tx).await? {
                hashes.insert(*position, hash(&row)?);
            }
        }
        Ok(hashes)
    }

    /// Records from `from` to before `to`.
    pub async fn log_records(&mut self, from: u64, to: u64) -> Result<Vec<String>> {
        let select = "SELECT record FROM log_records WHERE position >= $1 AND position < $2 ORDER BY position";
        let rows = sqlx::query(select).bind(signed(from)).bind(signed(to)).fetch_all(&mut *self.tx).await?;
        rows.iter().map(|row| get(row, "record")).collect()
    }
}

impl Store {
    /// Whether the log's counter, records and hashes agree; for tests and `elias doctor`.
    ///
    /// # Errors
    /// `internal` if they do not.
    pub async fn check_log(&self) -> Result<u64> {
        let mut scope = self.host_read().await?;
        let size = scope.log_size().await?;
        let row = sqlx::query("SELECT count(*) AS records FROM log_records").fetch_one(&mut *scope.tx).await?;
        let records: u64 = number(&row, "records")?;
        if records == size {
            return Ok(size);
        }
        Err(Error::new(Code::Internal, format!("the log has {records} records where it counts {size}")))
    }
}

/// A hash, stored in Base64.
fn hash(row: &sqlx::any::AnyRow) -> Result<Hash> {
    let bytes = BASE64.decode(get::<String>(row, "hash")?).ok().and_then(|bytes| bytes.try_into().ok());
    bytes
        .map(Hash)
        .ok_or_else(|| Error::new(Code::Internal, "a hash of the log is damaged; restore the store from a backup"))
}
