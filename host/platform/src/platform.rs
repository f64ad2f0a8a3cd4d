//! The platform as the server and the command line see it.

use crate::access::{Access, AccessTarget, Permission, Principal};
use crate::advisories::Advisories;
use crate::artifacts::Artifacts;
use crate::config::{PlatformConfig, PublicScheme};
use crate::connector_state::ConnectorState;
use crate::draft_builder::BuildTurns;
use crate::flag_sets::FlagSets;
use crate::mail_limit::MailLimit;
use crate::notification_meters::NotificationMeters;
use crate::reports::Reports;
use crate::response_cache::ResponseCache;
use crate::series_state::SeriesState;
use crate::serving::{Release, ServiceSnapshot, Serving};
use crate::session::{Credential, Session};
use crate::triggers::Runner;
use crate::workers::WorkerRunner;
use elias_api::{Code, Error, Result};
use elias_contract::note::SigningKey;
use elias_names::{ServiceId, TenantId};
use elias_store::{ServiceTarget, Store, TargetFilter, TenantScope};
use serde_json::json;
use std::collections::BTreeMap;
use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use zeroize::Zeroizing;

/// Many teams' components on one host. Cloning it is cheap; its background work ends with the last clone.
#[derive(Clone)]
pub struct Platform {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) store: Store,
    pub(crate) artifacts: Artifacts,
    pub(crate) access: Arc<Access>,
    pub(crate) serving: Serving,
    /// The advisories about npm packages, if the host has a folder of them.
    pub(crate) advisories: Option<Advisories>,
    pub(crate) response_cache: Arc<ResponseCache>,
    /// The runner of schedules, jobs and events.
    pub(crate) runner: Arc<Runner>,
    /// The runner of service workers.
    pub(crate) workers: Arc<WorkerRunner>,
    pub(crate) connectors: ConnectorState,
    /// Whose draft is being built.
    pub(crate) builds: BuildTurns,
    /// The points of metrics that the store is to be told of.
    pub(crate) series: SeriesState,
    /// Held while the store is told of usage.
    pub(crate) usage_folding: tokio::sync::Mutex<()>,
    pub(crate) notification_meters: NotificationMeters,
    pub(crate) mail_limit: MailLimit,
    /// Failures on their way to servers for errors.
    pub(crate) reports: Arc<Reports>,
    pub(crate) config: PlatformConfig,
    /// Whether something was stored that is not served yet.
    pub(crate) behind: AtomicBool,
    /// Names this run of the host among those that share the store.
    pub(crate) run_id: String,
    /// Names the host among them, from start to start.
    pub(crate) host_id: String,
    /// Signs the checkpoints of the transparency log.
    pub(crate) log_key: SigningKey,
    /// Bytes of an artifact.
    pub(crate) artifact_bytes_max: u64,
    /// The port that requests come to, once the server listens.
    pub(crate) port: OnceLock<u16>,
    /// Held as long as the data directory is used.
    pub(crate) _lock: File,
}

impl Platform {
    pub(crate) fn of(inner: Arc<Inner>) -> Self {
        Self { inner }
    }

    /// The services of this host: the way of requests.
    #[must_use]
    pub fn serving(&self) -> &Serving {
        &self.inner.serving
    }

    /// The response cache of this host.
    #[must_use]
    pub fn response_cache(&self) -> &Arc<ResponseCache> {
        &self.inner.response_cache
    }

    pub(crate) fn runner(&self) -> &Arc<Runner> {
        &self.inner.runner
    }

    pub(crate) fn workers(&self) -> &Arc<WorkerRunner> {
        &self.inner.workers
    }

    pub(crate) fn flag_sets(&self) -> &FlagSets {
        &self.inner.config.flags
    }

    pub(crate) fn connectors(&self) -> &ConnectorState {
        &self.inner.connectors
    }

    pub(crate) fn series(&self) -> &SeriesState {
        &self.inner.series
    }

