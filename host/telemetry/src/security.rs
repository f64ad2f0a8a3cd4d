//! Security events: what was denied, to whom and where, with repeats counted instead of listed.

use elias_names::{ComponentName, Environment, TenantId};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashSet};
use std::fmt::Write;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Different events of a tenant that are told apart within [`WINDOW_MS`]; those that come later are counted together,
/// by kind.
pub const TOLD_APART_MAX: usize = 200;
/// Events that wait to be stored, of all tenants; beyond it those of a tenant and a kind are counted together.
pub const EVENTS_MAX: usize = 20_000;
/// Tenants whose events wait to be stored; those of further ones are only counted.
pub const TENANTS_MAX: usize = 2_000;
/// The time within which events of a tenant are told apart, in milliseconds.
pub const WINDOW_MS: i64 = 60_000;
/// Bytes of each text of an event.
pub const TEXT_BYTES_MAX: usize = 256;
/// Actor and object, where these are not told apart.
pub const OTHERS: &str = "(others)";

/// The time within which repeats are one event, in milliseconds.
const REPEAT_MS: i64 = 3_600_000;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SecurityEventKind {
    /// Somebody asked for what their token does not allow.
    Denied,
    /// A component asked for a server that it was not granted.
    EgressRefused,
    /// A token or an API key was not valid.
    SignInFailed,
    /// A limit or a quota was reached.
    LimitHit,
}

impl SecurityEventKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Denied, Self::EgressRefused, Self::SignInFailed, Self::LimitHit];

    /// The name in kebab case, such as `egress-refused`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::EgressRefused => "egress-refused",
            Self::SignInFailed => "sign-in-failed",
            Self::LimitHit => "limit-hit",
        }
    }
}

/// An event without its time: two that are equal are repeats of one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecurityEventKey {
    /// What happened.
    pub kind: SecurityEventKind,
    /// The token's id or the user; empty if nobody is known.
    pub actor: String,
    /// The address of the client; empty for a component.
    pub address: String,
    /// The component and environment that it is about, if it is about one.
    pub service: Option<(ComponentName, Environment)>,
    /// The object: the method and route, the server, or the name of the limit.
    pub subject: String,
    /// The code of the refusal.
    pub code: String,
}

impl SecurityEventKey {
    /// The id of the event at a time, in milliseconds since 1970: repeats within an hour have the same one on every
    /// host. Ids sort by the hour.
    #[must_use]
    pub fn id(&self, at_ms: i64) -> String {
        let mut hash = Sha256::new();
        let service = self.service.as_ref().map(|(component, environment)| (component.as_str(), environment.as_str()));
        let (component, environment) = service.unwrap_or_default();
        let kind = self.kind.as_str();
        for part in [kind, &self.actor, &self.address, component, environment, &self.subject, &self.code] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
        let mut id = format!("{:09}-", at_ms.div_euclid(REPEAT_MS).max(0));
        for byte in hash.finalize().iter().take(8) {
            let _ = write!(id, "{byte:02x}"); // writing to a String cannot fail
        }
        id
    }

    fn hash_of(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }

    fn bounded(mut self) -> Self {
        for text in [&mut self.actor, &mut self.address, &mut self.subject, &mut self.code] {
            text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
        }
        self
    }

    fn folded(kind: SecurityEventKind) -> Self {
        let (actor, subject) = (OTHERS.to_owned(), OTHERS.to_owned());
        Self { kind, actor, address: String::new(), service: None, subject, code: String::new() }
    }
}

/// How often an event happened, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repeats {
    /// How often.
    pub count: u64,
    /// The first time, in milliseconds since 1970.
    pub first_ms: i64,
    /// The last time, in milliseconds since 1970.
    pub last_ms: i64,
}

/// The events that were not stored yet, by tenant.
pub type PendingEvents = BTreeMap<TenantId, BTreeMap<SecurityEventKey, Repeats>>;

