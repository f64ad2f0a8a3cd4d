//! Events from outside, the log, and subscriptions.

use super::LISTED_MAX;
use crate::access::Permission;
use crate::platform::{Platform, check_revision};
use crate::platform_events::SOURCE;
use crate::session::Session;
use crate::triggers::checked_traceparent;
use elias_api::{Code, Error, EventRecord, Result, SubscriptionRecord};
use elias_names::{ServiceId, TenantId};
use elias_store::{NOTHING, NewEvent, SubscriptionId, now_ms};
use elias_triggers::event::{Event, EventData};
use serde_json::{Value, json};

/// Events of a request.
const EVENTS_MAX: usize = 1_000;

/// The position from which a subscription is read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplayFrom {
    /// Behind the event with this position; 0 for all that are kept.
    Position(u64),
    /// The events that were published at this time or later, in milliseconds since 1970.
    Time(i64),
}

impl Platform {
    /// Publishes events from outside; gives their ids. An event with an id and a source that were published already is
    /// not published again.
    ///
    /// # Errors
    /// `forbidden`, `bad-input` for an event that is not one or whose data are not JSON, `quota-exceeded`,
    /// `store-unavailable`. Nothing was published then.
    pub async fn publish_events(
        &self,
        session: &Session,
        tenant: &TenantId,
        events: Vec<Event>,
        cause: Option<String>,
    ) -> Result<Vec<String>> {
        session.require(Permission::RunTriggers, tenant, None)?;
        if events.len() > EVENTS_MAX {
            return Err(Error::new(Code::BadInput, format!("at most {EVENTS_MAX} events are taken at once")));
        }
        let cause = checked_traceparent(cause);
        let new = events.into_iter().map(|event| new_event(event, cause.clone())).collect::<Result<Vec<_>>>()?;
        let published = self.runner().publish_all(tenant, new).await?;
        Ok(published.into_iter().map(|event| event.id).collect())
    }

    /// The tenant's events after a position, in the order of the log; at most 1,000.
    ///
    /// # Errors
    /// `forbidden`, `store-unavailable`.
    pub async fn events(
        &self,
        session: &Session,
        tenant: &TenantId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<EventRecord>> {
        let mut scope = self.read(session, Permission::Read, tenant, None).await?;
        Ok(scope.events(after, limit.min(LISTED_MAX)).await?)
    }

    /// The subscriptions of a tenant that the session may see, by component, environment and name.
    ///
    /// # Errors
    /// `forbidden`, `store-unavailable`.
    pub async fn subscriptions(&self, session: &Session, tenant: &TenantId) -> Result<Vec<SubscriptionRecord>> {
        let mut scope = self.read(session, Permission::Read, tenant, None).await?;
        let allowed = session.allowed_services(&mut scope, Permission::Read, tenant, None).await?;
        Ok(scope.subscriptions(&allowed).await?)
    }

    /// A subscription.
    ///
    /// # Errors
    /// `not-found`, `forbidden`, `store-unavailable`.
    pub async fn subscription(&self, session: &Session, service: &ServiceId, name: &str) -> Result<SubscriptionRecord> {
        let mut scope = self.read(session, Permission::Read, &service.tenant, service).await?;
        let id = SubscriptionId { service: service.clone(), name: name.to_owned() };
        Ok(scope.subscription(&id).await?)
    }

    /// Pauses a subscription, or lets it go on from where it was.
    ///
    /// # Errors
    /// `not-found`, `forbidden`, `stale` if it is not at `revision` any more; `store-unavailable`.
    pub async fn set_subscription_paused(
        &self,
        session: &Session,
        service: &ServiceId,
        name: &str,
        paused: bool,
        revision: Option<u64>,
    ) -> Result<SubscriptionRecord> {
        let mut scope = self.write(session, Permission::RunTriggers, &service.tenant, service).await?;
        let id = SubscriptionId { service: service.clone(), name: name.to_owned() };
        scope.set_subscription_paused(&id, paused).await?;
        let after = scope.subscription(&id).await?;
        check_revision("subscription", name, revision.map(|revision| revision.saturating_add(1)), after.revision)?;
        let action = if paused { "subscription.pause" } else { "subscription.resume" };
        let subject = format!("{}/{name}", service.subject());
        scope.audit(&session.actor(), action, subject, NOTHING, Some(&after)).await?;
        scope.commit().await?;
        self.runner().look();
        Ok(after)
    }

    /// Has a subscription get events again, from an earlier place of the log; or leave some out, from a later one. What
    /// is waiting for its delivery stays.
    ///
    /// # Errors
    /// `not-found`, `forbidden`, `stale` if it is not at `revision` any more; `store-unavailable`.
    pub async fn replay(
        &self,
        session: &Session,
        service: &ServiceId,
        name: &str,
        from: ReplayFrom,
        revision: Option<u64>,
    ) -> Result<SubscriptionRecord> {
        let mut scope = self.write(session, Permission::RunTriggers, &service.tenant, service).await?;
        let id = SubscriptionId { service: service.clone(), name: name.to_owned() };
        let before = scope.subscription(&id).await?;
        let cursor = match from {
            ReplayFrom::Position(position) => position,
            ReplayFrom::Time(time) => scope.events_since(time).await?,
        };
        scope.set_cursor(&id, cursor).await?;
        let after = scope.subscription(&id).await?;
        check_revision("subscription", name, revision.map(|revision| revision.saturating_add(1)), after.revision)?;
        let subject = format!("{}/{name}", service.subject());
        scope.audit(&session.actor(), "subscription.replay", subject, Some(&before), Some(&after)).await?;
        scope.commit().await?;
        self.runner().look();
        Ok(after)
    }
}

/// An event from outside, as the store takes it. Its source and id are its idempotency key, as CloudEvents have it.
pub(crate) fn new_event(event: Event, cause: Option<String>) -> Result<NewEvent> {
    let bad = |message: String| Error::new(Code::BadInput, message);
    event.check().map_err(|error| bad(error.to_string()))?;
    if event.source == SOURCE {
        return Err(bad(format!("source: {SOURCE} is the platform's own")));
    }
    let time = event.time_ms().unwrap_or_else(now_ms);
    let data = match event.data {
        EventData::None => Value::Null,
        EventData::Json(data) => data,
        EventData::Binary(_) => return Err(bad("data: must be JSON, and not data_base64".to_owned())),
    };
    let key = json!([event.source, event.id]).to_string();
    Ok(NewEvent {
        id: event.id,
        event_type: event.event_type,
        source: event.source,
        subject: event.subject,
        data: data.to_string(),
        time,
        key: Some(key),
        hops: 0,
        cause,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_from_outside_are_checked_and_have_a_key() {
        let event = Event { data: EventData::Json(json!(1)), ..Event::new("1", "order.paid", "/web") };
        let new = new_event(event.clone(), None).expect("an event");
        assert_eq!((new.key.as_deref(), new.data.as_str()), (Some("[\"/web\",\"1\"]"), "1"));
        for wrong in [
            Event { source: SOURCE.to_owned(), ..event.clone() },
            Event { data: EventData::Binary(vec![1]), ..event.clone() },
            Event { event_type: String::new(), ..event },
        ] {
            assert_eq!(new_event(wrong, None).expect_err("refused").code(), Code::BadInput);
        }
    }
}
