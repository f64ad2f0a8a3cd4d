//! The delivery of notifications: one attempt at a time for each receiver, tried again with growing delays, and not at
//! all while the receiver's circuit is open.

use crate::platform::{Inner, Platform};
use crate::platform_events;
use elias_api::{Error, Result};
use elias_names::{ReceiverName, TenantId};
use elias_store::{DueNotification, StoredReceiver};
use elias_telemetry::notification::{ATTEMPTS_MAX, Notification, ReceiverSettings, retry_delay_ms};
use elias_triggers::queue::AttemptResult;
use elias_triggers::webhook_delivery::WebhookRequest;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Notifications that a receiver gets in a row, before what is due is looked at again.
const IN_A_ROW_MAX: u32 = 20;
/// Notifications that are read at a time, of all receivers: their bodies are held in memory until they are sent.
const READ_MAX: u32 = 2_000;
/// Receivers that are sent to at a time, of all tenants and of one: a tenant with many that are slow leaves slots to
/// others.
const CONCURRENT_MAX: usize = 64;
const CONCURRENT_OF_TENANT_MAX: usize = 8;
/// Characters of an error that are kept.
const ERROR_CHARS_MAX: usize = 500;

/// How an attempt ended.
enum Attempt {
    Delivered,
    /// Why it failed, and the delay that the receiver asks for.
    Failed(String, Option<Duration>),
    /// The receiver wants no more, or it can never be sent.
    GivenUp(String),
}

/// The receivers that are being sent to.
#[derive(Clone)]
pub(super) struct Deliveries {
    busy: Arc<Mutex<BTreeSet<(TenantId, ReceiverName)>>>,
    slots: Arc<Semaphore>,
    /// The slots of the tenants with receivers that are being sent to.
    of_tenants: Arc<Mutex<HashMap<TenantId, Arc<Semaphore>>>>,
}

impl Default for Deliveries {
    fn default() -> Self {
        let slots = Arc::new(Semaphore::new(CONCURRENT_MAX));
        Self { busy: Arc::default(), slots, of_tenants: Arc::default() }
    }
}

/// A receiver that is being sent to, until this is dropped.
struct Busy {
    deliveries: Deliveries,
    key: (TenantId, ReceiverName),
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.deliveries.busy.lock().remove(&self.key);
    }
}

impl Deliveries {
    /// The receivers that are being sent to now.
    fn present(&self) -> BTreeSet<(TenantId, ReceiverName)> {
        self.busy.lock().clone()
    }

    /// Makes a receiver busy, unless it was `before` what is due was read: what was read may be sent since.
    fn claim(&self, before: &BTreeSet<(TenantId, ReceiverName)>, key: (TenantId, ReceiverName)) -> Option<Busy> {
        let is_free = !before.contains(&key) && self.busy.lock().insert(key.clone());
        is_free.then(|| Busy { deliveries: self.clone(), key })
    }

    /// Waits for a slot of the tenant's, and then for one of all; they are free again when both are dropped.
    async fn acquire(&self, tenant: &TenantId) -> Option<[OwnedSemaphorePermit; 2]> {
        let of_tenant = {
            let mut of_tenants = self.of_tenants.lock();
            // One count is the map's own; who has a slot or waits for it has another.
            of_tenants.retain(|_, slots| Arc::strong_count(slots) > 1);
            let new = || Arc::new(Semaphore::new(CONCURRENT_OF_TENANT_MAX));
            Arc::clone(of_tenants.entry(tenant.clone()).or_insert_with(new))
        };
        let of_tenant = of_tenant.acquire_owned().await.ok()?;
        let of_all = Arc::clone(&self.slots).acquire_owned().await.ok()?;
        Some([of_tenant, of_all])
    }

    /// Begins to send what is due. One that hangs delays no other receiver, and not the next evaluation.
    pub(super) async fn start_due(&self, platform: &Platform) -> Result<()> {
        let busy_before = self.present();
        let mut scope = platform.store().host_read().await?;
        let now = scope.now().await?;
        let due = scope.due_notifications(now, IN_A_ROW_MAX, READ_MAX).await?;
        if due.is_empty() {
            return Ok(());
        }
        let receivers = scope.all_receivers().await?;
        drop(scope);
        let mut by_receiver: BTreeMap<(TenantId, ReceiverName), Vec<DueNotification>> = BTreeMap::new();
        for due in due {
            let key = (due.notification.tenant.clone(), due.notification.receiver.clone());
            by_receiver.entry(key).or_default().push(due);
        }
        for (key, due) in by_receiver {
            let found = receivers.iter().find(|stored| stored.tenant == key.0 && stored.receiver.name == key.1);
            let Some(receiver) = found.cloned() else {
                forget(platform, &due).await?;
                continue;
            };
            let ready_at = receiver.circuit.ready_at(now);
            if ready_at > now {
                postpone(platform, &due, ready_at).await?;
                continue;
            }
            // If it is sent to already, what is due is looked at again.
            let Some(busy) = self.claim(&busy_before, key) else { continue };
            tokio::spawn(send_all(Arc::downgrade(&platform.inner), receiver, due, busy));
        }
        Ok(())
    }
}

