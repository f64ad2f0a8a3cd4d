//! Loads the component of a version that is to serve.

use super::proofs::Proofs;
use super::service::Tables;
use super::snapshot::ServiceSnapshot;
use crate::artifacts::Artifacts;
use crate::ceilings::Ceilings;
use crate::vault::Vault;
use cap_std::fs::Dir;
use elias_api::{Code, Error, Result, TenantSettings, VersionSettings};
use elias_capabilities::events::EventsGrant;
use elias_delivery::supervision::TenantQueue;
use elias_gateway::GatewayConfig;
use elias_gateway::assets::content_type_of;
use elias_host::{App, CpuShare, ErrorCode, Grants, Host, Limits, LoadOptions, Observer};
use elias_names::{Digest, ServiceId, TenantId};
use elias_store::ReleaseTarget;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Loads components within the settings of their versions and tenants.
pub(crate) struct Loader {
    pub(crate) host: Host,
    /// The host's own limits: those of a version can only be tighter.
    pub(crate) limits: Limits,
    pub(crate) ceilings: Ceilings,
    pub(crate) artifacts: Artifacts,
    pub(crate) vault: Arc<Vault>,
    /// Of what may be loaded, if that is to be proved.
    pub(crate) proofs: Option<Proofs>,
    /// Versions' files, a folder each, and its path.
    pub(crate) files: Dir,
    pub(crate) files_path: PathBuf,
    pub(crate) compile_timeout: Duration,
    /// For what has to be compiled; what is compiled already does not wait.
    pub(crate) compiling: TenantQueue,
}

/// Bytes of files that are compressed when a version is deployed. Those beyond are, when it is deployed again.
const ENCODED_AT_ONCE_BYTES_MAX: u64 = 64 << 20;

/// Compilers at a time for each core. They are of the lowest priority; what they share is the cores that requests
/// leave, so that a short compilation ends soon beside long ones, where it would have waited for them in a queue.
const COMPILERS_PER_CORE: u32 = 2;

/// The fewest of them.
const COMPILERS_MIN: u32 = 4;

/// The queue of components to compile.
pub(crate) fn compile_queue(timeout: Duration) -> TenantQueue {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let cores = u32::try_from(cores).unwrap_or(u32::MAX);
    TenantQueue::new(cores.saturating_mul(COMPILERS_PER_CORE).max(COMPILERS_MIN), timeout)
}

/// The context for which a component is loaded.
pub(crate) struct LoadContext<'a> {
    pub(crate) service: &'a ServiceId,
    pub(crate) tenant: &'a TenantSettings,
    pub(crate) secrets: &'a BTreeMap<String, String>,
    pub(crate) observer: Arc<dyn Observer>,
}

impl Loader {
    /// A release's component, ready to run.
    pub(crate) async fn load(&self, context: &LoadContext<'_>, release: &ReleaseTarget) -> Result<App> {
        if let Some(proofs) = &self.proofs {
            proofs.require(context.service, release).await?;
        }
        let bytes = self.artifacts.get(&release.digest).await?;
        let folder = self.place_files(&release.settings).await?;
        let options = LoadOptions {
            grants: self.grants(context, &release.settings)?,
            folder,
            // Capabilities keep what belongs to a component under its name.
            name: Some(context.service.to_string()),
            limits: Some(
                self.ceilings.limits(context.tenant, &limits(&self.limits, context.tenant, &release.settings)?)?,
            ),
            observer: Some(Arc::clone(&context.observer)),
            // A tenant has no more of the CPU for having more services, nor a service for having more executions.
            share: Some(CpuShare {
                group_weight: context.tenant.quotas.cpu_weight,
                ..CpuShare::new(context.service.tenant.to_string(), context.service.to_string())
            }),
        };
        if let Some(app) = self.host.load_compiled(bytes.clone(), &options).await.map_err(refused)? {
            return Ok(app);
        }
        let host = self.host.clone();
        let loading = async move { host.load_bytes(bytes, &options).await };
        self.compile_in_turn(&context.service.tenant, &release.digest, loading).await
    }

    /// Gives the components of a tenant that are loaded another part of the CPU.
    pub(crate) fn set_cpu_weight(&self, tenant: &TenantId, weight: u32) {
        self.host.set_cpu_weight(tenant.as_str(), weight);
    }

