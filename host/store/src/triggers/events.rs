//! The log of a tenant's events: positions grow in the order in which events are committed, for whoever publishes
//! holds the tenant's row of positions until then.

use super::segments::{EVENT_TABLES, TenantLog, table};
use super::usage::{over_quota, over_trigger_bytes, stored_bytes};
use super::{Database, inserts, statement};
use crate::error::{Error, Result};
use crate::{Dialect, HostScope, Query, TenantScope, get, number, signed, storable, text, to_json};
use elias_api::{Code, EVENT_RETENTION_DEFAULT, EVENT_RETENTION_MAX, EventRecord, Quotas};
use elias_names::TenantId;
use serde_json::{Value, json};
use sqlx::any::AnyRow;
use std::collections::{HashMap, HashSet};

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;
/// Positions that are hidden in one transaction, at most: the bytes of their events are summed up in it.
const HIDDEN_AT_ONCE: i64 = 100_000;

/// An event to be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// Its id.
    pub id: String,
    /// Its type, such as `order.paid`.
    pub event_type: String,
    /// Its source, a URI reference.
    pub source: String,
    /// Its subject within the source.
    pub subject: Option<String>,
    /// Its data, a JSON text.
    pub data: String,
    /// When it happened, in milliseconds since 1970.
    pub time: i64,
    /// With this key there is one event in the tenant's log.
    pub key: Option<String>,
    /// How many events led to it.
    pub hops: u32,
    /// The `traceparent` of what publishes it.
    pub cause: Option<String>,
}

/// An event that was published, now or before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedEvent {
    /// Its position in the tenant's log.
    pub position: u64,
    /// Its id: that of the event that has the key, if there was one.
    pub id: String,
    /// Whether it was there before.
    pub is_known: bool,
}

/// The statement that reads at most `$4` events of the tenant `$1` in a segment, after the position `$2` and before
/// `$3`.
pub(super) fn read_events(segment: i64) -> String {
    let table = table(segment);
    format!("SELECT * FROM {table} WHERE tenant = $1 AND position > $2 AND position < $3 ORDER BY position LIMIT $4")
}

/// The statement that finds when the first event was published that [`read_events`] would read.
pub(super) fn first_event(segment: i64) -> String {
    let table = table(segment);
    format!(
        "SELECT position, published_at FROM {table} WHERE tenant = $1 AND position > $2 AND position < $3 \
         ORDER BY position LIMIT 1"
    )
}

/// The statement that sums up the data of the events of the tenant `$1` in a segment, from the position `$2` on and
/// before `$3`.
pub(super) fn sum_events(segment: i64) -> String {
    format!(
        "SELECT CAST(COALESCE(SUM(octet_length(data)), 0) AS BIGINT) AS bytes FROM {} \
         WHERE tenant = $1 AND position >= $2 AND position < $3",
        table(segment)
    )
}

fn event(row: &AnyRow) -> Result<EventRecord> {
    Ok(EventRecord {
        position: number(row, "position")?,
        id: get(row, "id")?,
        event_type: get(row, "type")?,
        source: get(row, "source")?,
        subject: get(row, "subject")?,
        data: get(row, "data")?,
        time: get(row, "time")?,
        key: get(row, "key")?,
        hops: number(row, "hops")?,
        cause: get(row, "cause")?,
        published_at: get(row, "published_at")?,
    })
}

impl TenantScope {
    /// Publishes events, if the quotas `events-per-day` and `trigger-bytes` allow them; without `quotas` there are
    /// none, and the events do not count for `events-per-day`. Says what became of each, in their order.
    ///
    /// # Errors
    /// `quota-exceeded`; the transaction must be dropped then.
    pub async fn publish_events(
        &mut self,
        events: &[NewEvent],
        quotas: Option<&Quotas>,
    ) -> Result<Vec<PublishedEvent>> {
        let tenant = self.tenant.clone();
        self.database().publish(&tenant, events, quotas).await
    }

    /// At most `limit` events after the position `after`, in their order.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn events(&mut self, after: u64, limit: u32) -> Result<Vec<EventRecord>> {
        let tenant = self.tenant.clone();
        self.database().events(&tenant, after, limit).await
    }

    /// The position after which the events begin that were published at `time` or later, in milliseconds since 1970.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn events_since(&mut self, time: i64) -> Result<u64> {
        let tenant = self.tenant.clone();
        self.database().events_since(&tenant, time).await
    }
}