/// Gathers events until they are stored, within bounds: what is over them is counted and not told apart.
#[derive(Debug, Default)]
pub struct SecurityEvents {
    pending: PendingEvents,
    /// Events in `pending`.
    len: usize,
    /// The events of each tenant that were told apart within the window, by their hashes: one that goes on takes one
    /// place of [`TOLD_APART_MAX`], however often it is stored meanwhile.
    told_apart: BTreeMap<TenantId, HashSet<u64>>,
    window: i64,
    uncounted: u64,
}

impl SecurityEvents {
    /// Adds an event that happened `count` times until `now_ms`.
    pub fn add(&mut self, tenant: &TenantId, key: SecurityEventKey, count: u64, now_ms: i64) {
        let window = now_ms.div_euclid(WINDOW_MS);
        if window != self.window {
            self.window = window;
            self.told_apart.clear();
        }
        let key = key.bounded();
        let hash = key.hash_of();
        let told_apart = self.told_apart.get(tenant);
        let is_known = told_apart.is_some_and(|told_apart| told_apart.contains(&hash));
        let has_place = is_known || told_apart.is_none_or(|told_apart| told_apart.len() < TOLD_APART_MAX);
        let key = if has_place { key } else { SecurityEventKey::folded(key.kind) };
        let repeats = Repeats { count, first_ms: now_ms, last_ms: now_ms };
        if self.insert(tenant, key, repeats) && has_place && !is_known {
            self.told_apart.entry(tenant.clone()).or_default().insert(hash);
        }
    }

    /// The events so far, to be stored; those that follow are gathered anew.
    pub fn take(&mut self) -> PendingEvents {
        self.len = 0;
        std::mem::take(&mut self.pending)
    }

    /// Puts back what could not be stored.
    pub fn put_back(&mut self, events: PendingEvents) {
        for (tenant, of_tenant) in events {
            for (key, repeats) in of_tenant {
                self.insert(&tenant, key, repeats);
            }
        }
    }

    /// Counts an event, together with others if there is no room for it; says whether there is room for its tenant.
    fn insert(&mut self, tenant: &TenantId, key: SecurityEventKey, repeats: Repeats) -> bool {
        if !self.pending.contains_key(tenant) && self.pending.len() >= TENANTS_MAX {
            self.uncounted = self.uncounted.saturating_add(repeats.count);
            return false;
        }
        let of_tenant = self.pending.entry(tenant.clone()).or_default();
        let has_room = self.len < EVENTS_MAX || of_tenant.contains_key(&key);
        let key = if has_room { key } else { SecurityEventKey::folded(key.kind) };
        let before = of_tenant.len();
        let known = of_tenant.entry(key).or_insert(Repeats { count: 0, ..repeats });
        known.count = known.count.saturating_add(repeats.count);
        known.first_ms = known.first_ms.min(repeats.first_ms);
        known.last_ms = known.last_ms.max(repeats.last_ms);
        self.len += of_tenant.len() - before;
        true
    }

