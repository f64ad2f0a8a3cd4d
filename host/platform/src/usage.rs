//! The usage of tenants: what hosts have counted goes into the store, and from there to users and to the webhook for
//! billing.

use crate::access::Permission;
use crate::config::UsageWebhook;
use crate::platform::Platform;
use crate::session::Session;
use crate::ticks::PlatformTicks;
use crate::usage_journal::CountedUsage;
use crate::webhook_sender::{WebhookSender, WebhookTarget};
use elias_api::{Code, Error, Result, UsageFilter, UsageRecord};
use elias_delivery::clock::{Clock, Now};
use elias_names::{Environment, ServiceId, TenantId};
use elias_store::{Store, UsageHour, UsageNotice, UsageRow};
use elias_telemetry::usage::HOUR_MS;
use elias_triggers::webhook_delivery::WebhookRequest;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How long after its end an hour is closed, in milliseconds: hosts that run have told the store by then.
const CLOSED_AFTER_MS: u64 = 120_000;
/// How long usage is kept, in days: a year, and a month to argue about the last bill.
const KEPT_DAYS: u64 = 400;
/// The time of which usage is shown if nothing is said, in milliseconds.
const SHOWN_MS: u64 = 24 * HOUR_MS;
/// Hours that a CSV file has at most, one for each tenant.
const CSV_ROWS_MAX: u32 = 100_000;
/// Messages that are read at a time.
const NOTICES_MAX: u32 = 1_000;
/// Rows of a CSV file that are read at a time: few times many, for each of them adds up all usage from there on.
const PAGE_ROWS: u32 = 20_000;
/// How often the webhook is told of hours that have ended lately, and which these are.
const TELL_EVERY: Duration = Duration::from_secs(60);
const RECENT_MS: u64 = 6 * HOUR_MS;
/// How often it is told of all hours that are told, and how far back these are: to find those that have changed, the
/// store reads the usage of all tenants in that time.
const TELL_ALL_EVERY: Duration = Duration::from_secs(3_600);
const TOLD_MS: u64 = 35 * 24 * HOUR_MS;
/// How long one host tells it before another may.
const LEASE_MS: u64 = 50_000;
const LEASE_NAME: &str = "usage-webhook";

impl Platform {
    /// The usage of a tenant by hours, after the hour `after`, at most `limit` of them.
    ///
    /// # Errors
    /// `bad-input` for a time that is none; `forbidden`, `store-unavailable`.
    pub async fn usage(
        &self,
        session: &Session,
        tenant: &TenantId,
        filter: &UsageFilter,
        (after, limit): (Option<i64>, u32),
    ) -> Result<Vec<UsageRecord>> {
        session.require(Permission::Audit, tenant, None)?;
        let now = self.serving().clock.now();
        let (from, to) = times(filter, now)?;
        self.fold_usage().await?;
        let from = after.map_or(from, |after| from.max(after.saturating_add(1)));
        let hours = self.store().read(tenant).await?.usage((from, to), limit).await?;
        Ok(hours.into_iter().map(|usage| record(usage, now)).collect())
    }

    /// The usage of all tenants by hours, after an hour and a tenant, at most `limit` of them.
    ///
    /// # Errors
    /// `bad-input` for a time that is none; `forbidden` for all but platform operators; `store-unavailable`.
    pub async fn usage_of_all(
        &self,
        session: &Session,
        filter: &UsageFilter,
        after: Option<(i64, TenantId)>,
        limit: u32,
    ) -> Result<Vec<UsageRecord>> {
        session.require(Permission::Audit, &TenantId::system(), None)?;
        let now = self.serving().clock.now();
        let (from, to) = times(filter, now)?;
        self.fold_usage().await?;
        // What is before the page is not read again.
        let from = after.as_ref().map_or(from, |(hour, _)| from.max(*hour));
        let after = after.as_ref().map_or((i64::MIN, ""), |(hour, tenant)| (*hour, tenant.as_str()));
        let hours = self.store().host_read().await?.usage_of_all((from, to), after, limit).await?;
        Ok(hours.into_iter().map(|usage| record(usage, now)).collect())
    }

