//! The platform as the server and the command line see it.

use crate::access::{About, Access, Permission};
use crate::advisories::Advisories;
use crate::artifacts::Artifacts;
use crate::ceilings::Ceilings;
use crate::config::{PlatformConfig, PublicScheme};
use crate::log;
use crate::maintenance;
use crate::peers;
use crate::private;
use crate::recorder::Recorder;
use crate::response_cache::ResponseCache;
use crate::serving::{Around, Loader, Proofs, Release, ServiceSnapshot, Serving, SnapshotStore, compile_queue};
use crate::session::{Credential, Session};
use crate::vault::Vault;
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use elias_api::DEFAULT_TENANT;
use elias_api::{Code, Error, Result};
use elias_contract::note::SigningKey;
use elias_host::{Host, Limits};
use elias_names::{ServiceId, TenantId};
use elias_store::ServiceTarget;
use elias_store::{self, Store, TenantScope, Wanted};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::mpsc;
use zeroize::Zeroizing;

/// Many teams' components on one host. Cloning it is cheap; its background work ends with the last clone.
#[derive(Clone)]
pub struct Platform {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    store: Store,
    artifacts: Artifacts,
    access: Arc<Access>,
    serving: Serving,
    /// What is known to be wrong with npm packages, if the host is told.
    advisories: Option<Advisories>,
    response_cache: Arc<ResponseCache>,
    config: PlatformConfig,
    /// Whether something was stored that is not served yet.
    behind: AtomicBool,
    /// Names this run of the host among those that share the store.
    run_id: String,
    /// Names the host among them, from start to start.
    host_id: String,
    /// Signs the checkpoints of the transparency log.
    log_key: SigningKey,
    /// Bytes of an artifact.
    artifact_bytes_max: u64,
    /// The port that requests come to, once the server listens.
    port: OnceLock<u16>,
    /// Held as long as the data directory is used.
    _lock: File,
}

impl Platform {
    /// Opens a platform in its data directory, and serves what is deployed. If the store is away, it serves what it knows, and follows the store
    /// when that is back.
    ///
    /// # Errors
    /// `in-use` if another process has the data directory, `storage-failed`, `bad-input`, also for advisories that cannot be read; `store-unavailable` if the
    /// store is away and nothing is known.
    pub async fn open(config: PlatformConfig, host: Host, limits: Limits) -> Result<Self> {
        private::create_folder(&config.data_dir)?;
        let lock = lock(&config.data_dir)?;
        private::restrict(&config.data_dir)?;
        let dir = Dir::open_ambient_dir(&config.data_dir, ambient_authority())?;
        let store = Store::open(&config.data_dir, config.store.as_deref())?;
        if config.abandon_former_store {
            store.abandon_former().await?;
        }
        let sub = |name: &str| -> Result<Dir> {
            private::create_folder(&config.data_dir.join(name))?;
            Ok(dir.open_dir(name)?)
        };
        let artifacts = Artifacts::open(sub("artifacts")?, config.artifacts.as_deref())?;
        let access = Arc::new(Access::open(store.clone(), &dir, config.oidc.as_ref())?);
        let artifact_bytes_max = limits.component_bytes;
        let log_key = log::open_key(&dir, &config.log_origin)?;
        let proofs = if config.require_log {
            Some(Proofs::open(sub("proofs")?, store.clone(), log::open_key(&dir, &config.log_origin)?)?)
        } else {
            None
        };
        let loader = Loader {
            ceilings: Ceilings::new(&host, &limits, &config.ceilings)?,
            host,
            limits,
            artifacts: artifacts.clone(),
            vault: Vault::open(&dir)?,
            proofs,
            files: sub("files")?,
            files_path: config.data_dir.join("files"),
            compile_timeout: Duration::from_millis(config.compile_timeout_ms),
            compiling: compile_queue(Duration::from_millis(config.compile_timeout_ms)),
        };
        let (recorder, recording) = Recorder::new(store.clone());
        let (steering, steers) = mpsc::unbounded_channel();
        let keys = Arc::clone(&access);
        let api_keys = Box::new(move |service: &ServiceId| keys.api_keys(service));
        let around = Around { domain: config.domain.clone(), api_keys, artifacts: artifacts.clone() };
        let snapshots = SnapshotStore::open(sub("services")?);
        let serving = Serving::new(loader, snapshots, recorder, around, steering);
        let advisories = match config.advisories.clone() {
            Some(path) => Some(Advisories::open(path).await?),
            None => None,
        };
        let inner = Inner {
            store,
            artifacts,
            access,
            serving,
            advisories,
            response_cache: ResponseCache::new(),
            config,
            run_id: ulid::Ulid::new().to_string(),
            host_id: peers::host_id(&dir)?,
            log_key,
            port: OnceLock::new(),
            behind: AtomicBool::new(false),
            artifact_bytes_max,
            _lock: lock,
        };
        let platform = Self { inner: Arc::new(inner) };
        platform.begin().await?;
        tokio::spawn(recording);
        maintenance::start(&platform.inner, steers);
        Ok(platform)
    }

