//! The platform as the server and the command line see it.

use crate::access::{Access, NewToken, Permission, TokenWithSecret};
use crate::artifacts::Artifacts;
use crate::config::PlatformConfig;
use crate::error::{Code, Error, Result};
use crate::log;
use crate::maintenance;
use crate::name::{ComponentName, Digest, ServiceId, TenantId};
use crate::recorder::Recorder;
use crate::serving::{
    Around, FollowedLine, Known, KnownFiles, Loader, NotAdmitted, Release, Route, Service, Serving, Ticket,
};
use crate::session::Session;
use crate::store::{self, Store, Tenant, TenantScope, TenantSettings};
use crate::vault::{SECRET_BYTES_MAX, Vault};
use bytes::Bytes;
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use elias_contract::note::SigningKey;
use elias_gateway::{Admitted, Client, Identity, Rules, Stop};
use elias_host::{Host, Limits};
use futures::Stream;
use http::HeaderMap;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{Semaphore, broadcast, mpsc};

/// The tenant that is there from the start, for a host with one team.
pub const DEFAULT_TENANT: &str = "default";

/// Secrets of a tenant.
const SECRETS_MAX: u32 = 10_000;

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
    config: PlatformConfig,
    /// Whether something was stored that is not served yet.
    behind: AtomicBool,
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
    /// `in-use` if another process has the data directory, `storage-failed`, `bad-input`; `store-unavailable` if the store is away and nothing is
    /// known.
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
        let loader = Loader {
            host,
            limits,
            artifacts: artifacts.clone(),
            vault: Vault::open(&dir)?,
            files: sub("files")?,
            files_path: config.data_dir.join("files"),
            compile_timeout: Duration::from_millis(config.compile_timeout_ms),
            compiling: Arc::new(Semaphore::new(1)),
        };
        let (recorder, recording) = Recorder::new(store.clone());
        let (steering, steers) = mpsc::unbounded_channel();
        let keys = Arc::clone(&access);
        let api_keys = Box::new(move |service: &ServiceId| keys.api_keys(service));
        let around = Around { domain: config.domain.clone(), api_keys, artifacts: artifacts.clone() };
        let known = KnownFiles::open(sub("services")?);
        let serving = Serving::new(loader, known, recorder, around, steering);
        let log_key = log::open_key(&dir, &config.log_origin)?;
        let inner = Inner {
            store,
            artifacts,
            access,
            serving,
            config,
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
            Ok(all) => self.serving().serve_all(all, &known, &self.serving().turn().await).await,
            Err(error) if error.code() == Code::StoreUnavailable && !known.is_empty() => {
                tracing::error!(%error, services = known.len(), "the store is away: serving what is known");
                self.serving().serve_all(known.clone(), &known, &self.serving().turn().await).await
            }
            Err(error) => Err(error),
        }
    }

    /// What the store says is to be served, with what is known of the past.
    async fn targets(&self, known: &[Known]) -> Result<Vec<Known>> {
        let mut scope = self.inner.store.host_write().await?;
        scope.ensure_tenant(&DEFAULT_TENANT.parse()?).await?;
        scope.commit().await?;
        let targets = self.inner.store.host_read().await?.targets().await?;
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

    pub(crate) fn access(&self) -> &Access {
        &self.inner.access
    }

    pub(crate) fn config(&self) -> &PlatformConfig {
        &self.inner.config
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

    /// Executions that could not be recorded since the host began.
    #[must_use]
    pub fn executions_dropped(&self) -> u64 {
        self.serving().recorder.dropped()
    }

    // Serving

    /// Finds a request's route, and has it meet the route's rules.
    ///
    /// # Errors
    /// What the gateway answers in the component's place: no such host, path or method; a rate limit; no credentials.
    pub async fn pass(&self, parts: &http::request::Parts, client: Client) -> Result<Passage, Stop> {
        let table = self.serving().table.load_full();
        let found = table.router.find_parts(parts)?;
        let Route { service, rules } = found.value.clone();
        if let Some(key) = rules.api_key(&parts.headers) {
            // What is learned here is remembered for the rules, which cannot wait.
            let _ = self.inner.access.authenticate(key).await;
        }
        let now = self.serving().clock.gateway_now();
        let admitted = rules.admit(parts, &found.matched, client, now)?;
        Ok(Passage { service, rules, admitted })
    }

    /// Admits a request to the service that its route named.
    ///
    /// # Errors
    /// Stopped, open circuit, quota, no free place, or a component that cannot be loaded.
    pub async fn enter(
        &self,
        service: &Arc<Service>,
        headers: &HeaderMap,
        address: Option<IpAddr>,
        identity: Option<&Identity>,
    ) -> Result<Ticket, NotAdmitted> {
        self.serving().enter(service, headers, address, identity).await
    }

    /// How often an idempotent request to a service is tried again after it failed without an answer.
    #[must_use]
    pub fn retries(&self, service: &Service) -> u32 {
        service.state().supervision.retries
    }

    // Who asks

    /// Whose token this is, as sent after `Bearer`.
    ///
    /// # Errors
    /// `unauthenticated`; `store-unavailable` if the store is away and the token was not seen lately.
    pub async fn authenticate(&self, token: &str, address: impl Into<String>) -> Result<Session> {
        Ok(Session { principal: self.inner.access.authenticate(token).await?, address: address.into() })
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
        component: Option<&ComponentName>,
    ) -> Result<TenantScope> {
        session.require(permission, tenant, component)?;
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
        component: Option<&ComponentName>,
    ) -> Result<TenantScope> {
        session.require(permission, tenant, component)?;
        self.store().write(tenant).await
    }

    // Tenants and tokens

    /// The tenants after the name `after`: all of them for those who run the host, its own for anyone else.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn tenants(&self, session: &Session, after: &str, limit: u32) -> Result<Vec<Tenant>> {
        if session.principal.tenant.is_system() {
            session.require(Permission::Read, &session.principal.tenant, None)?;
            return self.store().host_read().await?.tenants(after, limit).await;
        }
        let own = &session.principal.tenant;
        let mut scope = self.read(session, Permission::Read, own, None).await?;
        Ok(if own.as_str() > after { vec![scope.this_tenant().await?] } else { Vec::new() })
    }

    /// Changes what a tenant may do.
    ///
    /// # Errors
    /// `not-found`, `stale`, `bad-input`.
    pub async fn set_tenant(
        &self,
        session: &Session,
        tenant: &TenantId,
        settings: &TenantSettings,
        revision: Option<u64>,
    ) -> Result<Tenant> {
        let mut scope = self.write(session, Permission::Tenants, tenant, None).await?;
        let changed = scope.set_tenant(settings, revision, &session.actor()).await?;
        scope.changed().await?;
        scope.commit().await?;
        self.refresh().await?;
        Ok(changed)
    }

    /// Deletes a tenant: nothing of it serves any more.
    ///
    /// # Errors
    /// `not-found`, `wrong-state` for the host's own.
    pub async fn delete_tenant(&self, session: &Session, tenant: &TenantId) -> Result<()> {
        let mut scope = self.write(session, Permission::Tenants, tenant, None).await?;
        scope.delete_tenant(&session.actor()).await?;
        scope.commit().await?;
        self.inner.access.forget();
        self.refresh().await
    }

    /// Makes a token. Its secret is in the answer and nowhere else.
    ///
    /// # Errors
    /// `forbidden` also for a role beyond one's own, `bad-input`, `not-found` for the tenant.
    pub async fn create_token(&self, session: &Session, tenant: &TenantId, new: &NewToken) -> Result<TokenWithSecret> {
        session.require(Permission::Access, tenant, None)?;
        self.inner.access.create(tenant, new, &session.principal, &session.actor()).await
    }

    /// Ends a token, here at once and on other hosts within seconds.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn revoke_token(&self, session: &Session, tenant: &TenantId, id: &str) -> Result<()> {
        let mut scope = self.write(session, Permission::Access, tenant, None).await?;
        scope.revoke_token(id, &session.actor()).await?;
        scope.commit().await?;
        self.inner.access.forget();
        Ok(())
    }

    // Artifacts and secrets

    /// Stores an artifact; says how many bytes it has.
    ///
    /// # Errors
    /// `too-large`, `digest-mismatch`, `storage-failed`.
    pub async fn put_artifact<E: std::fmt::Display>(
        &self,
        session: &Session,
        tenant: &TenantId,
        digest: &Digest,
        chunks: impl Stream<Item = Result<Bytes, E>>,
    ) -> Result<u64> {
        let may = session.require(Permission::Upload, tenant, None);
        // A token for single components uploads for those.
        let principal = &session.principal;
        let for_some = principal.components.is_some()
            && principal.tenant == *tenant
            && principal.role >= Permission::Upload.role();
        if !for_some {
            may?;
        }
        {
            let mut scope = self.store().read(tenant).await?;
            let most = scope.this_tenant().await?.settings.quotas.storage_bytes;
            if most > 0 && scope.stored_bytes().await? >= most {
                let message = format!("the tenant {tenant} may store {most} bytes; delete versions, or ask for more");
                return Err(Error::new(Code::QuotaExceeded, message));
            }
        }
        let bytes = self.artifacts().put(digest, chunks, self.inner.artifact_bytes_max).await?;
        let mut scope = self.store().write(tenant).await?;
        scope.insert_artifact(digest, bytes).await?;
        scope.commit().await?;
        Ok(bytes)
    }

    /// The names of a service's secrets.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn secret_names(&self, session: &Session, id: &ServiceId) -> Result<Vec<String>> {
        let mut scope = self.read(session, Permission::Secrets, &id.tenant, Some(&id.component)).await?;
        Ok(scope.secrets(id).await?.into_iter().map(|(name, _)| name).collect())
    }

    /// Sets a secret of a service. What serves is loaded anew with it.
    ///
    /// # Errors
    /// `bad-input` for a name that is none, `too-large`.
    pub async fn set_secret(&self, session: &Session, id: &ServiceId, name: &str, secret: &str) -> Result<()> {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if name.is_empty() || name.len() > 128 || !name.bytes().all(good) {
            let message = "a secret's name has letters, digits and underscores, as a variable of the environment";
            return Err(Error::new(Code::BadInput, message));
        }
        if secret.len() > SECRET_BYTES_MAX {
            return Err(Error::new(Code::TooLarge, format!("a secret has at most {SECRET_BYTES_MAX} bytes")));
        }
        let mut scope = self.write(session, Permission::Secrets, &id.tenant, Some(&id.component)).await?;
        if scope.count_secrets().await? >= SECRETS_MAX {
            return Err(Error::new(
                Code::QuotaExceeded,
                format!("a tenant has at most {SECRETS_MAX} secrets; delete some"),
            ));
        }
        let sealed = self.serving().loader.vault.seal(id, name, secret)?;
        scope.set_secret(id, name, &sealed, &session.actor()).await?;
        scope.changed().await?;
        scope.commit().await?;
        self.follow_store(id, &[]).await
    }

    /// Deletes a secret of a service.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn delete_secret(&self, session: &Session, id: &ServiceId, name: &str) -> Result<()> {
        let mut scope = self.write(session, Permission::Secrets, &id.tenant, Some(&id.component)).await?;
        scope.delete_secret(id, name, &session.actor()).await?;
        scope.changed().await?;
        scope.commit().await?;
        self.follow_store(id, &[]).await
    }

    /// What a service logs on this host from now on.
    ///
    /// # Errors
    /// `forbidden`, `not-found`.
    pub fn follow_log(&self, session: &Session, id: &ServiceId) -> Result<broadcast::Receiver<FollowedLine>> {
        session.require(Permission::Read, &id.tenant, Some(&id.component))?;
        let service = self.serving().service(id);
        Ok(service.ok_or_else(|| Error::not_found(format_args!("deployment of {}", id.component)))?.lines.follow())
    }

    // Following the store

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
        // Until it is served, the store is ahead: `maintenance` looks again if this breaks off.
        self.inner.behind.store(true, Ordering::Relaxed);
        // Read under the lock: what is served last was read last.
        let turn = self.serving().turn().await;
        if let Some(target) = self.store().host_read().await?.target(id).await? {
            self.serving().serve(target, warm, &turn).await?;
        }
        self.inner.behind.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Whether the store may be ahead of what is served; it is not asked again before that happens again.
    pub(crate) fn was_behind(&self) -> bool {
        self.inner.behind.swap(false, Ordering::Relaxed)
    }

    /// Serves what the store says of all services.
    pub(crate) async fn refresh(&self) -> Result<()> {
        let turn = self.serving().turn().await;
        let targets = self.store().host_read().await?.targets().await?;
        let all = targets.into_iter().map(|target| match self.serving().service(&target.id) {
            // Told later: it is newer than what the store says.
            Some(service) if service.state().known.pending => service.state().known.clone(),
            _ => Known::first(target),
        });
        self.serving().serve_all(all.collect(), &[], &turn).await
    }
}

/// A request that has met the rules of its route.
pub struct Passage {
    /// The service that it is for.
    pub service: Arc<Service>,
    /// The rules, which add to the answer.
    pub rules: Arc<Rules>,
    /// What they found.
    pub admitted: Admitted,
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
