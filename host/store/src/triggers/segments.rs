//! The segments of the log of events: new events go to the latest one, and an old one is emptied as a whole.
//!
//! The segment N lies in the table `events_` followed by N modulo [`EVENT_TABLES`]. Which host begins the next one, and
//! which one empties the oldest, is decided by a row of `event_segments`, so that it needs no lease.

use super::{Database, span, statement};
use crate::error::{Error, Result};
use crate::{Dialect, HostScope, get, number, signed};
use elias_api::Code;
use elias_names::TenantId;

/// Tables that segments take turns with.
pub(crate) const EVENT_TABLES: i64 = 8;
/// How long emptying a segment waits for those who read it on PostgreSQL, in milliseconds: whoever comes after it waits
/// for it, and a backup may read for hours.
const LOCK_TIMEOUT_MS: &str = "500";

/// The latest segment, and the latest in which the tenant `$1` has events.
pub(super) const CURRENT_SEGMENT: &str = "SELECT MAX(segment) AS segment, \
    (SELECT MAX(segment) FROM event_segment_starts WHERE tenant = $1) AS own FROM event_segments";
/// The state of the log of the tenant `$1`, a row for each of its segments, or one without a segment.
pub(super) const TENANT_LOG: &str = "SELECT p.first AS visible, p.next AS next, p.bytes AS bytes, \
    p.hidden_bytes AS hidden_bytes, s.segment AS segment, s.first AS first, s.bytes_before AS bytes_before \
    FROM event_positions p LEFT JOIN event_segment_starts s ON s.tenant = p.tenant \
    WHERE p.tenant = $1 ORDER BY s.segment";

/// Where a tenant's events are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TenantLog {
    /// The lowest position that the tenant sees; earlier events are older than any is kept.
    pub(super) visible: i64,
    /// The position that the next event gets.
    pub(super) next: i64,
    /// Bytes of the data of all its events so far.
    pub(super) bytes: i64,
    /// Bytes of those that the tenant does not see any more.
    pub(super) hidden_bytes: i64,
    /// Segments with events of the tenant, the oldest first.
    pub(super) segments: Vec<TenantSegment>,
}

/// A segment with events of a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TenantSegment {
    /// Its number.
    pub(super) segment: i64,
    /// The position of the tenant's first event in it.
    pub(super) first: i64,
    /// Bytes of the data of all events of the tenant before that one.
    pub(super) bytes_before: i64,
}

impl TenantLog {
    /// The segments that may have events after a position, in their order, each with the position before which its
    /// events end. Without that end a table that was emptied and taken for the latest segment meanwhile would be read
    /// in the place of an old one.
    pub(super) fn segments_after(&self, position: i64) -> impl Iterator<Item = (i64, i64)> {
        let ends = self.segments.iter().skip(1).map(|next| next.first).chain([i64::MAX]);
        let with_ends = self.segments.iter().map(|one| one.segment).zip(ends);
        with_ends.filter(move |(_, end)| *end > position.saturating_add(1))
    }
}

/// The table of a segment.
pub(super) fn table(segment: i64) -> String {
    format!("events_{}", segment.rem_euclid(EVENT_TABLES))
}

impl HostScope {
    /// Begins the next segment of the log of events if the latest one began `span_ms` milliseconds ago or earlier, a
    /// table is free, and no other host does it at the same time; says whether it did.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn begin_event_segment(&mut self, span_ms: u64) -> Result<bool> {
        let mut database = self.database();
        let now = database.dialect.now();
        let insert = format!(
            "INSERT INTO event_segments (segment, begun_at) SELECT MAX(segment) + 1, {now} FROM event_segments \
             HAVING MAX(begun_at) <= {now} - $1 AND MAX(segment) - MIN(segment) < $2 ON CONFLICT DO NOTHING"
        );
        let query = statement(insert).bind(span(span_ms)).bind(EVENT_TABLES - 1);
        Ok(database.run(query).await? > 0)
    }

    /// Empties the oldest segment of the log of events if all its events were published `kept_ms` milliseconds ago or
    /// earlier; says whether it did. The latest segment is never emptied.
    ///
    /// # Errors
    /// `store-unavailable`, also if somebody reads the segment for long.
    pub async fn empty_event_segment(&mut self, kept_ms: u64) -> Result<bool> {
        self.database().empty_event_segment(kept_ms).await
    }

    /// How many segments of the log of events are in use, and since when the oldest could be emptied if events are kept
    /// for `kept_ms` milliseconds: milliseconds, below 0 if it cannot be yet.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn event_segments(&mut self, kept_ms: u64) -> Result<(u64, Option<i64>)> {
        let mut database = self.database();
        let select = format!(
            "SELECT COUNT(*) AS segments, {now} - $1 - (SELECT newer.begun_at FROM event_segments newer \
             ORDER BY newer.segment LIMIT 1 OFFSET 1) AS overdue FROM event_segments",
            now = database.dialect.now()
        );
        let row = database.row(statement(select).bind(span(kept_ms))).await?.ok_or_else(no_segment)?;
        Ok((number(&row, "segments")?, get(&row, "overdue")?))
    }
}