    /// Serves what the store says or, while it is unavailable, the snapshots. Services that the store does not know go
    /// on serving.
    async fn begin(&self) -> Result<()> {
        let snapshots = self.serving().snapshots.all()?;
        match self.targets(&snapshots).await {
            Ok((all, deleted)) => {
                self.serving().serve_snapshots(all, &deleted, &snapshots, &self.serving().turn().await).await?;
                self.tell_of_artifacts();
                let key = self.log_key();
                match self.store().set_log_key(&key).await {
                    Ok(None) => {}
                    Ok(Some(before)) => {
                        tracing::warn!(
                            %key, %before,
                            "this host signs the transparency log with another key than before"
                        );
                    }
                    Err(error) => tracing::warn!(%error, "the public key of the transparency log cannot be stored"),
                }
                Ok(())
            }
            Err(error) if error.code() == Code::StoreUnavailable && !snapshots.is_empty() => {
                tracing::error!(
                    %error, services = snapshots.len(),
                    "started without the store; serving the last known versions"
                );
                let turn = self.serving().turn().await;
                self.serving().serve_snapshots(snapshots.clone(), &HashSet::new(), &snapshots, &turn).await
            }
            Err(error) => Err(error),
        }
    }

    /// What the store says is to be served, with the history of the snapshots, and what only this host knows; and the
    /// tenants that were deleted.
    async fn targets(&self, snapshots: &[ServiceSnapshot]) -> Result<(Vec<ServiceSnapshot>, HashSet<TenantId>)> {
        let mut scope = self.inner.store.host_write().await?;
        scope.ensure_tenant(&DEFAULT_TENANT.parse()?).await?;
        scope.commit().await?;
        let mut scope = self.inner.store.host_read().await?;
        let targets = scope.targets(Wanted::All).await?;
        let deleted = scope.deleted_tenants(Wanted::All).await?;
        drop(scope);
        let mut past: HashMap<&ServiceId, &ServiceSnapshot> =
            snapshots.iter().map(|snapshot| (&snapshot.target.id, snapshot)).collect();
        let stored = targets.into_iter().map(|target| match past.remove(&target.id) {
            // The store is told of what was done here; if somebody has deployed meanwhile, that stands, and this host
            // follows it then.
            Some(snapshot) if snapshot.pending => snapshot.clone(),
            Some(snapshot) => snapshot.with_target(target),
            None => ServiceSnapshot::new(target),
        });
        let mut all: Vec<_> = stored.collect();
        for (id, snapshot) in past {
            if !deleted.contains(&id.tenant) {
                tracing::error!(
                    service = %id,
                    "the store does not have this service; this host keeps serving its last known version; run `elias \
                     doctor`"
                );
                all.push(snapshot.clone());
            }
        }
        Ok((all, deleted))
    }

    pub(crate) fn of(inner: Arc<Inner>) -> Self {
        Self { inner }
    }