/// The receiver was deleted after these were made for it.
async fn forget(platform: &Platform, due: &[DueNotification]) -> Result<()> {
    let mut scope = platform.store().host_write().await?;
    for due in due {
        scope.delete_orphan_notification(&due.notification).await?;
    }
    Ok(scope.commit().await?)
}

async fn postpone(platform: &Platform, due: &[DueNotification], until_ms: i64) -> Result<()> {
    let mut scope = platform.store().host_write().await?;
    for due in due {
        scope.postpone_notification(&due.notification, due.attempts, until_ms).await?;
    }
    Ok(scope.commit().await?)
}

/// Sends notifications to a receiver one after the other, until one fails.
async fn send_all(platform: Weak<Inner>, mut receiver: StoredReceiver, due: Vec<DueNotification>, busy: Busy) {
    let Some(_slots) = busy.deliveries.acquire(&receiver.tenant).await else { return };
    for due in due {
        let Some(inner) = platform.upgrade() else { return };
        let platform = Platform::of(inner);
        match send_one(&platform, &mut receiver, &due).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                // It is due again, with the same id.
                tracing::warn!(%error, "the result of a notification cannot be stored");
                return;
            }
        }
    }
}

/// Makes an attempt and stores how it ended; whether the receiver took it, and is still what it was.
async fn send_one(platform: &Platform, receiver: &mut StoredReceiver, due: &DueNotification) -> Result<bool> {
    let ended = match serde_json::from_str::<Notification>(&due.notification.body) {
        Ok(notification) => attempt(platform, receiver, &notification).await,
        Err(error) => Attempt::GivenUp(format!("the notification cannot be read: {error}")),
    };
    let meters = platform.notification_meters();
    let attempts = due.attempts.saturating_add(1);
    let mut scope = platform.store().host_write().await?;
    let now = scope.now().await?;
    let delivered = matches!(ended, Attempt::Delivered);
    receiver.circuit.record(delivered, now);
    let error = match ended {
        Attempt::Delivered => {
            meters.delivered();
            scope.delete_notification(&due.notification).await?;
            None
        }
        Attempt::Failed(reason, after) if attempts < ATTEMPTS_MAX => {
            meters.failed();
            let asked_ms = after.map_or(0, |after| i64::try_from(after.as_millis()).unwrap_or(i64::MAX));
            let next = now.saturating_add(retry_delay_ms(attempts).max(asked_ms));
            scope.postpone_notification(&due.notification, attempts, next).await?;
            Some(reason)
        }
        Attempt::Failed(reason, _) | Attempt::GivenUp(reason) => {
            meters.failed();
            meters.given_up(1);
            scope.delete_notification(&due.notification).await?;
            let (tenant, name) = (&receiver.tenant, &receiver.receiver.name);
            tracing::warn!(%tenant, receiver = %name, %reason, "a notification was given up");
            Some(reason)
        }
    };
    let error = error.map(|error| error.chars().take(ERROR_CHARS_MAX).collect::<String>());
    // Nothing more is sent to a server whose receiver was changed or deleted meanwhile.
    let is_present = scope.receiver_attempted(receiver, &receiver.circuit, error.as_deref(), now).await?;
    scope.commit().await?;
    Ok(delivered && is_present)
}

