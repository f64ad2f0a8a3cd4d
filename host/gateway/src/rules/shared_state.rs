//! What the versions of a service have in common.

use crate::auth::{JwtRules, JwtVerifier};
use crate::rate_limit::{Limiter, RateLimit};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Weak};

/// The state that the versions of a service share: a new version continues the rate limits of callers and has the keys
/// for tokens at once. One for each service.
#[derive(Debug, Default)]
pub struct SharedState {
    pub(super) limiters: Mutex<HashMap<RateLimit, Weak<Limiter>>>,
    verifiers: Mutex<HashMap<JwtRules, Weak<JwtVerifier>>>,
}

impl SharedState {
    /// The verifiers of tokens, for the part of the host that fetches keys.
    #[must_use]
    pub fn verifiers(&self) -> Vec<Arc<JwtVerifier>> {
        let verifiers = self.verifiers.lock();
        verifiers.values().filter_map(Weak::upgrade).collect()
    }

    /// The limiter of a limit, with what it has counted.
    pub(super) fn limiter(&self, limit: &RateLimit) -> Arc<Limiter> {
        get_or_insert(&self.limiters, limit, Limiter::new)
    }

    /// The verifier of tokens by these rules, with the keys that it has.
    pub(super) fn verifier(&self, rules: &JwtRules) -> Arc<JwtVerifier> {
        get_or_insert(&self.verifiers, rules, |rules| JwtVerifier::new(rules.clone()))
    }
}

/// The value in use for a key, else a new one. Values that are no longer in use are removed.
fn get_or_insert<K: Eq + Hash + Clone, V>(
    map: &Mutex<HashMap<K, Weak<V>>>,
    key: &K,
    make: impl FnOnce(&K) -> V,
) -> Arc<V> {
    let mut map = map.lock();
    map.retain(|_, value| value.strong_count() > 0);
    if let Some(value) = map.get(key).and_then(Weak::upgrade) {
        return value;
    }
    let value = Arc::new(make(key));
    map.insert(key.clone(), Arc::downgrade(&value));
    value
}