    pub(crate) fn notification_meters(&self) -> &NotificationMeters {
        &self.inner.notification_meters
    }

    pub(crate) fn mail_limit(&self) -> &MailLimit {
        &self.inner.mail_limit
    }

    pub(crate) fn reports(&self) -> &Reports {
        &self.inner.reports
    }

    pub(crate) fn access(&self) -> &Access {
        &self.inner.access
    }

    pub(crate) fn advisories(&self) -> Option<&Advisories> {
        self.inner.advisories.as_ref()
    }

    pub(crate) fn artifact_bytes_max(&self) -> u64 {
        self.inner.artifact_bytes_max
    }

    pub(crate) fn config(&self) -> &PlatformConfig {
        &self.inner.config
    }

    /// Names this run of the host. Positions in what is [followed](crate::Follower) are those of one run.
    #[must_use]
    pub fn run_id(&self) -> &str {
        &self.inner.run_id
    }

    pub(crate) fn host_id(&self) -> &str {
        &self.inner.host_id
    }

    pub(crate) fn log_signing_key(&self) -> &SigningKey {
        &self.inner.log_key
    }

    /// The store, for operations that have no method here. The caller has checked the permission.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    /// The artifacts.
    #[must_use]
    pub fn artifacts(&self) -> &Artifacts {
        &self.inner.artifacts
    }

