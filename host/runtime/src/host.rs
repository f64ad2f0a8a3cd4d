//! The host: one wasmtime engine, its pool, and what components may import.

use crate::app::App;
use crate::cache::CompiledCache;
use crate::capability::{Capability, ErasedCapability};
use crate::engine::{Allocation, wasmtime_config};
use crate::error::{Error, ErrorCode};
use crate::grants::Grants;
use crate::limits::Limits;
use crate::load::{Compiling, Linked, Loader};
use crate::log::Observer;
use elias_contract::manifest::Manifest;
use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use wasmtime::Engine;

/// Instances that a host has room for, unless told otherwise.
const INSTANCES: u32 = 256;

/// Runs components. Cloning it is cheap.
#[derive(Clone)]
pub struct Host {
    loader: Arc<Loader>,
}

/// Says how a [`Host`] is to be.
#[must_use]
pub struct HostBuilder {
    limits: Limits,
    instances: u32,
    cache_dir: Option<PathBuf>,
    engines: HashMap<String, Cow<'static, [u8]>>,
    capabilities: Vec<Arc<dyn ErasedCapability>>,
}

impl Host {
    /// A host with default limits, no cache of compiled code, and no capabilities.
    pub fn builder() -> HostBuilder {
        HostBuilder {
            limits: Limits::default(),
            instances: INSTANCES,
            cache_dir: None,
            engines: HashMap::new(),
            capabilities: Vec::new(),
        }
    }

    /// Loads a component that is granted nothing: checks it, compiles it off the asynchronous threads, and links it.
    ///
    /// # Errors
    /// `bad-component`, `component-too-large`, `foreign-import`, `unknown-engine`, `engine-mismatch`, `capability-denied`.
    pub async fn load(&self, component: &[u8]) -> Result<App, Error> {
        self.load_with(component, &LoadOptions::default()).await
    }

    /// Loads a component from a file; it is granted nothing.
    ///
    /// # Errors
    /// `io` if the file cannot be read; else as [`Self::load`].
    pub async fn load_file(&self, path: &Path) -> Result<App, Error> {
        self.load_file_with(path, &LoadOptions::default()).await
    }

    /// Checks, compiles and links a component, and gives it nothing: whether it could be loaded, and what it would have to be granted. The
    /// compiled code is kept in the cache, if there is one.
    ///
    /// # Errors
    /// As [`Self::load`], but for `capability-denied`.
    pub async fn compile(&self, component: &[u8]) -> Result<Compiled, Error> {
        Ok(self.link(component.to_vec()).await?.into())
    }

    /// Deletes compiled code that was not used for longest until what is kept has at most `bytes_max` bytes. What is loaded is not
    /// affected. Not for asynchronous threads.
    pub fn prune_cache(&self, bytes_max: u64) {
        self.loader.prune_cache(bytes_max);
    }

    /// As [`Self::compile`], if the compiled code is in the cache; else nothing is compiled, and there is none.
    ///
    /// # Errors
    /// As [`Self::compile`].
    pub async fn compiled(&self, component: &[u8]) -> Result<Option<Compiled>, Error> {
        Ok(self.try_link(component.to_vec(), Compiling::Forbidden).await?.map(Into::into))
    }

    /// As [`Self::load_with`], if the compiled code is in the cache; else nothing is compiled, and there is none.
    ///
    /// # Errors
    /// As [`Self::load_with`].
    pub async fn load_compiled(&self, component: &[u8], options: &LoadOptions) -> Result<Option<App>, Error> {
        match self.try_link(component.to_vec(), Compiling::Forbidden).await? {
            Some(linked) => Ok(Some(self.loader.configure(linked, options).await?)),
            None => Ok(None),
        }
    }

    async fn link(&self, component: Vec<u8>) -> Result<Linked, Error> {
        let linked = self.try_link(component, Compiling::Allowed).await?;
        linked.ok_or_else(|| Error::new(ErrorCode::Internal, "it was not compiled"))
    }

    async fn try_link(&self, component: Vec<u8>, compiling: Compiling) -> Result<Option<Linked>, Error> {
        let loader = Arc::clone(&self.loader);
        let linked = tokio::task::spawn_blocking(move || loader.link(&component, compiling)).await;
        linked.unwrap_or_else(|panic| Err(Error::new(ErrorCode::Internal, format!("loading failed: {panic}"))))
    }

