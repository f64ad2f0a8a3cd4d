//! The platform as the server and the command line see it.

use crate::access::{About, Access, Permission};
use crate::answers::Answers;
use crate::artifacts::Artifacts;
use crate::config::PlatformConfig;
use crate::error::{Code, Error, Result};
use crate::log;
use crate::maintenance;
use crate::name::{ServiceId, TenantId};
use crate::packages::Advisories;
use crate::recorder::Recorder;
use crate::serving::{Around, Extent, Known, KnownFiles, Loader, Proofs, Release, Serving, compiling};
use crate::session::Session;
use crate::store::{self, Store, TenantScope, Wanted};
use crate::vault::Vault;
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use elias_contract::note::SigningKey;
use elias_host::{Host, Limits};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;

/// The tenant that is there from the start, for a host with one team.
pub const DEFAULT_TENANT: &str = "default";

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
    answers: Arc<Answers>,
    config: PlatformConfig,
    /// Whether something was stored that is not served yet.
    behind: AtomicBool,
    /// Names this run of the host among those that share the store.
    run_id: String,
    /// Signs the checkpoints of the transparency log.
    log_key: SigningKey,
    /// Bytes of an artifact.
    artifact_bytes_max: u64,
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
        std::fs::create_dir_all(&config.data_dir)?;
        let lock = lock(&config.data_dir)?;
        let dir = Dir::open_ambient_dir(&config.data_dir, ambient_authority())?;
        let store = Store::open(&config.data_dir, config.store.as_deref())?;
        let sub = |name: &str| -> Result<Dir> {
            dir.create_dir_all(name)?;
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
            host,
            limits,
            artifacts: artifacts.clone(),
            vault: Vault::open(&dir)?,
            proofs,
            files: sub("files")?,
            files_path: config.data_dir.join("files"),
            compile_timeout: Duration::from_millis(config.compile_timeout_ms),
            compiling: compiling(Duration::from_millis(config.compile_timeout_ms)),
        };
        let (recorder, recording) = Recorder::new(store.clone());
        let (steering, steers) = mpsc::unbounded_channel();
        let keys = Arc::clone(&access);
        let api_keys = Box::new(move |service: &ServiceId| keys.api_keys(service));
        let around = Around { domain: config.domain.clone(), api_keys, artifacts: artifacts.clone() };
        let known = KnownFiles::open(sub("services")?);
        let serving = Serving::new(loader, known, recorder, around, steering);
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
            answers: Answers::new(),
            config,
            run_id: ulid::Ulid::new().to_string(),
            log_key,
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

    /// Serves what the store says, else what is known.
    async fn begin(&self) -> Result<()> {
        let known = self.serving().known.all()?;
        match self.targets(&known).await {
            Ok(all) => self.serving().serve_known(all, &Extent::Host, &known, &self.serving().turn().await).await,
            Err(error) if error.code() == Code::StoreUnavailable && !known.is_empty() => {
                tracing::error!(%error, services = known.len(), "the store is away: serving what is known");
                self.serving().serve_known(known.clone(), &Extent::Host, &known, &self.serving().turn().await).await
            }
            Err(error) => Err(error),
        }
    }

    /// What the store says is to be served, with what is known of the past.
    async fn targets(&self, known: &[Known]) -> Result<Vec<Known>> {
        let mut scope = self.inner.store.host_write().await?;
        scope.ensure_tenant(&DEFAULT_TENANT.parse()?).await?;
        scope.commit().await?;
        let targets = self.inner.store.host_read().await?.targets(Wanted::All).await?;
        let mut past: HashMap<&ServiceId, &Known> = known.iter().map(|known| (&known.target.id, known)).collect();
        Ok(targets
            .into_iter()
            .map(|target| match past.remove(&target.id) {
                Some(known) if known.pending && known.target.revision == target.revision => known.clone(),
                Some(known) => known.then(target),
                None => Known::first(target),
            })
            .collect())
    }

    pub(crate) fn of(inner: Arc<Inner>) -> Self {
        Self { inner }
    }

    pub(crate) fn serving(&self) -> &Serving {
        &self.inner.serving
    }

    pub(crate) fn answers(&self) -> &Arc<Answers> {
        &self.inner.answers
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

    /// Waits until what ran so far is recorded, for the end of the process. A store that is away is not waited for.
    pub async fn flush(&self) {
        maintenance::flush(self).await;
    }

    /// Whose token this is, as sent after `Bearer`.
    ///
    /// # Errors
    /// `unauthenticated`; `store-unavailable` if the store is away and the token was not seen lately.
    pub async fn authenticate(&self, token: &str, address: impl Into<String>) -> Result<Session> {
        let address = address.into();
        Ok(Session { principal: self.inner.access.authenticate(token, &address).await?, address })
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
        self.store().read(tenant).await
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
        self.store().write(tenant).await
    }

    /// A service's secrets, sealed.
    pub(crate) async fn sealed_secrets(&self, id: &ServiceId) -> Result<BTreeMap<String, String>> {
        Ok(self.store().read(&id.tenant).await?.secrets(id).await?.into_iter().collect())
    }

    /// What the store says that a service serves.
    pub(crate) async fn serving_target(
        &self,
        id: &ServiceId,
        service: Option<&store::Service>,
    ) -> Result<Option<store::ServiceTarget>> {
        if service.is_none() {
            return Ok(None);
        }
        self.store().host_read().await?.target(id).await
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
        let extent = match wanted {
            Wanted::All => Extent::Host,
            Wanted::ChangedAfter(change) => Extent::Tenants(scope.tenants_changed_after(change).await?),
            Wanted::OfTenant(tenant) => Extent::Tenants(HashSet::from([tenant.clone()])),
            Wanted::Of(_) => Extent::Tenants(HashSet::new()),
        };
        let targets = scope.targets(wanted).await?;
        drop(scope);
        let known = targets.into_iter().map(|target| match self.serving().service(&target.id) {
            // Told later: it is newer than what the store says.
            Some(service) if service.state().known.pending => service.state().known.clone(),
            _ => Known::first(target),
        });
        self.serving().serve_known(known.collect(), &extent, &[], &turn).await?;
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
fn lock(data_dir: &Path) -> Result<File> {
    let file = File::options().create(true).truncate(false).write(true).open(data_dir.join("lock"))?;
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