    /// The domain of the services' own hosts.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.inner.config.domain
    }

    /// Says which port requests come to, for the URLs that people are shown. Said once.
    pub fn listens_on(&self, port: u16) {
        let _ = self.inner.port.set(port);
    }

    /// The URL of a host of the domain, if it is known how that is reached.
    pub(crate) fn url_of(&self, host: &str) -> Option<String> {
        let listening = || Some(PublicScheme { scheme: "http".to_owned(), port: Some(*self.inner.port.get()?) });
        self.inner.config.public.clone().or_else(listening).map(|public| public.url(host))
    }

    /// Authenticates a token, as sent after `Bearer`.
    ///
    /// # Errors
    /// `unauthenticated`; `store-unavailable` if the store is away and the token was not seen lately.
    pub async fn authenticate(&self, token: &str, address: impl Into<String>) -> Result<Session> {
        let address = address.into();
        let principal = self.inner.access.authenticate(token, &address).await?;
        let credential = Some(Credential(Arc::new(Zeroizing::new(token.to_owned()))));
        let session = Session { principal, address, credential };
        let Principal { tenant, given, user_id, .. } = &*session.principal;
        let details = || json!({ "role": given.to_string(), "user": user_id });
        self.access().security().signed_in(tenant, &session.actor(), details);
        Ok(session)
    }

    /// Whether a session may still do what it was found to be allowed: its token was not revoked and has not expired,
    /// on whatever host that happened, and its role has not changed. For who stays, to be asked about each second.
    ///
    /// # Errors
    /// `unauthenticated`, `token-expired`, `forbidden`; `store-unavailable` only if the token was not seen lately.
    pub async fn confirm(
        &self,
        session: &Session,
        permission: Permission,
        tenant: &TenantId,
        about: impl Into<AccessTarget<'_>>,
    ) -> Result<()> {
        let about = about.into();
        match &session.credential {
            None => session.require(permission, tenant, about),
            Some(Credential(token)) => {
                let principal = self.inner.access.confirm(token, &session.address).await?;
                principal.require(permission, tenant, about, &session.address)
            }
        }
    }

    /// A transaction that reads what is a tenant's.
    ///
    /// # Errors
    /// `forbidden`, `store-unavailable`.
    pub async fn read(
        &self,
        session: &Session,
        permission: Permission,
        tenant: &TenantId,
        about: impl Into<AccessTarget<'_>>,
    ) -> Result<TenantScope> {
        session.require(permission, tenant, about)?;
        Ok(self.store().read(tenant).await?)
    }

    /// A transaction that changes what is a tenant's.
    ///
    /// # Errors
    /// `forbidden`, `store-unavailable`.
    pub async fn write(
        &self,
        session: &Session,
        permission: Permission,
        tenant: &TenantId,
        about: impl Into<AccessTarget<'_>>,
    ) -> Result<TenantScope> {
        session.require(permission, tenant, about)?;
        Ok(self.store().write(tenant).await?)
    }

    /// A service's secrets, sealed.
    pub(crate) async fn sealed_secrets(&self, id: &ServiceId) -> Result<BTreeMap<String, String>> {
        Ok(self.store().read(&id.tenant).await?.secrets(id).await?.into_iter().collect())
    }

    /// The target of a service in the store.
    pub(crate) async fn serving_target(
        &self,
        id: &ServiceId,
        service: Option<&elias_api::Service>,
    ) -> Result<Option<ServiceTarget>> {
        if service.is_none() {
            return Ok(None);
        }
        Ok(self.store().host_read().await?.target(id).await?)
    }

    /// Serves what the store says of a service, by releases that are loaded already where `warm` has them.
    pub(crate) async fn follow_store(&self, id: &ServiceId, warm: &[Arc<Release>]) -> Result<()> {
        let unserved = UnservedChange(&self.inner.behind);
        // Read under the lock: what is served last was read last.
        let turn = self.serving().turn().await;
        if let Some(target) = self.store().host_read().await?.target(id).await? {
            self.serving().serve(target, warm, &turn).await?;
        }
        std::mem::forget(unserved);
        Ok(())
    }

    /// Whether the store may have been ahead of the served state since the last call.
    pub(crate) fn was_behind(&self) -> bool {
        self.inner.behind.swap(false, Ordering::Relaxed)
    }

    /// Serves what the store says of all services.
    pub(crate) async fn refresh(&self) -> Result<()> {
        self.follow(TargetFilter::All).await
    }

    /// Serves what the store says of services that changed after the change `seen`, up to the change `latest`.
    pub(crate) async fn follow_changes(&self, seen: i64, latest: i64) -> Result<()> {
        if self.store().host_read().await?.latest_known_change().await? < latest {
            return self.refresh().await;
        }
        self.follow(TargetFilter::ChangedAfter(seen)).await
    }

    /// Serves what the store says of a tenant's services.
    pub(crate) async fn follow_tenant(&self, tenant: &TenantId) -> Result<()> {
        self.follow(TargetFilter::OfTenant(tenant)).await
    }

    async fn follow(&self, wanted: TargetFilter<'_>) -> Result<()> {
        let unserved = UnservedChange(&self.inner.behind);
        let turn = self.serving().turn().await;
        let mut scope = self.store().host_read().await?;
        let deleted = scope.deleted_tenants(wanted).await?;
        let targets = scope.targets(wanted).await?;
        drop(scope);
        let snapshots = targets.into_iter().map(|target| match self.serving().service(&target.id) {
            // Told later: it is newer than what the store says.
            Some(service) if service.state().snapshot.pending => service.state().snapshot.clone(),
            _ => ServiceSnapshot::new(target),
        });
        self.serving().serve_snapshots(snapshots.collect(), &deleted, &[], &turn).await?;
        std::mem::forget(unserved);
        Ok(())
    }
}

/// Refuses a change of a record that is no longer at the revision `wanted`.
///
/// # Errors
/// `stale`.
pub(crate) fn check_revision(what: &str, id: &str, wanted: Option<u64>, is: u64) -> Result<()> {
    if wanted.is_some_and(|wanted| wanted != is) {
        return Err(Error::new(Code::Stale, format!("the {what} {id} was changed meanwhile: read it again")));
    }
    Ok(())
}

/// Something that is stored and not served yet. Dropped, it says that the store is ahead, for `maintenance` to look
/// again.
struct UnservedChange<'a>(&'a AtomicBool);

impl Drop for UnservedChange<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