    /// The usage of a tenant, or of all without one, as a CSV file.
    ///
    /// # Errors
    /// As of [`usage`](Self::usage) and [`usage_of_all`](Self::usage_of_all); `bad-input` if it would have more than
    /// 100,000 lines.
    pub async fn usage_csv(
        &self,
        session: &Session,
        tenant: Option<&TenantId>,
        filter: &UsageFilter,
    ) -> Result<String> {
        let mut csv = UsageRecord::CSV_HEADER.to_owned();
        let (mut after, mut rows): (Option<(i64, TenantId)>, u32) = (None, 0);
        loop {
            let page = match tenant {
                Some(tenant) => {
                    let after = after.as_ref().map(|(hour, _)| *hour);
                    self.usage(session, tenant, filter, (after, PAGE_ROWS)).await?
                }
                None => self.usage_of_all(session, filter, after.take(), PAGE_ROWS).await?,
            };
            csv.extend(page.iter().map(UsageRecord::to_csv));
            rows += u32::try_from(page.len()).unwrap_or(u32::MAX);
            match page.last() {
                Some(last) if page.len() >= PAGE_ROWS as usize => after = Some((last.hour_at, last.tenant.clone())),
                _ => return Ok(csv),
            }
            if rows >= CSV_ROWS_MAX {
                let message = format!("a file has at most {CSV_ROWS_MAX} lines: name a shorter time");
                return Err(Error::new(Code::BadInput, message));
            }
        }
    }

    /// Tells the store what this host has counted.
    pub(crate) async fn fold_usage(&self) -> Result<()> {
        let _folding = self.inner.usage_folding.lock().await;
        let journal = &self.serving().usage_journal;
        let untold = journal.untold(self.serving().clock.now().unix_ms());
        if !untold.is_empty() {
            let rows: Vec<_> = untold.iter().map(counted_row).collect();
            let mut scope = self.store().host_write().await?;
            scope.put_usage(&rows).await?;
            scope.commit().await?;
        }
        journal.told(&untold);
        Ok(())
    }

    /// Tells the store how many bytes each tenant has in it and in artifacts.
    pub(crate) async fn note_storage(&self) -> Result<()> {
        let now = self.serving().clock.now().unix_ms();
        // In one order on all hosts, which write the same rows: else two of them could wait for each other.
        let mut bytes: BTreeMap<TenantId, u64> = BTreeMap::new();
        let mut scope = self.store().host_read().await?;
        let artifacts = scope.stored_use().await?.into_iter().map(|(tenant, (_, bytes))| (tenant, bytes));
        let triggers = scope.trigger_use_by_tenant().await?.into_iter().map(|(tenant, used)| (tenant, used.bytes));
        let workers = scope.worker_use_by_tenant().await?.into_iter().map(|(tenant, used)| (tenant, used.bytes));
        drop(scope);
        for (tenant, more) in artifacts.chain(triggers).chain(workers) {
            let bytes = bytes.entry(tenant).or_default();
            *bytes = bytes.saturating_add(more);
        }
        let rows = bytes.into_iter().filter(|(_, bytes)| *bytes > 0).map(|(tenant, storage_bytes)| {
            let hour_at = signed(now - now % HOUR_MS);
            let usage = UsageHour { tenant, hour_at, executions: 0, fuel: 0, bytes_in: 0, bytes_out: 0, storage_bytes };
            UsageRow { usage, source: String::new() }
        });
        let rows: Vec<_> = rows.collect();
        if rows.is_empty() {
            return Ok(());
        }
        let mut scope = self.store().host_write().await?;
        scope.put_usage(&rows).await?;
        Ok(scope.commit().await?)
    }