/// Sends a notification once.
async fn attempt(platform: &Platform, receiver: &StoredReceiver, notification: &Notification) -> Attempt {
    let StoredReceiver { tenant, receiver: shown, ciphertext, .. } = receiver;
    let opened = platform.serving().loader.vault.open_receiver(tenant, &shown.name, ciphertext);
    let settings = opened.map_err(|error| error.to_string()).and_then(|text| {
        serde_json::from_slice::<ReceiverSettings>(&text)
            .map_err(|error| format!("the settings cannot be read: {error}"))
    });
    let settings = match settings {
        Ok(settings) => settings,
        Err(reason) => return Attempt::Failed(reason, None),
    };
    let Some(notifier) = &platform.config().notifier else {
        return Attempt::Failed("this host sends no notifications".to_owned(), None);
    };
    let now = platform.serving().clock.now();
    let posted = match &settings {
        ReceiverSettings::Webhook { url, secret } => {
            match WebhookRequest::new(&notification.id, notification.webhook_body(), secret, now) {
                Ok(request) => notifier.post(tenant, url, request.headers(), request.body).await,
                Err(error) => Err(format!("the secret {error}")),
            }
        }
        ReceiverSettings::Slack { url } => {
            let headers = vec![("content-type", "application/json".to_owned())];
            notifier.post(tenant, url, headers, notification.slack_body()).await
        }
        ReceiverSettings::Events {} => return publish(platform, notification).await,
        ReceiverSettings::Mail { to } => {
            if let Err((reason, wait)) = platform.mail_limit().take(tenant, to.len(), now.unix_ms()) {
                return Attempt::Failed(reason, Some(wait));
            }
            return match notifier.mail(to, notification.mail()).await {
                Ok(()) => Attempt::Delivered,
                Err(reason) => Attempt::Failed(reason, None),
            };
        }
    };
    match posted.map(|response| response.ending(now)) {
        Ok(AttemptResult::Returned(_)) => Attempt::Delivered,
        Ok(AttemptResult::Rejected(reason)) => Attempt::GivenUp(reason),
        Ok(AttemptResult::RetryRequested { after, reason }) => Attempt::Failed(reason, after),
        Ok(AttemptResult::Failed(reason)) | Err(reason) => Attempt::Failed(reason, None),
        // A response makes none of the others.
        Ok(_) => Attempt::Failed("the response cannot be understood".to_owned(), None),
    }
}

/// Publishes a notification as an event of the tenant.
async fn publish(platform: &Platform, notification: &Notification) -> Attempt {
    let published = async {
        let mut scope = platform.store().write(&notification.tenant).await?;
        let subject = notification.rule.to_string();
        platform_events::publish(&mut scope, notification.event_type(), subject, &notification.data()).await?;
        scope.commit().await?;
        platform.runner().look();
        Ok::<(), Error>(())
    };
    match published.await {
        Ok(()) => Attempt::Delivered,
        Err(error) => Attempt::Failed(error.to_string(), None),
    }
}

impl Platform {
    /// Sends a notification to a receiver once, whatever its circuit says.
    ///
    /// # Errors
    /// Why it was not delivered.
    pub(super) async fn try_receiver(
        &self,
        receiver: &StoredReceiver,
        notification: &Notification,
    ) -> std::result::Result<(), String> {
        match attempt(self, receiver, notification).await {
            Attempt::Delivered => Ok(()),
            Attempt::Failed(reason, _) | Attempt::GivenUp(reason) => {
                Err(reason.chars().take(ERROR_CHARS_MAX).collect())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[tokio::test]
    async fn a_tenant_with_many_slow_receivers_leaves_slots_to_others() {
        let deliveries = Deliveries::default();
        let [acme, other] = ["acme", "other"].map(|name| name.parse::<TenantId>().expect("a name"));
        let mut held = Vec::new();
        for _ in 0..CONCURRENT_OF_TENANT_MAX {
            held.push(deliveries.acquire(&acme).now_or_never().flatten().expect("a slot"));
        }
        let mut next = Box::pin(deliveries.acquire(&acme));
        assert!(next.as_mut().now_or_never().is_none(), "it waits for one of its own");
        let of_other = deliveries.acquire(&other).now_or_never().flatten();
        assert!(of_other.is_some(), "another tenant has its own");
        drop(held.pop());
        assert!(next.now_or_never().flatten().is_some(), "its turn");
        drop((held, of_other));
        assert_eq!(deliveries.slots.available_permits(), CONCURRENT_MAX);
        let last = deliveries.acquire(&other).now_or_never().flatten();
        assert_eq!((last.is_some(), deliveries.of_tenants.lock().len()), (true, 1), "who sends nothing is forgotten");
    }

    #[test]
    fn what_was_read_while_a_receiver_was_sent_to_is_not_sent_again() {
        let deliveries = Deliveries::default();
        let key = || -> (TenantId, ReceiverName) { ("acme".parse().expect("a name"), "team".parse().expect("a name")) };
        let first = deliveries.claim(&deliveries.present(), key()).expect("it is free");
        assert!(deliveries.claim(&BTreeSet::new(), key()).is_none(), "one sends at a time");
        let before = deliveries.present();
        // Here what is due is read, and what the first has sent is still there.
        drop(first);
        assert!(deliveries.claim(&before, key()).is_none());
        assert!(deliveries.claim(&deliveries.present(), key()).is_some(), "the next time it is read anew");
    }
}
