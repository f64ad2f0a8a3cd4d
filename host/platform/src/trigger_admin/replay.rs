//! Replays of events by selection.

use crate::access::Permission;
use crate::platform::Platform;
use crate::session::Session;
use crate::trigger_runs;
use crate::triggers::Replay;
use elias_api::{Code, Error, ReplaySelection, ReplayedEvents, Result};
use elias_names::ServiceId;
use elias_store::{NOTHING, SubscriptionId};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Deliveries of a replay, by default and at most; bytes of them at which it ends as well.
const DELIVERIES: u32 = 100;
const DELIVERIES_MAX: u32 = 1_000;
const BYTES_MAX: usize = 16 << 20;
/// How long it looks at events: transformations may be slow.
const TIME_MAX: Duration = Duration::from_secs(10);
/// Events that are read at a time, and how often.
const PAGE: u32 = 200;
const PAGES_MAX: u32 = 50;

impl Platform {
    /// Delivers those events of the log to a subscription once more that are of a selection and that it matches; its
    /// cursor stays. At most 10,000 events are looked at, for some ten seconds: the result says where to go on.
    ///
    /// # Errors
    /// `not-found` for the subscription, or a version that never served there; `bad-input`, `forbidden`,
    /// `quota-exceeded`, `store-unavailable`.
    pub async fn replay_selected(
        &self,
        session: &Session,
        service: &ServiceId,
        name: &str,
        selection: &ReplaySelection,
    ) -> Result<ReplayedEvents> {
        session.require(Permission::RunTriggers, &service.tenant, service)?;
        let most = selection.limit.unwrap_or(DELIVERIES);
        if !(1..=DELIVERIES_MAX).contains(&most) {
            return Err(Error::new(Code::BadInput, format!("limit: must be 1 to {DELIVERIES_MAX}")));
        }
        let id = SubscriptionId { service: service.clone(), name: name.to_owned() };
        let mut scope = self.store().read(&service.tenant).await?;
        let subscription = scope.subscription(&id).await?;
        let mut after = selection.after.unwrap_or_default();
        if let Some(since) = selection.since {
            after = after.max(scope.events_since(since).await?);
        }
        if let Some(version) = selection.version {
            trigger_runs::former_release(&mut scope, service, version).await?;
        }
        drop(scope);
        let replay = Arc::new(Replay::new(id, &subscription.config, selection, &session.principal.name)?);
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let (began, mut jobs, mut bytes, mut next) = (Instant::now(), Vec::new(), 0, None);
        for _ in 0..PAGES_MAX {
            let events = self.store().read(&service.tenant).await?.events(after, PAGE).await?;
            let is_last = u32::try_from(events.len()).is_ok_and(|count| count < PAGE);
            let last = events.last().map(|event| event.position);
            let (replay, room) = (Arc::clone(&replay), most - jobs.len());
            // A transformation may take some hundred milliseconds.
            let page = tokio::task::spawn_blocking(move || replay.deliveries(&events, room)).await;
            let page = page.map_err(|panic| Error::new(Code::Internal, format!("matching events: {panic}")))?;
            after = page.position.unwrap_or(after);
            bytes += page.jobs.iter().map(|job| job.input.len()).sum::<usize>();
            jobs.extend(page.jobs);
            let is_seen = last.is_none_or(|last| last == after);
            next = if page.is_over || (is_last && is_seen) { None } else { Some(after) };
            if next.is_none() || jobs.len() >= most || bytes >= BYTES_MAX || began.elapsed() >= TIME_MAX {
                break;
            }
        }
        let replayed = ReplayedEvents { deliveries: jobs.len() as u64, next };
        let mut scope = self.store().write(&service.tenant).await?;
        let quotas = scope.this_tenant().await?.settings.quotas;
        scope.enqueue_jobs(&jobs, Some(&quotas)).await?;
        let subject = format!("{}/{name}", service.subject());
        scope.audit(&session.actor(), "subscription.replay-selected", subject, NOTHING, Some(selection)).await?;
        scope.commit().await?;
        self.runner().look();
        Ok(replayed)
    }
}