    /// Deletes usage that is kept no longer.
    pub(crate) async fn prune_usage(&self) -> Result<()> {
        let now = self.serving().clock.now().unix_ms();
        let mut scope = self.store().host_write().await?;
        scope.prune_usage(signed(now.saturating_sub(KEPT_DAYS * 24 * HOUR_MS))).await?;
        Ok(scope.commit().await?)
    }

    /// Tells the webhook of hours that are closed and began in the last `back_ms` milliseconds; says whether that were
    /// all. One host does so at a time; the others find nothing to tell.
    async fn tell_usage(&self, webhook: &UsageWebhook, sender: &dyn WebhookSender, back_ms: u64) -> Result<bool> {
        // From before the lease begins: nobody else has it until then.
        let until = Instant::now() + Duration::from_millis(LEASE_MS);
        let mut scope = self.store().host_write().await?;
        let lease = scope.acquire_lease(LEASE_NAME, self.run_id(), LEASE_MS).await?;
        scope.commit().await?;
        if lease.is_none() {
            return Ok(false);
        }
        let clock = &self.serving().clock;
        let now = clock.now();
        let times = (signed(now.unix_ms().saturating_sub(back_ms)), signed(closed_before(now)));
        let notices = self.store().host_read().await?.untold_usage(times, NOTICES_MAX).await?;
        let is_page = notices.len() >= NOTICES_MAX as usize;
        Ok(tell_notices(self.store(), (webhook, sender), notices, until, clock).await? && !is_page)
    }
}

/// Sends these messages, and notes those that were taken; says whether there was the time for all. A message that the
/// receiver refuses keeps those of other tenants from nothing; a receiver that is away is asked another time.
async fn tell_notices(
    store: &Store,
    (webhook, sender): (&UsageWebhook, &dyn WebhookSender),
    notices: Vec<UsageNotice>,
    until: Instant,
    clock: &Clock,
) -> Result<bool> {
    let mut refused = HashSet::new();
    for notice in notices {
        if Instant::now() >= until {
            return Ok(false);
        }
        if refused.contains(&notice.usage.tenant) {
            continue;
        }
        match send(webhook, sender, &notice, clock.now()).await {
            Ok(()) => {
                let mut scope = store.host_write().await?;
                scope.usage_told(&notice, signed(clock.now().unix_ms())).await?;
                scope.commit().await?;
            }
            Err(NotTaken::Refused(status)) => {
                let UsageHour { tenant, hour_at, .. } = notice.usage;
                tracing::warn!(%tenant, hour_at, status, "the webhook for billing refused the usage of a tenant");
                refused.insert(tenant);
            }
            Err(NotTaken::Away(reason)) => return Err(Error::new(Code::WrongState, reason)),
        }
    }
    Ok(true)
}

/// Starts the task that tells the webhook, if there is one. It ends with the platform.
pub(crate) fn start(platform: &Platform) {
    let config = platform.config();
    if let (Some(webhook), Some(sender)) = (config.usage_webhook.clone(), config.webhooks.clone()) {
        tokio::spawn(tell(PlatformTicks::new(platform, TELL_EVERY), webhook, sender));
    }
}

async fn tell(mut ticks: PlatformTicks, webhook: UsageWebhook, sender: Arc<dyn WebhookSender>) {
    let mut all_at = Instant::now();
    while let Some(platform) = ticks.next().await {
        let is_all = Instant::now() >= all_at;
        let back_ms = if is_all { TOLD_MS } else { RECENT_MS };
        match platform.tell_usage(&webhook, &*sender, back_ms).await {
            Ok(true) if is_all => all_at = Instant::now() + TELL_ALL_EVERY,
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "the webhook for billing was not told the usage; retrying"),
        }
    }
}

/// Why the receiver has not taken a message.
#[derive(Debug, PartialEq, Eq)]
enum NotTaken {
    /// It refused this one, with a status of 4xx.
    Refused(u16),
    /// It is away, busy or broken: another one would do no better.
    Away(String),
}

