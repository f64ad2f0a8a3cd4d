//! The host, and how it is built: its limits, its cache, its compiler, and the capabilities that components may import.

use crate::app::App;
use crate::capability::{Amount, Capability, ErasedCapability};
use crate::compiled_cache::CompiledCache;
use crate::compiler::{CompileLimits, Compiler, Job};
use crate::engine::{Allocation, wasmtime_config};
use crate::error::Error;
use crate::limits::Limits;
use crate::load::{
    CompilePolicy, CompiledComponent, LinkedComponent, LoadOptions, Loader, LoaderParts, WasmtimeEngines,
};
use crate::memory::{Memories, Stacks};
use crate::pricing::HostFunction;
use crate::recycling::{IdleLimits, InstanceCounts, Instances};
use crate::schedule::{CpuLoad, Scheduler};
use bytes::Bytes;
use elias_contract::ErrorCode;
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

/// Builds a [`Host`].
#[must_use]
pub struct HostBuilder {
    limits: Limits,
    instances: u32,
    cores: Option<u32>,
    cache_dir: Option<PathBuf>,
    engines: HashMap<String, Cow<'static, [u8]>>,
    bases: Vec<Cow<'static, [u8]>>,
    capabilities: Vec<Arc<dyn ErasedCapability>>,
    compiler: Option<PathBuf>,
    compile_limits: CompileLimits,
    idle_limits: IdleLimits,
}

impl Host {
    /// A host with default limits, no cache of compiled code, and no capabilities.
    pub fn builder() -> HostBuilder {
        HostBuilder {
            limits: Limits::default(),
            instances: INSTANCES,
            cores: None,
            cache_dir: None,
            engines: HashMap::new(),
            bases: Vec::new(),
            capabilities: Vec::new(),
            compiler: None,
            compile_limits: CompileLimits::default(),
            idle_limits: IdleLimits::default(),
        }
    }

    /// Loads a component that is granted nothing: checks it, compiles it off the asynchronous threads, and links it.
    ///
    /// # Errors
    /// `bad-component`, `component-too-large`, `foreign-import`, `unknown-engine`, `unknown-base`, `engine-mismatch`,
    /// `capability-denied`.
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

    /// Checks, compiles and links a component, without grants: says whether it can be loaded, and which grants it
    /// needs. The compiled code is kept in the cache, if there is one.
    ///
    /// A compiler that is a process of its own is ended when this future is dropped; a compilation in this process is
    /// not.
    ///
    /// # Errors
    /// As [`Self::load`], but for `capability-denied`; and `compile-limit`.
    pub async fn compile(&self, component: Bytes) -> Result<CompiledComponent, Error> {
        Ok(self.link(component).await?.into())
    }

    /// The amounts that the tables of its capabilities have, by capability.
    pub fn amounts(&self) -> impl Iterator<Item = (&'static str, &'static [Amount])> {
        self.loader.capabilities().iter().map(|capability| (capability.name(), capability.amounts()))
    }

    /// Whether numbers under a key of a capability's table are the component's data; nothing if the host does not have
    /// the capability.
    #[must_use]
    pub fn takes_data(&self, capability: &str, key: &str) -> Option<bool> {
        let mut all = self.loader.capabilities().iter();
        all.find(|known| known.name() == capability).map(|known| known.is_data(key))
    }

    /// Deletes compiled code that was not used for longest until what is kept has at most `bytes_max` bytes. What is
    /// loaded is not affected. Not for asynchronous threads.
    pub fn prune_cache(&self, bytes_max: u64) {
        self.loader.prune_cache(bytes_max);
    }

    /// The functions that components can import, each with its price.
    #[must_use]
    pub fn functions(&self) -> &[HostFunction] {
        self.loader.functions()
    }

    /// Counts of the instances of components that `elias-build` made, by how they were used.
    #[must_use]
    pub fn instance_counts(&self) -> InstanceCounts {
        self.loader.instances().counts()
    }

    /// Sets the weight of a group of [`CpuShare`](crate::CpuShare)s, from 1 to
    /// [`WEIGHT_MAX`](crate::CpuShare::WEIGHT_MAX), for its loaded components. One that is loaded later states its own.
    pub fn set_cpu_weight(&self, group: &str, weight: u32) {
        self.loader.scheduler().set_weight(group, weight);
    }

    /// The load of the cores that guests run on.
    #[must_use]
    pub fn cpu_load(&self) -> CpuLoad {
        self.loader.scheduler().load()
    }

    /// Like [`Self::compile`], but only from the cache: `None` if the compiled code is not in it.
    ///
    /// # Errors
    /// As [`Self::compile`].
    pub async fn compiled(&self, component: Bytes) -> Result<Option<CompiledComponent>, Error> {
        Ok(self.try_link(component, CompilePolicy::Forbidden).await?.map(Into::into))
    }

    /// Like [`Self::load_with`], but only from the cache: `None` if the compiled code is not in it.
    ///
    /// # Errors
    /// As [`Self::load_with`].
    pub async fn load_compiled(&self, component: Bytes, options: &LoadOptions) -> Result<Option<App>, Error> {
        match self.try_link(component, CompilePolicy::Forbidden).await? {
            Some(linked) => Ok(Some(self.loader.configure(linked, options).await?)),
            None => Ok(None),
        }
    }

    async fn link(&self, component: Bytes) -> Result<LinkedComponent, Error> {
        let linked = self.try_link(component, CompilePolicy::Allowed).await?;
        linked.ok_or_else(|| Error::new(ErrorCode::Internal, "it was not compiled"))
    }

