//! The trait that builds drafts, and whose turn it is. The program that opens the platform implements the trait, since
//! the platform knows no compiler itself.

use bytes::Bytes;
use elias_advisories::Package;
use elias_api::{Code, Diagnostic, Error, Result, VersionSettings};
use elias_names::{ComponentName, TenantId};
use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use tokio::sync::OwnedMutexGuard;

/// Builds of a tenant that are under way or wait for it.
const BUILDS_MAX: usize = 4;

/// The result of a build that came to its end.
#[derive(Debug, Default)]
pub struct BuiltDraft {
    /// The component; `None` if an error is among the diagnostics.
    pub component: Option<DraftComponent>,
    /// The errors and warnings about the sources.
    pub diagnostics: Vec<Diagnostic>,
}

/// A component that was built of a draft.
#[derive(Debug)]
pub struct DraftComponent {
    /// Its bytes.
    pub wasm: Bytes,
    /// What its elias.toml says, without `files`.
    pub settings: VersionSettings,
    /// The files that belong to it, by the path in the version: migrations and assets.
    pub files: BTreeMap<String, Bytes>,
}

/// Builds drafts. The command line provides it: the platform knows no compiler.
pub trait DraftBuilder: Send + Sync {
    /// The files of a new draft that starts from a template; `None` if there is no such template.
    fn template(&self, template: &str, draft: &ComponentName) -> Option<BTreeMap<String, String>>;

    /// The npm packages that a build of these files installs, by their lockfile, for the tenant's policy to look at.
    ///
    /// # Errors
    /// `bad-input` or `too-large` for a lockfile that is not taken.
    fn packages(&self, files: &BTreeMap<String, String>) -> Result<Vec<Package>>;

    /// Builds a project of these files, which are checked, within the limits of a build.
    ///
    /// # Errors
    /// `build-limit` if it takes more than it may, or does not end; `overloaded` if the host has no room for another
    /// build; `builds-unavailable` if packages cannot be fetched; `storage-failed`, `no-space-left`, `internal`. What
    /// is wrong with a source or a package is a diagnostic.
    fn build<'a>(&'a self, files: &'a BTreeMap<String, String>) -> BoxFuture<'a, Result<BuiltDraft>>;
}

/// Who builds: one build of a tenant at a time, and no tenant waits for another's.
#[derive(Debug, Default)]
pub(crate) struct BuildTurns(Mutex<HashMap<TenantId, Arc<tokio::sync::Mutex<()>>>>);

impl BuildTurns {
    /// Waits for the tenant's turn, which ends with the guard.
    ///
    /// # Errors
    /// `quota-exceeded` if as many builds of the tenant wait already as may.
    pub(crate) async fn turn(&self, tenant: &TenantId) -> Result<OwnedMutexGuard<()>> {
        let lock = {
            let mut all = self.0.lock();
            all.retain(|_, lock| Arc::strong_count(lock) > 1);
            let lock = all.entry(tenant.clone()).or_default();
            // One count is the map's own.
            if Arc::strong_count(lock) > BUILDS_MAX {
                let message =
                    format!("{BUILDS_MAX} builds of the tenant are under way or wait; try again when they end");
                return Err(Error::new(Code::QuotaExceeded, message));
            }
            Arc::clone(lock)
        };
        Ok(lock.lock_owned().await)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[tokio::test]
    async fn a_tenants_builds_wait_for_its_own_and_are_bounded() {
        let turns = BuildTurns::default();
        let (acme, other): (TenantId, TenantId) = ("acme".parse().expect("a name"), "other".parse().expect("a name"));
        let first = turns.turn(&acme).await.expect("nobody builds");
        let mut waiting: Vec<_> = (1..BUILDS_MAX).map(|_| Box::pin(turns.turn(&acme))).collect();
        for turn in &mut waiting {
            assert!(turn.as_mut().now_or_never().is_none(), "it waits for the first");
        }
        assert_eq!(turns.turn(&acme).await.expect_err("too many").code(), Code::QuotaExceeded);
        turns.turn(&other).now_or_never().expect("another tenant does not wait").expect("it builds");
        drop(first);
        let next = waiting.remove(0).now_or_never().expect("its turn").expect("it builds");
        drop((next, waiting));
        turns.turn(&acme).now_or_never().expect("nobody builds").expect("it builds");
        assert_eq!(turns.0.lock().len(), 1, "who does not build is forgotten");
    }
}