impl HostScope {
    /// Publishes events of a tenant, as [`TenantScope::publish_events`] does; several tenants' in one transaction.
    ///
    /// # Errors
    /// As there.
    pub async fn publish_events(
        &mut self,
        tenant: &TenantId,
        events: &[NewEvent],
        quotas: Option<&Quotas>,
    ) -> Result<Vec<PublishedEvent>> {
        self.database().publish(tenant, events, quotas).await
    }

    /// At most `limit` events of a tenant after the position `after`, in their order.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn events(&mut self, tenant: &TenantId, after: u64, limit: u32) -> Result<Vec<EventRecord>> {
        self.database().events(tenant, after, limit).await
    }

    /// The position of the last event of each tenant that ever published one.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn last_events(&mut self) -> Result<HashMap<TenantId, u64>> {
        let rows = self.database().rows(sqlx::query("SELECT tenant, next - 1 AS last FROM event_positions")).await?;
        rows.iter().map(|row| Ok((text(row, "tenant")?, number(row, "last")?))).collect()
    }

    /// For how many days each tenant that ever published an event keeps its events.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn event_retentions(&mut self) -> Result<HashMap<TenantId, u32>> {
        let select = "SELECT t.tenant AS tenant, t.settings AS settings FROM event_positions p \
                      JOIN tenants t ON t.tenant = p.tenant";
        let retention = |row: &AnyRow| {
            // Read without the other settings: a later release may have more of them.
            let settings: Value = crate::json(row, "settings")?;
            let days = settings["quotas"]["event-retention"].as_u64().and_then(|days| u32::try_from(days).ok());
            let days = days.unwrap_or(EVENT_RETENTION_DEFAULT).clamp(1, EVENT_RETENTION_MAX);
            Ok((text(row, "tenant")?, days))
        };
        self.database().rows(sqlx::query(select)).await?.iter().map(retention).collect()
    }

    /// Hides the events of a tenant that were published before `before_ms`, in milliseconds since 1970, the oldest
    /// 100,000 at most: nothing reads them any more, until their segment is emptied, and they do not count for
    /// `trigger-bytes`. Says whether there were some.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn hide_events(&mut self, tenant: &TenantId, before_ms: i64) -> Result<bool> {
        self.database().hide_events(tenant, before_ms).await
    }
}

/// The statement that finds the events of the tenant `$1` that have the keys `$2`, in all segments.
pub(super) fn known_events(dialect: Dialect) -> String {
    let in_table = |segment| {
        format!(
            "SELECT key, position, id FROM {} WHERE tenant = $1 AND key IS NOT NULL \
             AND key IN (SELECT item.value->>'key' FROM {})",
            table(segment),
            dialect.each(2)
        )
    };
    (0..EVENT_TABLES).map(in_table).collect::<Vec<_>>().join(" UNION ALL ")
}