    async fn try_link(&self, component: Bytes, compiling: CompilePolicy) -> Result<Option<LinkedComponent>, Error> {
        let (loader, job) = (Arc::clone(&self.loader), Job::default());
        let _abandon = job.abandon_on_drop();
        let linked = tokio::task::spawn_blocking(move || loader.link(&component, compiling, &job)).await;
        linked.unwrap_or_else(|panic| Err(Error::new(ErrorCode::Internal, format!("loading failed: {panic}"))))
    }

    /// Loads a component with its grants.
    ///
    /// # Errors
    /// As [`Self::load`], and `bad-configuration` and `capability-unavailable`.
    pub async fn load_with(&self, component: &[u8], options: &LoadOptions) -> Result<App, Error> {
        self.load_bytes(Bytes::copy_from_slice(component), options).await
    }

    /// Like [`Self::load_with`], but does not copy the component, which has megabytes.
    ///
    /// # Errors
    /// As [`Self::load_with`].
    pub async fn load_bytes(&self, component: Bytes, options: &LoadOptions) -> Result<App, Error> {
        let linked = self.link(component).await?;
        self.loader.configure(linked, options).await
    }

    /// Loads a component from a file, with its grants.
    ///
    /// # Errors
    /// `io` if the file cannot be read; else as [`Self::load_with`].
    pub async fn load_file_with(&self, path: &Path, options: &LoadOptions) -> Result<App, Error> {
        let fail = |error| Error::new(ErrorCode::Io, format!("cannot read {}: {error}", path.display()));
        let size = tokio::fs::metadata(path).await.map_err(fail)?.len();
        self.loader.check_size(size)?;
        self.load_bytes(tokio::fs::read(path).await.map_err(fail)?.into(), options).await
    }
}

impl HostBuilder {
    /// The limits of every execution.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How many instances can exist at a time, service workers that are awake included; beyond it requests fail as
    /// `overloaded`. Each takes 4 GiB of address space.
    pub fn instances(mut self, instances: u32) -> Self {
        self.instances = instances.max(1);
        self
    }

    /// The number of guests that run at a time, on whatever threads poll them; by default the number of the machine's
    /// cores. Other guests that are ready wait for their turn; see [`LoadOptions::share`]. Give the asynchronous
    /// runtime at least one thread more, so that connections and timers always have one.
    pub fn cores(mut self, cores: u32) -> Self {
        self.cores = Some(cores);
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

    /// Adds the core module of a base: the memory with which an engine's images begin. The host can then load thin
    /// components that name the base, and keeps those parts of any component's memory that equal it only once. Without
    /// a base, each component has a copy of its own.
    pub fn base(mut self, module: impl Into<Cow<'static, [u8]>>) -> Self {
        self.bases.push(module.into());
        self
    }

    /// Compiles components with this program, in a process of its own that is limited and can be killed. The program is
    /// `elias`, or one that calls [`crate::compiler::main`], and must be of this same version. Without it, components
    /// are compiled in this process: a stranger's component may then take its cores and memory for a minute, whether or
    /// not a caller waits for it, and only the size of its functions is bounded ([`Limits::function_bytes`]).
    pub fn compiler(mut self, program: impl Into<PathBuf>) -> Self {
        self.compiler = Some(program.into());
        self
    }

    /// The limits of compiling in such a process.
    pub fn compile_limits(mut self, limits: CompileLimits) -> Self {
        self.compile_limits = limits;
        self
    }

    /// The limits of idle instances. An instance whose execution ended well is used again, once its
    /// memory is as the build left it.
    pub fn idle(mut self, limits: IdleLimits) -> Self {
        self.idle_limits = limits;
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
    /// `cache-unwritable`; `internal` if the system does not give the pool its address space, or a capability's
    /// interfaces clash.
    pub fn build(self) -> Result<Host, Error> {
        let internal = |error: wasmtime::Error| Error::new(ErrorCode::Internal, format!("{error:#}"));
        let allocation = Allocation::Pooling {
            instances: self.instances,
            memory_bytes: usize::try_from(self.limits.memory_bytes).unwrap_or(usize::MAX).next_multiple_of(64 << 10),
            table_elements: self.limits.table_elements as usize,
        };
        let instances = self.instances as usize;
        let mut own = wasmtime_config(&Allocation::OnDemand);
        own.with_host_memory(Arc::new(Memories::new(instances))).with_host_stack(Arc::new(Stacks::new(instances)));
        let engines = WasmtimeEngines {
            own: Engine::new(&own).map_err(internal)?,
            other: Engine::new(&wasmtime_config(&allocation)).map_err(internal)?,
        };
        let cache = match &self.cache_dir {
            None => None,
            Some(dir) => Some(CompiledCache::open(dir).map_err(|error| {
                Error::new(ErrorCode::CacheUnwritable, format!("the cache {}: {error}", dir.display()))
            })?),
        };
        let compiler = Compiler::new(self.compiler, self.compile_limits);
        let cores = self.cores.unwrap_or_else(|| {
            let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
            u32::try_from(cores).unwrap_or(u32::MAX)
        });
        let parts = LoaderParts {
            cache,
            compiler,
            limits: self.limits,
            capabilities: self.capabilities.into(),
            known_engines: self.engines,
            bases: self.bases,
            scheduler: Scheduler::new(cores),
            instances: Arc::new(Instances::new(instances, self.idle_limits)),
        };
        let loader = Loader::new(engines, parts).map_err(internal)?;
        Ok(Host { loader: Arc::new(loader) })
    }
}