    /// Takes the number of events of more tenants than are gathered.
    pub fn take_uncounted(&mut self) -> u64 {
        std::mem::take(&mut self.uncounted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(name: &str) -> TenantId {
        name.parse().expect("a name")
    }

    fn denied(actor: &str) -> SecurityEventKey {
        let (actor, address) = (actor.to_owned(), "192.0.2.1".to_owned());
        let (subject, code) = ("GET /v1/tenants/acme/audit".to_owned(), "forbidden".to_owned());
        SecurityEventKey { kind: SecurityEventKind::Denied, actor, address, service: None, subject, code }
    }

    #[test]
    fn repeats_are_counted_and_not_listed() {
        let (mut events, acme) = (SecurityEvents::default(), tenant("acme"));
        for at in 0..1_000 {
            events.add(&acme, denied("a"), 1, at);
        }
        events.add(&acme, denied("b"), 3, 5);
        let taken = events.take();
        assert_eq!(taken[&acme][&denied("a")], Repeats { count: 1_000, first_ms: 0, last_ms: 999 });
        assert_eq!(taken[&acme][&denied("b")].count, 3);
        assert!(events.take().is_empty());
    }

    #[test]
    fn what_is_over_the_bound_is_counted_and_no_other_tenant_loses_by_it() {
        let (mut events, acme, other) = (SecurityEvents::default(), tenant("acme"), tenant("other"));
        for number in 0..10_000 {
            events.add(&acme, denied(&number.to_string()), 1, 0);
            if number % 100 == 0 {
                // What was stored meanwhile makes no room within the window.
                let of_acme = events.take();
                assert!(of_acme[&acme].len() <= TOLD_APART_MAX + 1);
                events.put_back(of_acme);
            }
        }
        events.add(&other, denied("x"), 1, 0);
        let taken = events.take();
        let of_acme = &taken[&acme];
        assert_eq!(of_acme.values().map(|repeats| repeats.count).sum::<u64>(), 10_000, "none is lost");
        assert!(of_acme.len() <= TOLD_APART_MAX + 1, "{}", of_acme.len());
        assert_eq!(taken[&other].len(), 1);
        events.add(&acme, denied("later"), 1, WINDOW_MS);
        assert!(events.take()[&acme].contains_key(&denied("later")), "the next minute has room");
    }

    #[test]
    fn beyond_the_bound_of_all_tenants_events_are_counted_together() {
        let mut events = SecurityEvents::default();
        let full = EVENTS_MAX / TOLD_APART_MAX;
        for of in 0..=full {
            let tenant = tenant(&format!("t{of}"));
            for number in 0..TOLD_APART_MAX {
                events.add(&tenant, denied(&number.to_string()), 1, 0);
            }
        }
        let taken = events.take();
        assert_eq!(taken.values().map(BTreeMap::len).sum::<usize>(), EVENTS_MAX + 1);
        let last = &taken[&tenant(&format!("t{full}"))];
        assert_eq!(last.values().map(|repeats| repeats.count).collect::<Vec<_>>(), [TOLD_APART_MAX as u64]);
    }

    #[test]
    fn further_tenants_than_are_gathered_are_counted() {
        let mut events = SecurityEvents::default();
        for number in 0..TENANTS_MAX + 5 {
            events.add(&tenant(&format!("t{number}")), denied("a"), 2, 0);
        }
        assert_eq!((events.take().len(), events.take_uncounted()), (TENANTS_MAX, 10));
        assert_eq!(events.take_uncounted(), 0, "they are told of once");
    }

    #[test]
    fn an_event_that_goes_on_takes_the_place_of_no_other() {
        let (mut events, acme) = (SecurityEvents::default(), tenant("acme"));
        // Stored each second: ten clients that try all the time, and one after the other that is new.
        for second in 0..60 {
            for client in 0..10 {
                events.add(&acme, denied(&format!("goes on {client}")), 5, second * 1_000);
            }
            events.add(&acme, denied(&format!("new {second}")), 1, second * 1_000);
            let of_acme = &events.take()[&acme];
            assert!(of_acme.contains_key(&denied(&format!("new {second}"))), "{second}: {of_acme:?}");
            assert_eq!(of_acme.len(), 11);
        }
    }

    #[test]
    fn an_hour_has_one_id_and_texts_are_bounded() {
        let key = denied("a");
        assert_eq!(key.id(0), key.id(REPEAT_MS - 1));
        assert!(key.id(0) < key.id(REPEAT_MS));
        assert_ne!(key.id(0), denied("b").id(0));
        let (mut events, acme) = (SecurityEvents::default(), tenant("acme"));
        events.add(&acme, SecurityEventKey { subject: "é".repeat(100_000), ..denied("a") }, 1, 0);
        let taken = events.take();
        let (key, _) = taken[&acme].first_key_value().expect("it is there");
        assert!(key.subject.len() <= TEXT_BYTES_MAX);
    }
}
