//! The other hosts on the same store: whether all of them can load an artifact that was uploaded to one.

use crate::platform::Platform;
use crate::platform_events;
use crate::vault::read_or_make;
use cap_std::fs::Dir;
use elias_api::Result;
use elias_store::{HostEntry, now_ms};
use std::time::Duration;
use tokio::time::timeout;

/// The file with the name of a host, which stays the same from start to start.
const HOST_FILE: &str = "host-id";
/// A host that was not seen for so long is gone.
const GONE_AFTER_MS: i64 = 60_000;
/// Rows of hosts that are gone are kept for a day, for whoever looks.
const FORGOTTEN_AFTER_MS: i64 = 24 * 3600 * 1000;
/// How long the start and the end of the process wait for the store to take an event about that.
const TELL_MAX: Duration = Duration::from_secs(3);

/// The name of the host with this data directory; made if it has none.
pub(crate) fn host_id(folder: &Dir) -> Result<String> {
    Ok(read_or_make(folder, HOST_FILE, || ulid::Ulid::new().to_string())?.trim().to_owned())
}

impl Platform {
    fn host_entry(&self) -> HostEntry {
        HostEntry {
            id: self.host_id().to_owned(),
            artifacts: self.config().artifacts.clone().unwrap_or_default(),
            key_id: self.serving().loader.vault.key_id().to_owned(),
        }
    }

    /// A host that serves from this store and encrypts with another key than this one, or does not say with which.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub(crate) async fn host_with_other_key(&self) -> Result<Option<String>> {
        if !self.store().is_shared() {
            return Ok(None);
        }
        let since = now_ms().saturating_sub(GONE_AFTER_MS);
        Ok(with_other_key(&self.host_entry(), self.store().host_read().await?.hosts(since).await?))
    }

    /// Says in a shared store that this host serves from it, and finds out what keeps it from sharing what it serves.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub(crate) async fn meet_hosts(&self) -> Result<Option<String>> {
        if !self.store().is_shared() {
            return Ok(None);
        }
        let (now, own) = (now_ms(), self.host_entry());
        let mut scope = self.store().host_write().await?;
        scope.host_seen(&own, now, now.saturating_sub(FORGOTTEN_AFTER_MS)).await?;
        let hosts = scope.hosts(now.saturating_sub(GONE_AFTER_MS)).await?;
        scope.commit().await?;
        Ok(unshared(&own, &hosts))
    }

    /// Publishes that this host starts or ends. A store that is away is not waited for.
    pub(crate) async fn tell_of_node(&self, event_type: &str) {
        let told = platform_events::tell_of_node(self.store(), event_type, self.host_id());
        match timeout(TELL_MAX, told).await {
            Ok(Ok(())) => self.runner().look(),
            Ok(Err(error)) => tracing::debug!(%error, event_type, "an event about this host was not published"),
            Err(_) => tracing::debug!(event_type, "an event about this host was not published in time"),
        }
    }

    /// Takes this host out of those that serve, at its end.
    pub(crate) async fn leave_hosts(&self) -> Result<()> {
        if !self.store().is_shared() {
            return Ok(());
        }
        let mut scope = self.store().host_write().await?;
        scope.host_gone(self.host_id()).await?;
        Ok(scope.commit().await?)
    }

    /// Logs at the start why components will not be found: other hosts have their artifacts, or no host has.
    pub(crate) fn tell_of_artifacts(&self) {
        if self.config().artifacts.is_some() {
            return; // what is missing is fetched
        }
        let table = self.serving().table.load_full();
        let services = table.services.values();
        let missing = |service: &&std::sync::Arc<crate::serving::Service>| {
            self.artifacts().bytes(&service.state().snapshot.target.release.digest).is_none()
        };
        let missing: Vec<_> = services.filter(missing).map(|service| service.id.to_string()).collect();
        if let Some(first) = missing.first() {
            let (count, all) = (missing.len(), table.services.len());
            let mend = if self.store().is_shared() {
                "start all hosts on this store with the same --artifacts s3://BUCKET, or deploy them again"
            } else {
                "put the folder `artifacts` back, or deploy them again"
            };
            tracing::error!(
                "the components of {count} of {all} services are not on this host, such as that of {first}; their \
                 requests get 503: {mend}"
            );
        }
    }
}

fn with_other_key(own: &HostEntry, hosts: Vec<HostEntry>) -> Option<String> {
    hosts.into_iter().find(|host| host.id != own.id && host.key_id != own.key_id).map(|host| host.id)
}

/// Why hosts cannot share what they serve.
fn unshared(own: &HostEntry, hosts: &[HostEntry]) -> Option<String> {
    let place = |host: &HostEntry| {
        if host.artifacts.is_empty() { "on its own disk".to_owned() } else { format!("in {}", host.artifacts) }
    };
    let apart = |host: &&HostEntry| host.id != own.id && (host.artifacts != own.artifacts || own.artifacts.is_empty());
    let other = hosts.iter().find(apart)?;
    let (own_place, other_place, other_id) = (place(own), place(other), &other.id);
    let count = hosts.len();
    Some(format!(
        "{count} hosts serve from this store and do not share their artifacts: this host has them {own_place}, the \
        host {other_id} {other_place}. \
         Components that are uploaded to one respond 503 on another: start all with the same --artifacts s3://BUCKET"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_share_what_they_serve_by_one_bucket_and_not_otherwise() {
        let host = |id: &str, artifacts: &str| HostEntry {
            id: id.to_owned(),
            artifacts: artifacts.to_owned(),
            key_id: "key".to_owned(),
        };
        for (own, other, shared) in [
            ("s3://a", "s3://a", true),
            ("s3://a", "s3://b", false),
            ("", "", false),
            ("s3://a", "", false),
            ("", "s3://a", false),
        ] {
            let own = host("1", own);
            let hosts = [own.clone(), host("2", other)];
            let why = unshared(&own, &hosts);
            assert_eq!(why.is_none(), shared, "{own:?} {other}: {why:?}");
            assert!(why.is_none_or(|why| why.contains("--artifacts") && why.contains("2 hosts")));
            assert_eq!(unshared(&own, &hosts[..1]), None, "alone it has nobody to share with");
        }
    }

    #[test]
    fn a_host_with_another_key_is_found_also_if_it_does_not_say_which() {
        let host =
            |id: &str, key: &str| HostEntry { id: id.to_owned(), artifacts: String::new(), key_id: key.to_owned() };
        let own = host("1", "new");
        for (other, is_found) in [("new", false), ("old", true), ("", true)] {
            let found = with_other_key(&own, vec![own.clone(), host("2", other)]);
            assert_eq!(found.as_deref(), is_found.then_some("2"), "{other}");
        }
        // What it was before its own key was exchanged is itself.
        assert_eq!(with_other_key(&own, vec![host("1", "old")]), None);
    }
}
