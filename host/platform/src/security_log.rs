//! Gathers security events, and the entries of the audit trail that no change of the store makes: who signed in, and
//! which component read a secret.
//!
//! They are gathered in memory and stored by a task of their own, so that neither a request nor a component waits for
//! the store, and an attack is some rows with counts.

use crate::platform_events;
use elias_api::{Actor, Code, ExecutionRecord, Result};
use elias_contract::ErrorCode;
use elias_names::{ServiceId, TenantId};
use elias_store::{AuditNote, NewEvent, Store, now_ms};
use elias_telemetry::security::{OTHERS, PendingEvents, Repeats, SecurityEventKey, SecurityEventKind, SecurityEvents};
use moka::sync::Cache;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::time::Duration;

/// What a component did beside writing lines.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ServiceNotice {
    /// It read the secret of this name.
    SecretRead(String),
    /// It asked for a server that it is not granted; `None` for further ones than are told apart.
    EgressRefused(Option<String>),
}

/// How long a sign-in with the same token from the same address, and a read of a secret, is the same.
const AUDITED_FOR: Duration = Duration::from_secs(24 * 3600);
/// Sign-ins and reads that are remembered.
const REMEMBERED: u64 = 100_000;
/// Entries of the audit trail that wait for the store, of all tenants and of one: a tenant whose tokens come from ever
/// new addresses takes no room from others.
const WAITING_MAX: usize = 10_000;
const WAITING_OF_TENANT_MAX: usize = 1_000;

/// The codes of executions that reached a limit.
const LIMITS: [ErrorCode; 7] = [
    ErrorCode::OutOfFuel,
    ErrorCode::OutOfMemory,
    ErrorCode::Deadline,
    ErrorCode::StackOverflow,
    ErrorCode::HostCallTooLarge,
    ErrorCode::RequestTooLarge,
    ErrorCode::ResponseTooLarge,
];

/// Gathers security events and notes for the audit trail.
pub(crate) struct SecurityLog {
    events: Mutex<SecurityEvents>,
    notes: Mutex<PendingNotes>,
    /// What was written into the audit trail lately, by its hash: one that is the same by chance is not written.
    audited: Cache<u64, ()>,
    hashes: RandomState,
}

#[derive(Default)]
struct PendingNotes {
    by_tenant: BTreeMap<TenantId, Vec<AuditNote>>,
    len: usize,
    lost: u64,
}

impl Default for SecurityLog {
    fn default() -> Self {
        Self {
            events: Mutex::default(),
            notes: Mutex::default(),
            audited: Cache::builder().max_capacity(REMEMBERED).time_to_live(AUDITED_FOR).build(),
            hashes: RandomState::new(),
        }
    }
}

impl SecurityLog {
    /// Adds an event that happened `count` times.
    pub(crate) fn note(&self, tenant: &TenantId, key: SecurityEventKey, count: u64) {
        self.events.lock().add(tenant, key, count, now_ms());
    }

    /// A token was refused. `owner` is the tenant whose token it is, if there is one with its id; else those who run
    /// the host are told.
    pub(crate) fn sign_in_failed(&self, owner: Option<&TenantId>, token: Option<&str>, address: &str, code: Code) {
        let kind =
            if code == Code::RateLimited { SecurityEventKind::LimitHit } else { SecurityEventKind::SignInFailed };
        // An id that no token has is the stranger's word.
        let actor = owner.and(token).unwrap_or_default().to_owned();
        let (address, subject, code) = (address.to_owned(), "token".to_owned(), code.to_string());
        let system = TenantId::system();
        self.note(owner.unwrap_or(&system), SecurityEventKey { kind, actor, address, service: None, subject, code }, 1);
    }

    /// A request of an actor of a tenant was refused. `subject` is its method and route.
    pub(crate) fn denied(&self, tenant: &TenantId, actor: Actor, subject: &str, code: Code) {
        let Actor { name, address } = actor;
        let (kind, subject, code) = (SecurityEventKind::Denied, subject.to_owned(), code.to_string());
        self.note(tenant, SecurityEventKey { kind, actor: name, address, service: None, subject, code }, 1);
    }

    /// Executions that were recorded: those that reached a limit are events.
    pub(crate) fn executions(&self, batch: &[ExecutionRecord]) {
        let mut limits: BTreeMap<(&TenantId, SecurityEventKey), u64> = BTreeMap::new();
        for record in batch {
            let limit = LIMITS.iter().find(|limit| record.code.as_deref() == Some(limit.as_str()));
            let Some(limit) = limit else { continue };
            let key = SecurityEventKey {
                kind: SecurityEventKind::LimitHit,
                actor: String::new(),
                address: String::new(),
                service: Some((record.component.clone(), record.environment)),
                subject: limit.as_str().to_owned(),
                code: limit.as_str().to_owned(),
            };
            *limits.entry((&record.tenant, key)).or_default() += 1;
        }
        for ((tenant, key), count) in limits {
            self.note(tenant, key, count);
        }
    }

    /// An actor of a tenant used the admin API, the first time from this address within a day.
    pub(crate) fn signed_in(&self, tenant: &TenantId, actor: &Actor, details: impl FnOnce() -> Value) {
        let action = "session.sign-in";
        self.audit_once(tenant, (action, tenant.as_str(), &actor.name, &actor.address), || {
            note_now(actor.clone(), action, actor.name.clone(), Some(details()))
        });
    }