    pub(crate) fn serving(&self) -> &Serving {
        &self.inner.serving
    }

    pub(crate) fn response_cache(&self) -> &Arc<ResponseCache> {
        &self.inner.response_cache
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

    pub(crate) fn run_id(&self) -> &str {
        &self.inner.run_id
    }

    pub(crate) fn host_id(&self) -> &str {
        &self.inner.host_id
    }

    pub(crate) fn log_signing_key(&self) -> &SigningKey {
        &self.inner.log_key
    }

    /// The store: for what no method here is about. Whoever uses it has checked who asks.
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

    /// Waits until what ran so far is recorded, for the end of the process. A store that is away is not waited for.
    pub async fn flush(&self) {
        maintenance::flush(self).await;
    }

    /// Authenticates a token, as sent after `Bearer`.
    ///
    /// # Errors
    /// `unauthenticated`; `store-unavailable` if the store is away and the token was not seen lately.
    pub async fn authenticate(&self, token: &str, address: impl Into<String>) -> Result<Session> {
        let address = address.into();
        let principal = self.inner.access.authenticate(token, &address).await?;
        let credential = Some(Credential(Arc::new(Zeroizing::new(token.to_owned()))));
        Ok(Session { principal, address, credential })
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
        about: impl Into<About<'_>>,
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
        about: impl Into<About<'_>>,
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
        about: impl Into<About<'_>>,
    ) -> Result<TenantScope> {
        session.require(permission, tenant, about)?;
        Ok(self.store().write(tenant).await?)
    }

    /// A service's secrets, sealed.
    pub(crate) async fn sealed_secrets(&self, id: &ServiceId) -> Result<BTreeMap<String, String>> {
        Ok(self.store().read(&id.tenant).await?.secrets(id).await?.into_iter().collect())
    }

    /// What the store says that a service serves.
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
        let unserved = Unserved(&self.inner.behind);
        // Read under the lock: what is served last was read last.
        let turn = self.serving().turn().await;
        if let Some(target) = self.store().host_read().await?.target(id).await? {
            self.serving().serve(target, warm, &turn).await?;
        }
        std::mem::forget(unserved);
        Ok(())
    }

    /// Whether the store may be ahead of what is served, since this was asked last.
    pub(crate) fn was_behind(&self) -> bool {
        self.inner.behind.swap(false, Ordering::Relaxed)
    }

    /// Serves what the store says of all services.
    pub(crate) async fn refresh(&self) -> Result<()> {
        self.follow(Wanted::All).await
    }

    /// Serves what the store says of services that changed after the change `seen`, up to the change `latest`.
    pub(crate) async fn follow_changes(&self, seen: i64, latest: i64) -> Result<()> {
        if self.store().host_read().await?.latest_known_change().await? < latest {
            return self.refresh().await;
        }
        self.follow(Wanted::ChangedAfter(seen)).await
    }

    /// Serves what the store says of a tenant's services.
    pub(crate) async fn follow_tenant(&self, tenant: &TenantId) -> Result<()> {
        self.follow(Wanted::OfTenant(tenant)).await
    }

    async fn follow(&self, wanted: Wanted<'_>) -> Result<()> {
        let unserved = Unserved(&self.inner.behind);
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

/// Something that is stored and not served yet. Dropped, it says that the store is ahead, for `maintenance` to look again.
struct Unserved<'a>(&'a AtomicBool);

impl Drop for Unserved<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Keeps other processes out of the data directory. The system lets go of it when the process ends, however it ends.
pub(crate) fn lock(data_dir: &Path) -> Result<File> {
    let file = {
        let mut options = File::options();
        OpenOptionsExt::mode(options.create(true).truncate(false).write(true), 0o600).open(data_dir.join("lock"))?
    };
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => {
            let message =
                format!("another process serves from the data directory {}; stop it first", data_dir.display());
            Err(Error::new(Code::InUse, message))
        }
        Err(std::fs::TryLockError::Error(error)) => Err(error.into()),
    }
}