    /// Loads a component with what it is granted.
    ///
    /// # Errors
    /// As [`Self::load`], and `bad-configuration` and `capability-unavailable`.
    pub async fn load_with(&self, component: &[u8], options: &LoadOptions) -> Result<App, Error> {
        let linked = self.link(component.to_vec()).await?;
        self.loader.configure(linked, options).await
    }

    /// Loads a component from a file with what it is granted.
    ///
    /// # Errors
    /// `io` if the file cannot be read; else as [`Self::load_with`].
    pub async fn load_file_with(&self, path: &Path, options: &LoadOptions) -> Result<App, Error> {
        let fail = |error| Error::new(ErrorCode::Io, format!("cannot read {}: {error}", path.display()));
        let size = tokio::fs::metadata(path).await.map_err(fail)?.len();
        self.loader.check_size(size)?;
        self.load_with(&tokio::fs::read(path).await.map_err(fail)?, options).await
    }
}

/// A component that could be loaded.
#[derive(Debug, Clone)]
pub struct Compiled {
    /// What it says of itself; none for components of other toolchains.
    pub manifest: Option<Manifest>,
    /// SHA-256 of the engine that it carries or imports.
    pub engine: Option<String>,
    /// The capabilities that it imports.
    pub capabilities: Vec<String>,
    /// Whether it answers HTTP requests.
    pub answers_http: bool,
}

/// What a component is given when it is loaded.
#[derive(Clone, Default)]
pub struct LoadOptions {
    /// The capabilities that it may use.
    pub grants: Grants,
    /// The folder that paths in the grants are relative to.
    pub folder: PathBuf,
    /// Its name in place of the manifest's. Capabilities keep what belongs to a component under its name.
    pub name: Option<String>,
    /// Its limits in place of the host's. Memory and tables cannot be larger than the host's.
    pub limits: Option<Limits>,
    /// Who sees its log lines beside the log.
    pub observer: Option<Arc<dyn Observer>>,
}

impl HostBuilder {
    /// What every execution may take.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How many instances can exist at a time; beyond it requests fail as `overloaded`. Each takes 4 GiB of address space.
    pub fn instances(mut self, instances: u32) -> Self {
        self.instances = instances.max(1);
        self
    }

    /// Keeps compiled code in this folder, which must belong to this user alone.
    pub fn cache_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.cache_dir = Some(dir.into());
        self
    }

    /// Keeps no compiled code.
    pub fn no_cache(mut self) -> Self {
        self.cache_dir = None;
        self
    }

    /// Knows an engine's core module, for thin components; the first of them has it compiled. Engines that components
    /// carry need not be named.
    pub fn engine(mut self, module: impl Into<Cow<'static, [u8]>>) -> Self {
        let module = module.into();
        self.engines.insert(elias_contract::digest(&module), module);
        self
    }

    /// Lets components import a capability.
    pub fn capability(mut self, capability: impl Capability) -> Self {
        self.capabilities.push(Arc::new(capability));
        self
    }

    /// Makes the host.
    ///
    /// # Errors
    /// `cache-unwritable`; `internal` if the system does not give the pool its address space, or a capability's interfaces
    /// clash.
    pub fn build(self) -> Result<Host, Error> {
        let internal = |error: wasmtime::Error| Error::new(ErrorCode::Internal, format!("{error:#}"));
        let allocation = Allocation::Pooling {
            instances: self.instances,
            memory_bytes: usize::try_from(self.limits.memory_bytes).unwrap_or(usize::MAX).next_multiple_of(64 << 10),
            table_elements: self.limits.table_elements as usize,
        };
        let engine = Engine::new(&wasmtime_config(&allocation)).map_err(internal)?;
        let cache = match &self.cache_dir {
            None => None,
            Some(dir) => Some(CompiledCache::open(dir).map_err(|error| {
                Error::new(ErrorCode::CacheUnwritable, format!("the cache {}: {error}", dir.display()))
            })?),
        };
        let loader =
            Loader::new(engine, cache, self.limits, self.capabilities.into(), self.engines).map_err(internal)?;
        Ok(Host { loader: Arc::new(loader) })
    }
}