    /// Whether a component can be loaded at all, and what it would have to be granted.
    pub(crate) async fn compile(&self, tenant: &TenantId, digest: &Digest) -> Result<elias_host::CompiledComponent> {
        let bytes = self.artifacts.get(digest).await?;
        if let Some(compiled) = self.host.compiled(bytes.clone()).await.map_err(refused)? {
            return Ok(compiled);
        }
        let host = self.host.clone();
        self.compile_in_turn(tenant, digest, async move { host.compile(bytes).await }).await
    }

    /// Compiles when it is the tenant's turn, for so long as that may take.
    async fn compile_in_turn<T: Send + 'static>(
        &self,
        tenant: &TenantId,
        digest: &Digest,
        compiling: impl Future<Output = Result<T, elias_host::Error>> + Send + 'static,
    ) -> Result<T> {
        let slot = self.compiling.enter(tenant).await.ok_or_else(|| {
            let message =
                "too many components of the tenant wait for being compiled, or it took too long; try again in a moment";
            Error::new(Code::Component(ErrorCode::Overloaded), message)
        })?;
        let most = self.compile_timeout;
        // A task of its own: a client that hangs up does not end it, so that the next finds it compiled. The compiler
        // is ended by the time-out, which drops what waits for it.
        let compiled = tokio::spawn(async move {
            let _slot = slot;
            tokio::time::timeout(most, compiling).await
        });
        match compiled.await {
            Ok(Ok(compiled)) => compiled.map_err(refused),
            Ok(Err(_)) => Err(compile_timeout(digest, most)),
            Err(panic) => Err(Error::new(Code::Internal, format!("compiling failed: {panic}"))),
        }
    }

    /// The grants with the service's secrets in the place of where a component's own machine would have them.
    fn grants(&self, context: &LoadContext<'_>, settings: &VersionSettings) -> Result<Grants> {
        let mut grants = Grants::none();
        for (name, mut table) in self.ceilings.grants(context.tenant, settings) {
            if name == "config" {
                self.fill_in(context, table.as_object_mut())?;
            }
            grants = grants.with(name, table);
        }
        Ok(grants)
    }

    /// The grant `events` of a version of a service within the tenant's ceilings, by which its workers publish events;
    /// none without one.
    pub(super) fn events_grant(
        &self,
        service: &ServiceId,
        tenant: &TenantSettings,
        settings: &VersionSettings,
    ) -> Option<EventsGrant> {
        settings.capabilities.get("events")?;
        let grants = self.ceilings.grants(tenant, settings);
        match EventsGrant::parse(grants.get("events")?) {
            Ok(grant) => Some(grant),
            Err(error) => {
                tracing::warn!(%service, %error, "workers publish no events: the grant cannot be read");
                None
            }
        }
    }

    /// Puts the values of secrets where `[capabilities.config]` names variables of the environment: a tenant never
    /// sees the host's own.
    fn fill_in(&self, context: &LoadContext<'_>, table: Option<&mut Map<String, Value>>) -> Result<()> {
        let Some(table) = table else { return Ok(()) };
        let mut absent = Vec::new();
        for (key, entry) in table.iter_mut() {
            let Some(source) = entry.as_object_mut() else { continue };
            let Some(Value::String(name)) = source.remove("env") else { continue };
            match context.secrets.get(&name) {
                Some(sealed) => {
                    let secret = self.vault.open_sealed(context.service, &name, sealed)?;
                    source.remove("default");
                    source.insert("value".to_owned(), json!(*secret));
                }
                None if source.contains_key("default") => {}
                None if source.get("optional") == Some(&Value::Bool(true)) => absent.push(key.clone()),
                None => {
                    let ServiceId { component, environment, .. } = context.service;
                    let message = format!(
                        "[capabilities.config] {key} needs {name}, which is not set for {component} in {environment}; \
                         set it with: elias secrets set {component} {name} --env {environment}"
                    );
                    return Err(Error::new(Code::MissingConfiguration, message));
                }
            }
        }
        absent.iter().for_each(|key| drop(table.remove(key)));
        Ok(())
    }

    /// Stores the proofs of the versions that services serve and served, before the store is unavailable.
    pub(crate) async fn remember(&self, services: &[ServiceSnapshot]) {
        if let Some(proofs) = &self.proofs {
            proofs.remember(services).await;
        }
    }

    /// Brings the files that a version serves into the folder of artifacts, and compresses those that have not been
    /// yet. What is missing is logged, and is not served; what cannot be compressed is served as it is.
    pub(crate) async fn fetch_assets(&self, settings: &VersionSettings) {
        if settings.gateway.is_none() {
            return;
        }
        let served = Tables::read(settings).ok().and_then(|tables| served_folder(&tables.gateway));
        let mut left = ENCODED_AT_ONCE_BYTES_MAX;
        for (path, digest) in &settings.files {
            if self.artifacts.bytes(digest).is_none()
                && let Err(error) = self.artifacts.get(digest).await
            {
                tracing::error!(%path, %error, "a file of a route cannot be read");
            }
            if left > 0 && served.as_ref().is_some_and(|folder| path.starts_with(folder)) {
                match self.artifacts.encode(digest, &content_type_of(path)).await {
                    Ok(bytes) => left = left.saturating_sub(bytes),
                    Err(error) => tracing::warn!(%path, %error, "a file of a route cannot be compressed in advance"),
                }
            }
        }
    }

    /// The folder that has the version's files for its capabilities, as migrations; made unless another version had
    /// the same. Those that its routes serve are read from the artifacts.
    pub(crate) async fn place_files(&self, settings: &VersionSettings) -> Result<PathBuf> {
        let served = served_folder(&Tables::read(settings)?.gateway);
        let is_served = |path: &String| served.as_ref().is_some_and(|folder| path.starts_with(folder));
        let files: BTreeMap<_, _> = settings.files.iter().filter(|(path, _)| !is_served(path)).collect();
        let text = serde_json::to_vec(&files).unwrap_or_default();
        let name = Digest::of(&text).to_string();
        let folder = self.files_path.join(&name);
        if self.files.exists(&name) {
            return Ok(folder);
        }
        let partial = format!("{name}.{}", ulid::Ulid::new());
        self.files.create_dir(&partial)?;
        if let Err(error) = self.write_files(&partial, &files).await {
            let _ = self.files.remove_dir_all(&partial);
            return Err(error);
        }
        if let Err(error) = self.files.rename(&partial, &self.files, &name) {
            let _ = self.files.remove_dir_all(&partial);
            // Another load may have been faster.
            if !self.files.exists(&name) {
                return Err(error.into());
            }
        }
        Ok(folder)
    }

    async fn write_files(&self, folder: &str, files: &BTreeMap<&String, &Digest>) -> Result<()> {
        let dir = self.files.open_dir(folder)?;
        for (path, digest) in files {
            let bytes = self.artifacts.get(digest).await?;
            if let Some((parent, _)) = path.rsplit_once('/') {
                dir.create_dir_all(parent)?;
            }
            dir.write(path, bytes)?;
        }
        Ok(())
    }
}