    /// A component read a secret, the first time within a day.
    fn secret_read(&self, service: &ServiceId, name: &str) {
        let (action, reader) = ("secret.read", service.subject());
        self.audit_once(&service.tenant, (action, service.tenant.as_str(), &reader, name), || {
            note_now(Actor { name: reader.clone(), ..Actor::host() }, action, format!("{reader}/{name}"), None)
        });
    }

    /// Adds a note if `what` was not noted within a day. One for which there is no room is made the next time.
    fn audit_once(&self, tenant: &TenantId, what: impl Hash, note: impl FnOnce() -> AuditNote) {
        let hash = self.hashes.hash_one(what);
        // Two at once may both be the first, which is no harm.
        if !self.audited.contains_key(&hash) && self.audit(tenant, note()) {
            self.audited.insert(hash, ());
        }
    }

    /// Adds a note; false if there is no room for it.
    fn audit(&self, tenant: &TenantId, note: AuditNote) -> bool {
        let mut notes = self.notes.lock();
        let of_tenant = notes.by_tenant.get(tenant).map_or(0, Vec::len);
        if notes.len >= WAITING_MAX || of_tenant >= WAITING_OF_TENANT_MAX {
            notes.lost += 1;
            return false;
        }
        notes.len += 1;
        notes.by_tenant.entry(tenant.clone()).or_default().push(note);
        true
    }

    /// What a service's components did beside writing lines.
    pub(crate) fn notices(&self, service: &ServiceId, notices: BTreeMap<ServiceNotice, u64>) {
        for (notice, count) in notices {
            match notice {
                ServiceNotice::SecretRead(name) => self.secret_read(service, &name),
                ServiceNotice::EgressRefused(server) => {
                    let key = SecurityEventKey {
                        kind: SecurityEventKind::EgressRefused,
                        actor: String::new(),
                        address: String::new(),
                        service: Some((service.component.clone(), service.environment)),
                        subject: server.unwrap_or_else(|| OTHERS.to_owned()),
                        code: "capability-denied".to_owned(),
                    };
                    self.note(&service.tenant, key, count);
                }
            }
        }
    }

    /// Stores what was gathered. What cannot be stored stays, within the bounds.
    pub(crate) async fn flush(&self, store: &Store) -> Result<()> {
        let (events, uncounted) = {
            let mut events = self.events.lock();
            (events.take(), events.take_uncounted())
        };
        if uncounted > 0 {
            tracing::warn!(
                events = uncounted,
                "security events were lost: those of too many tenants wait for the store"
            );
        }
        if !events.is_empty()
            && let Err(error) = store_events(store, &events).await
        {
            self.events.lock().put_back(events);
            return Err(error);
        }
        let PendingNotes { by_tenant, lost, .. } = std::mem::take(&mut *self.notes.lock());
        if lost > 0 {
            tracing::warn!(entries = lost, "entries of the audit trail were not written: too many wait for the store");
        }
        let mut failed = None;
        for (tenant, notes) in by_tenant {
            if let Err(error) = store_notes(store, &tenant, &notes).await {
                for note in notes {
                    self.audit(&tenant, note);
                }
                failed = Some(error);
            }
        }
        failed.map_or(Ok(()), Err)
    }
}

fn note_now(actor: Actor, action: &'static str, subject: String, after: Option<Value>) -> AuditNote {
    AuditNote { id: ulid::Ulid::new().to_string(), at: now_ms(), actor, action, subject, after }
}

/// Stores events, and publishes those that were not there yet. Repeats within the hour are not published: a handler
/// that reaches a limit itself would otherwise have itself run again and again.
async fn store_events(store: &Store, events: &PendingEvents) -> Result<()> {
    let mut scope = store.host_write().await?;
    let mut new = Vec::new();
    // By tenant and key, so in the same order on every host: none waits for another that waits for it.
    for (tenant, of_tenant) in events {
        for (key, repeats) in of_tenant {
            if scope.add_security_event(tenant, key, repeats).await? {
                new.push((tenant, event_of(key, repeats)));
            }
        }
    }
    scope.commit().await?;
    if let Err(error) = platform_events::publish_wanted(store, new).await {
        tracing::debug!(%error, "security events were not published");
    }
    Ok(())
}

fn event_of(key: &SecurityEventKey, repeats: &Repeats) -> NewEvent {
    let data = json!({
        "kind": key.kind.as_str(),
        "actor": key.actor,
        "address": key.address,
        "component": key.service.as_ref().map(|(component, _)| component),
        "environment": key.service.as_ref().map(|(_, environment)| environment),
        "subject": key.subject,
        "code": key.code,
        "count": repeats.count,
    });
    platform_events::event(&format!("security.{}", key.kind.as_str()), key.subject.clone(), &data)
}

async fn store_notes(store: &Store, tenant: &TenantId, notes: &[AuditNote]) -> Result<()> {
    let mut scope = store.write(tenant).await?;
    scope.audit_notes(notes).await?;
    Ok(scope.commit().await?)
}

#[cfg(test)]
mod tests;