impl Database<'_> {
    async fn publish(
        &mut self,
        tenant: &TenantId,
        events: &[NewEvent],
        quotas: Option<&Quotas>,
    ) -> Result<Vec<PublishedEvent>> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let day = self.now().await? / DAY_MS;
        // Whoever has waited for the row may be of the day before. The time is read once the row is locked: times grow
        // with positions.
        let upsert = format!(
            "INSERT INTO event_positions (tenant, next, first, day, on_day, bytes, hidden_bytes) \
             VALUES ($1, 1 + $2, 1, $3, $5, $4, 0) ON CONFLICT (tenant) DO UPDATE SET \
             next = event_positions.next + $2, \
             day = CASE WHEN event_positions.day = $3 + 1 THEN event_positions.day ELSE $3 END, \
             on_day = $5 + CASE WHEN event_positions.day IN ($3, $3 + 1) THEN event_positions.on_day ELSE 0 END, \
             bytes = event_positions.bytes + $4 RETURNING next, on_day, bytes, {} AS published_at",
            self.dialect.now()
        );
        let (count, bytes) = (events.len() as u64, events.iter().map(|event| stored_bytes(&event.data)).sum::<u64>());
        let query = statement(upsert).bind(tenant.as_str().to_owned()).bind(signed(count)).bind(day);
        // Events that the platform publishes do not count for the quota.
        let counted = if quotas.is_some() { count } else { 0 };
        let row = self.row(query.bind(signed(bytes)).bind(signed(counted))).await?;
        let row = row.ok_or_else(|| Error::new(Code::Internal, "the store returned no position of events"))?;
        let on_day = number::<u64>(&row, "on_day")?;
        if let Some(most) = quotas.map(|quotas| quotas.events_per_day).filter(|most| *most > 0 && on_day > *most) {
            let used = on_day.saturating_sub(count);
            return Err(over_quota(tenant, "events-per-day", used, count, most, "the next day (UTC) begins"));
        }
        let now = get::<i64>(&row, "published_at")?;
        let first = number::<u64>(&row, "next")?.saturating_sub(count);
        let mut known = self.known_events(tenant, events).await?;
        let (mut published, mut new) = (Vec::with_capacity(events.len()), Vec::new());
        for (event, position) in events.iter().zip(first..) {
            let key = event.key.as_deref().map(storable);
            if let Some((position, id)) = key.as_ref().and_then(|key| known.get(key)) {
                published.push(PublishedEvent { position: *position, id: id.clone(), is_known: true });
                continue;
            }
            if let Some(key) = key {
                known.insert(key, (position, event.id.clone()));
            }
            published.push(PublishedEvent { position, id: event.id.clone(), is_known: false });
            new.push((event, position));
        }
        let bind = |query: Query, (event, position): &(&NewEvent, u64)| {
            let query = query.bind(tenant.as_str().to_owned()).bind(signed(*position)).bind(event.id.clone());
            let query = query.bind(storable(&event.event_type)).bind(storable(&event.source));
            let query = query.bind(event.subject.as_deref().map(storable)).bind(storable(&event.data));
            let query = query.bind(event.time).bind(event.key.as_deref().map(storable)).bind(i64::from(event.hops));
            query.bind(event.cause.clone()).bind(now)
        };
        let new_bytes = new.iter().map(|(event, _)| stored_bytes(&event.data)).sum::<u64>();
        self.count_events(tenant, bytes, new_bytes, quotas).await?;
        if let Some((_, first)) = new.first() {
            let bytes_before = get::<i64>(&row, "bytes")?.saturating_sub(signed(bytes));
            let segment = self.current_segment(tenant, *first, bytes_before).await?;
            let columns = "tenant, position, id, type, source, subject, data, time, key, hops, cause, published_at";
            self.run_each(inserts(&table(segment), columns, "", &new, bind)).await?;
        }
        Ok(published)
    }

    /// Corrects the bytes of a tenant's events, which were counted up by `bytes`, to the `new_bytes` of those that
    /// were not there before, and refuses these if they are more than the quota allows.
    async fn count_events(
        &mut self,
        tenant: &TenantId,
        bytes: u64,
        new_bytes: u64,
        quotas: Option<&Quotas>,
    ) -> Result<()> {
        if new_bytes < bytes {
            let update = "UPDATE event_positions SET bytes = bytes - $2 WHERE tenant = $1";
            let query = sqlx::query(update).bind(tenant.as_str().to_owned());
            self.run(query.bind(signed(bytes.saturating_sub(new_bytes)))).await?;
        }
        let Some(most) = quotas.map(|quotas| quotas.trigger_bytes).filter(|most| *most > 0 && new_bytes > 0) else {
            return Ok(());
        };
        let used = self.trigger_use(tenant).await?.bytes;
        if used > most {
            return Err(over_trigger_bytes(tenant, used.saturating_sub(new_bytes), new_bytes, most));
        }
        Ok(())
    }

    /// The positions and ids of events that are there with the keys of these, by key.
    async fn known_events(&mut self, tenant: &TenantId, events: &[NewEvent]) -> Result<HashMap<String, (u64, String)>> {
        let keys: HashSet<_> = events.iter().filter_map(|event| event.key.as_deref()).map(storable).collect();
        let mut known = HashMap::new();
        if keys.is_empty() {
            return Ok(known);
        }
        let keys: Vec<_> = keys.iter().map(|key| json!({ "key": key })).collect();
        let query = statement(known_events(self.dialect)).bind(tenant.as_str().to_owned()).bind(to_json(&keys)?);
        for row in &self.rows(query).await? {
            known.insert(get(row, "key")?, (number(row, "position")?, get(row, "id")?));
        }
        Ok(known)
    }

    async fn events(&mut self, tenant: &TenantId, after: u64, limit: u32) -> Result<Vec<EventRecord>> {
        let Some(log) = self.tenant_log(tenant).await? else { return Ok(Vec::new()) };
        let after = signed(after).max(log.visible - 1);
        let mut events = Vec::new();
        for (segment, end) in log.segments_after(after) {
            let left = i64::from(limit) - events.len() as i64;
            if left <= 0 {
                break;
            }
            let query = statement(read_events(segment)).bind(tenant.as_str().to_owned()).bind(after);
            for row in &self.rows(query.bind(end).bind(left)).await? {
                events.push(event(row)?);
            }
        }
        Ok(events)
    }

    async fn events_since(&mut self, tenant: &TenantId, time: i64) -> Result<u64> {
        let Some(log) = self.tenant_log(tenant).await? else { return Ok(0) };
        let first = self.first_since(tenant, &log, time).await?;
        Ok(u64::try_from(first - 1).unwrap_or_default())
    }

    /// The position from which on a tenant's events were published at `time` or later. Looks at some thirty events: the
    /// times of positions grow, and so need no index.
    async fn first_since(&mut self, tenant: &TenantId, log: &TenantLog, time: i64) -> Result<i64> {
        let (mut low, mut high) = (log.visible, log.next);
        // Events before `low` are earlier, those from `high` on are not.
        while low < high {
            let middle = low + (high - low) / 2;
            match self.event_at(tenant, log, middle).await? {
                Some((position, published_at)) if published_at < time => low = position + 1,
                _ => high = middle,
            }
        }
        Ok(low)
    }

    /// The position of the first event at `position` or later, and when it was published.
    async fn event_at(&mut self, tenant: &TenantId, log: &TenantLog, position: i64) -> Result<Option<(i64, i64)>> {
        for (segment, end) in log.segments_after(position - 1) {
            let query = statement(first_event(segment)).bind(tenant.as_str().to_owned());
            if let Some(row) = self.row(query.bind(position - 1).bind(end)).await? {
                return Ok(Some((get(&row, "position")?, get(&row, "published_at")?)));
            }
        }
        Ok(None)
    }

    async fn hide_events(&mut self, tenant: &TenantId, before_ms: i64) -> Result<bool> {
        let Some(log) = self.tenant_log(tenant).await? else { return Ok(false) };
        let first = match self.event_at(tenant, &log, log.visible).await? {
            Some((_, published_at)) if published_at < before_ms => {
                let first = self.first_since(tenant, &log, before_ms).await?;
                first.min(log.visible.saturating_add(HIDDEN_AT_ONCE))
            }
            // The segments of all that were left have been emptied meanwhile.
            None if log.visible < log.next => log.next,
            _ => return Ok(false),
        };
        let hidden_bytes = self.bytes_before(tenant, &log, first).await?;
        // Of two hosts one finds that the other was faster.
        let update = "UPDATE event_positions SET first = $2, hidden_bytes = $3 WHERE tenant = $1 AND first = $4";
        let query = sqlx::query(update).bind(tenant.as_str().to_owned()).bind(first).bind(hidden_bytes);
        Ok(self.run(query.bind(log.visible)).await? > 0)
    }

    /// Bytes of the data of all events of a tenant before the position `first`, which is not below the visible ones.
    async fn bytes_before(&mut self, tenant: &TenantId, log: &TenantLog, first: i64) -> Result<i64> {
        if first >= log.next {
            return Ok(log.bytes);
        }
        let Some(segment) = log.segments.iter().rfind(|segment| segment.first <= first) else {
            // The record was emptied before it was hidden.
            return Ok(log.segments.first().map_or(log.bytes, |segment| segment.bytes_before));
        };
        // Each event is summed up once: what is hidden in the segment already is known.
        let (from, before) = if log.visible > segment.first {
            (log.visible, log.hidden_bytes)
        } else {
            (segment.first, segment.bytes_before)
        };
        let query = statement(sum_events(segment.segment)).bind(tenant.as_str().to_owned()).bind(from).bind(first);
        let row = self.row(query).await?.ok_or_else(|| Error::new(Code::Internal, "the store summed up nothing"))?;
        Ok(before.saturating_add(get(&row, "bytes")?))
    }
}