/// The folder that a version's routes serve, with a slash at the end.
fn served_folder(gateway: &GatewayConfig) -> Option<String> {
    gateway.assets().map(|rules| format!("{}/", rules.folder()))
}

/// The host's error, under its own code.
fn refused(error: elias_host::Error) -> Error {
    Error::new(Code::Component(error.code()), error.to_string())
}

fn compile_timeout(digest: &Digest, timeout: Duration) -> Error {
    let message = format!("the component {digest} was not compiled within {} s; make it smaller", timeout.as_secs());
    Error::new(Code::CompileTimeout, message)
}

/// The tightest of the host's limits, the limits that the version asks for, and the tenant's memory limit.
pub(crate) fn limits(host: &Limits, tenant: &TenantSettings, settings: &VersionSettings) -> Result<Limits> {
    let bad = |message: String| Error::new(Code::BadInput, message);
    let mut table = serde_json::to_value(host).map_err(|error| Error::new(Code::Internal, error.to_string()))?;
    for (name, asked) in &settings.limits {
        let key = name.replace('-', "_");
        let most = table.get(&key).and_then(Value::as_u64);
        let most = most.ok_or_else(|| bad(format!("[limits] {name} is not a limit of components")))?;
        table[key] = json!(most.min(*asked).max(1));
    }
    let mut limits: Limits = serde_json::from_value(table).map_err(|error| bad(format!("[limits]: {error}")))?;
    if tenant.quotas.memory_bytes > 0 {
        limits.memory_bytes = limits.memory_bytes.min(tenant.quotas.memory_bytes);
    }
    Ok(limits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn the_tightest_limit_wins() {
        let mut tenant = TenantSettings::default();
        let mut settings = VersionSettings::default();
        settings.limits.insert("fuel".into(), 5);
        settings.limits.insert("deadline-ms".into(), u64::MAX);
        tenant.quotas.memory_bytes = 1 << 20;
        let host = Limits::default();
        let limits = limits(&host, &tenant, &settings).expect("they are good");
        assert_eq!((limits.fuel, limits.deadline_ms, limits.memory_bytes), (5, host.deadline_ms, 1 << 20));
        settings.limits.insert("connections".into(), 5);
        let error = super::limits(&host, &tenant, &settings).expect_err("not a component's");
        assert!(error.to_string().contains("connections"), "{error}");
    }

    /// A component that can be compiled and cannot be loaded, which its error says after it was compiled.
    fn component(name: &str) -> Vec<u8> {
        // The preamble of a component, and a custom section without content.
        let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
        bytes.extend([0, u8::try_from(name.len() + 1).expect("short"), u8::try_from(name.len()).expect("short")]);
        bytes.extend(name.as_bytes());
        bytes
    }

    async fn stored(artifacts: &Artifacts, bytes: Vec<u8>) -> Digest {
        let digest = Digest::of(&bytes);
        let chunks = futures::stream::iter([Ok::<_, std::io::Error>(bytes::Bytes::from(bytes))]);
        artifacts.put(&digest, chunks, 1 << 20).await.expect("it is stored");
        digest
    }

    #[tokio::test]
    async fn what_is_compiled_already_does_not_wait_for_what_is_not_and_nobody_for_another_tenants() {
        let folder = tempfile::tempdir().expect("a folder");
        let sub = |name: &str| {
            std::fs::create_dir_all(folder.path().join(name)).expect("a folder");
            Dir::open_ambient_dir(folder.path().join(name), cap_std::ambient_authority()).expect("a folder")
        };
        let artifacts = Artifacts::open(sub("artifacts"), None).expect("it opens");
        let compiled = stored(&artifacts, component("compiled")).await;
        let cold = stored(&artifacts, component("cold")).await;
        let other_cold = stored(&artifacts, component("colder")).await;
        let host = Host::builder().instances(1).cache_dir(folder.path().join("cache")).build().expect("a host");
        let loader = Loader {
            limits: Limits::default(),
            ceilings: Ceilings::new(&host, &Limits::default(), &BTreeMap::new()).expect("no ceilings"),
            host,
            artifacts,
            proofs: None,
            vault: Arc::new(Vault::open(&sub("vault")).expect("a key")),
            files: sub("files"),
            files_path: folder.path().join("files"),
            compile_timeout: Duration::from_secs(60),
            compiling: compile_queue(Duration::from_secs(3600)),
        };
        let (tenant, other): (TenantId, TenantId) = ("acme".parse().expect("a name"), "other".parse().expect("a name"));
        let code = async |tenant: &TenantId, digest: &Digest| {
            loader.compile(tenant, digest).await.expect_err("it exports nothing").code()
        };
        let exports_nothing = Code::Component(ErrorCode::MissingExport);
        assert_eq!(code(&tenant, &compiled).await, exports_nothing);

        let busy = loader.compiling.enter(&tenant).await.expect("its slot");
        assert_eq!(code(&tenant, &compiled).await, exports_nothing, "it takes no slot");
        let is_compiled = Cell::new(false);
        let own = async {
            assert_eq!(code(&tenant, &cold).await, exports_nothing);
            is_compiled.set(true);
        };
        let others = async {
            assert_eq!(code(&other, &other_cold).await, exports_nothing, "another tenant's does not wait");
            assert!(!is_compiled.get(), "what has to be compiled waits for the tenant's slot, though it came first");
            drop(busy);
        };
        futures::join!(own, others);
        assert!(is_compiled.get());
    }
}