/// Sends a message; the receiver has taken it when this returns.
async fn send(
    webhook: &UsageWebhook,
    sender: &dyn WebhookSender,
    notice: &UsageNotice,
    now: Now,
) -> std::result::Result<(), NotTaken> {
    let (id, event) = event(notice);
    let request = WebhookRequest::new(&id, event.to_string(), &webhook.secret, now)
        .map_err(|_| NotTaken::Away("the secret of the webhook must be `whsec_` and Base64".to_owned()))?;
    let service = connection().map_err(NotTaken::Away)?;
    let target = WebhookTarget {
        service: &service,
        http: Some(&webhook.http),
        folder: Path::new("."),
        url: &webhook.url,
        sent: &Arc::default(),
    };
    let response = sender.send(target, request).await.map_err(NotTaken::Away)?;
    match response.status {
        200..300 => Ok(()),
        // Too slow, too early and too many say nothing about the message.
        status @ 400..500 if !matches!(status, 408 | 425 | 429) => Err(NotTaken::Refused(status)),
        status => Err(NotTaken::Away(format!("the receiver responded with status {status}"))),
    }
}

/// The name by which the sender keeps the connections of this webhook apart from those of components.
fn connection() -> std::result::Result<ServiceId, String> {
    let component = "usage".parse().map_err(|error: elias_names::InvalidName| error.to_string())?;
    Ok(ServiceId { tenant: TenantId::system(), component, environment: Environment::Production })
}

/// The event that a message has, and its id: a receiver that gets it twice sees that by the id. A later revision of an
/// hour takes the place of an earlier one.
fn event(notice: &UsageNotice) -> (String, Value) {
    let UsageNotice { usage, revision } = notice;
    let UsageHour { tenant, hour_at, executions, fuel, bytes_in, bytes_out, storage_bytes } = usage;
    let id = format!("usage-{tenant}-{hour_at}-{revision}");
    let event = json!({
        "specversion": "1.0",
        "id": id,
        "source": "/elias/usage",
        "type": "elias.usage.hour",
        "subject": tenant,
        "datacontenttype": "application/json",
        "data": {
            "tenant": tenant,
            "hour_at": hour_at,
            "revision": revision,
            "executions": executions,
            "fuel": fuel,
            "bytes_in": bytes_in,
            "bytes_out": bytes_out,
            "storage_bytes": storage_bytes,
        },
    });
    (id, event)
}

fn counted_row(counted: &CountedUsage) -> UsageRow {
    let amounts = counted.amounts;
    let usage = UsageHour {
        tenant: counted.tenant.clone(),
        hour_at: signed(counted.hour.saturating_mul(HOUR_MS)),
        executions: amounts.executions,
        fuel: amounts.fuel,
        bytes_in: amounts.bytes_in,
        bytes_out: amounts.bytes_out,
        storage_bytes: 0,
    };
    UsageRow { usage, source: counted.source.clone() }
}

fn record(usage: UsageHour, now: Now) -> UsageRecord {
    let UsageHour { tenant, hour_at, executions, fuel, bytes_in, bytes_out, storage_bytes } = usage;
    let is_closed = hour_at < signed(closed_before(now));
    UsageRecord { tenant, hour_at, executions, fuel, bytes_in, bytes_out, storage_bytes, is_closed }
}

/// The beginning of the first hour that is not closed.
fn closed_before(now: Now) -> u64 {
    let ms = now.unix_ms().saturating_sub(CLOSED_AFTER_MS);
    ms - ms % HOUR_MS
}

/// The time of a filter.
fn times(filter: &UsageFilter, now: Now) -> Result<(i64, i64)> {
    let from = filter.from.unwrap_or_else(|| signed(now.unix_ms().saturating_sub(SHOWN_MS)));
    let to = filter.to.unwrap_or(i64::MAX);
    if from < 0 || from >= to {
        let message = "`from` and `to` must be milliseconds since 1970, and `from` before `to`";
        return Err(Error::new(Code::BadInput, message));
    }
    Ok((from, to))
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