impl Database<'_> {
    async fn empty_event_segment(&mut self, kept_ms: u64) -> Result<bool> {
        // A segment ends when the next one begins. The row is deleted first: of two hosts one finds it gone.
        let delete = format!(
            "DELETE FROM event_segments WHERE segment = (SELECT MIN(segment) FROM event_segments) \
             AND (SELECT newer.begun_at FROM event_segments newer WHERE newer.segment = event_segments.segment + 1) \
             <= {now} - $1 RETURNING segment",
            now = self.dialect.now()
        );
        let Some(row) = self.row(statement(delete).bind(span(kept_ms))).await? else { return Ok(false) };
        let segment: i64 = get(&row, "segment")?;
        self.run(sqlx::query("DELETE FROM event_segment_starts WHERE segment = $1").bind(segment)).await?;
        let table = table(segment);
        match self.dialect {
            // Without a condition SQLite drops the table's pages, and visits no row.
            Dialect::Sqlite => self.run(statement(format!("DELETE FROM {table}"))).await?,
            Dialect::Postgres => {
                let timeout = sqlx::query("SELECT set_config('lock_timeout', $1, true)").bind(LOCK_TIMEOUT_MS);
                self.row(timeout).await?;
                self.run(statement(format!("TRUNCATE {table}"))).await?
            }
        };
        Ok(true)
    }

    /// The segment to which an event of a tenant goes whose row of positions is locked, and which gets the position
    /// `first` after `bytes_before` bytes of data. It is read under that lock, so that positions grow from segment to
    /// segment.
    pub(super) async fn current_segment(&mut self, tenant: &TenantId, first: u64, bytes_before: i64) -> Result<i64> {
        let query = sqlx::query(CURRENT_SEGMENT).bind(tenant.as_str().to_owned());
        let row = self.row(query).await?.ok_or_else(no_segment)?;
        let current = get::<Option<i64>>(&row, "segment")?.ok_or_else(no_segment)?;
        if get::<Option<i64>>(&row, "own")? != Some(current) {
            let insert = "INSERT INTO event_segment_starts (tenant, segment, first, bytes_before) \
                          VALUES ($1, $2, $3, $4)";
            let query = sqlx::query(insert).bind(tenant.as_str().to_owned()).bind(current);
            self.run(query.bind(signed(first)).bind(bytes_before)).await?;
        }
        Ok(current)
    }

    /// Where a tenant's events are; `None` if it never published one.
    pub(super) async fn tenant_log(&mut self, tenant: &TenantId) -> Result<Option<TenantLog>> {
        let rows = self.rows(sqlx::query(TENANT_LOG).bind(tenant.as_str().to_owned())).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let (visible, next) = (get(row, "visible")?, get(row, "next")?);
        let (bytes, hidden_bytes) = (get(row, "bytes")?, get(row, "hidden_bytes")?);
        let mut segments = Vec::with_capacity(rows.len());
        for row in &rows {
            if let Some(segment) = get::<Option<i64>>(row, "segment")? {
                let (first, bytes_before) = (get(row, "first")?, get(row, "bytes_before")?);
                segments.push(TenantSegment { segment, first, bytes_before });
            }
        }
        Ok(Some(TenantLog { visible, next, bytes, hidden_bytes, segments }))
    }
}

fn no_segment() -> Error {
    Error::new(Code::Internal, "the log of events has no segment")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_from_the_segment_that_has_it() {
        let segments =
            [(7, 1), (8, 11), (10, 21)].map(|(segment, first)| TenantSegment { segment, first, bytes_before: 0 });
        let log = TenantLog { visible: 1, next: 30, bytes: 0, hidden_bytes: 0, segments: segments.to_vec() };
        let after = |position| log.segments_after(position).collect::<Vec<_>>();
        assert_eq!(after(0), [(7, 11), (8, 21), (10, i64::MAX)]);
        assert_eq!(after(9), [(7, 11), (8, 21), (10, i64::MAX)]);
        assert_eq!(after(10), [(8, 21), (10, i64::MAX)]);
        assert_eq!(after(40), [(10, i64::MAX)]);
        assert!(after(i64::MAX).is_empty());
        assert_eq!(
            (table(7), table(8), table(10)),
            ("events_7".to_owned(), "events_0".to_owned(), "events_2".to_owned())
        );
    }
}
