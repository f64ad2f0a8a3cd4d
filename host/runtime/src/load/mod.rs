//! Loads a component: from its bytes to an [`App`]. It is checked, compiled, linked, and given what it was granted.
//!
//! - `engine_linkers`: the JavaScript engines that components are made with.
//! - `bases`: the memories that their images begin with.
//! - `interfaces`: what a component imports.
//! - `options`: what a component is loaded with.
//! - `errors`: why one is not loaded.

mod bases;
mod engine_linkers;
mod errors;
mod interfaces;
mod options;

pub use options::{CompiledComponent, LoadOptions};

pub(crate) use engine_linkers::CompilePolicy;

use crate::app::App;
use crate::capability::ErasedCapability;
use crate::compiled_cache::CompiledCache;
use crate::compiler::{self, Compiler, Job, Kind};
use crate::component::ComponentInfo;
use crate::error::Error;
use crate::handlers::{Exports, HandlerPools, InstanceParts};
use crate::imports;
use crate::instance::{GrantedCapability, InstanceState, LoadedComponent};
use crate::limits::Limits;
use crate::log::{Budgets, ComponentLog, GuestText, Secrets};
use crate::memory::Image;
use crate::pricing::HostFunction;
use crate::recycling::Instances;
use crate::schedule::{CpuShare, Scheduler};
use crate::worker::{HeapLayout, HeapOrigin};
use bases::Bases;
use elias_contract::ErrorCode;
use elias_contract::image::{self, SeparatedComponent};
use elias_contract::layout::{self, EngineBinding};
use elias_contract::manifest::Manifest;
use engine_linkers::{EngineLinker, EngineLinkers, LinkedModule};
use errors::{bad_component, bad_image, bad_layout, image_not_stored, not_configured, other_compiler};
use interfaces::{ImportedCapability, foreign_import, imported_capabilities};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Module};

/// Checks, compiles and links components.
pub(crate) struct Loader {
    /// For components of `elias-build`, whose memory is the host's.
    own: LinkedEngine,
    /// For those of other toolchains.
    other: LinkedEngine,
    cache: Option<CompiledCache>,
    compiler: Compiler,
    limits: Limits,
    capabilities: Arc<[Arc<dyn ErasedCapability>]>,
    functions: Vec<HostFunction>,
    /// Engines that the host was given, by digest, for components that do not carry theirs.
    known_engines: HashMap<String, Cow<'static, [u8]>>,
    /// The memories with which images begin.
    bases: Bases,
    /// The engines that components were made with so far.
    engines: EngineLinkers,
    logs: Budgets,
    scheduler: Arc<Scheduler>,
    instances: Arc<Instances>,
}

/// The wasmtime engine of components that get their memory in one way, with what they can import.
struct LinkedEngine {
    engine: Engine,
    linker: Linker<InstanceState>,
}

/// The configurations under which components run.
pub(crate) struct WasmtimeEngines {
    pub(crate) own: Engine,
    pub(crate) other: Engine,
}

/// The parts of a loader.
pub(crate) struct LoaderParts {
    pub(crate) cache: Option<CompiledCache>,
    pub(crate) compiler: Compiler,
    pub(crate) limits: Limits,
    pub(crate) capabilities: Arc<[Arc<dyn ErasedCapability>]>,
    pub(crate) known_engines: HashMap<String, Cow<'static, [u8]>>,
    pub(crate) bases: Vec<Cow<'static, [u8]>>,
    pub(crate) scheduler: Arc<Scheduler>,
    pub(crate) instances: Arc<Instances>,
}

impl Loader {
    pub(crate) fn new(engines: WasmtimeEngines, parts: LoaderParts) -> wasmtime::Result<Self> {
        let LoaderParts { cache, compiler, limits, capabilities, known_engines, bases, scheduler, instances } = parts;
        let (own, functions) = imports::link(&engines.own, &capabilities, Vec::new())?.finish();
        let (other, functions) = imports::link(&engines.other, &capabilities, functions)?.finish();
        Ok(Self {
            own: LinkedEngine { engine: engines.own, linker: own },
            other: LinkedEngine { engine: engines.other, linker: other },
            cache,
            compiler,
            limits,
            capabilities,
            functions,
            known_engines,
            bases: Bases::new(bases),
            engines: EngineLinkers::default(),
            logs: Budgets::default(),
            scheduler,
            instances,
        })
    }

    /// The instances of components whose memory is the host's.
    pub(crate) fn instances(&self) -> &Instances {
        &self.instances
    }

    /// The scheduler that gives cores to guests.
    pub(crate) fn scheduler(&self) -> &Scheduler {
        &self.scheduler
    }

    /// The functions that components can import, and what they cost.
    pub(crate) fn functions(&self) -> &[HostFunction] {
        &self.functions
    }

    /// Refuses a component of this many bytes if it is too large.
    pub(crate) fn check_size(&self, bytes: u64) -> Result<(), Error> {
        if bytes <= self.limits.component_bytes {
            return Ok(());
        }
        let message = format!("the component has {bytes} bytes; at most {} are allowed", self.limits.component_bytes);
        Err(Error::new(ErrorCode::ComponentTooLarge, message))
    }

    pub(crate) fn capabilities(&self) -> &[Arc<dyn ErasedCapability>] {
        &self.capabilities
    }

    /// Bounds the compiled code that is kept.
    pub(crate) fn prune_cache(&self, bytes_max: u64) {
        if let Some(cache) = &self.cache
            && let Err(error) = cache.prune(bytes_max)
        {
            tracing::warn!(%error, "old compiled code cannot be deleted");
        }
    }

    /// Makes a component ready; none if that takes compiling, and it must not. Ends early if `job` is abandoned. Not
    /// for asynchronous threads.
    pub(crate) fn link(
        &self,
        bytes: &[u8],
        compiling: CompilePolicy,
        job: &Job,
    ) -> Result<Option<LinkedComponent>, Error> {
        self.check_size(bytes.len() as u64)?;
        // The digest of a megabyte takes as long as a tenth of all the rest.
        std::thread::scope(|scope| {
            let digest = scope.spawn(|| elias_contract::digest(bytes));
            self.link_measured(bytes, compiling, job, || {
                digest.join().unwrap_or_else(|_| elias_contract::digest(bytes))
            })
        })
    }

    fn link_measured(
        &self,
        bytes: &[u8],
        compiling: CompilePolicy,
        job: &Job,
        digest: impl FnOnce() -> String,
    ) -> Result<Option<LinkedComponent>, Error> {
        let layout = layout::read(bytes).map_err(bad_layout)?;
        let (thin, linker, engine) = match layout.engine {
            None => (Cow::Borrowed(bytes), None, None),
            Some(EngineBinding::Imported { digest }) => {
                let Some(linker) = self.known_engine(&digest, compiling, job)? else { return Ok(None) };
                (Cow::Borrowed(bytes), Some(linker), Some(digest))
            }
            Some(EngineBinding::Carried { module, digest, section }) => {
                let Some(linker) = self.engine(&digest, module, compiling, job)? else { return Ok(None) };
                let thin = layout::leave_out(bytes, module, &digest, section).map_err(bad_layout)?;
                (Cow::Owned(thin), Some(linker), Some(digest))
            }
        };
        let separated = match engine {
            None => None,
            Some(_) => Some(image::separate(&thin).map_err(bad_image)?),
        };
        if let Some(separated) = &separated
            && separated.memory_bytes as u64 > self.limits.memory_bytes
        {
            let (bytes, most) = (separated.memory_bytes, self.limits.memory_bytes);
            let message = format!(
                "the component's memory begins with {bytes} bytes; at most {most} are allowed (memory-bytes): let its \
                 top level make less"
            );
            return Err(Error::new(ErrorCode::BadComponent, message));
        }
        let host_engine = if separated.is_some() { &self.own } else { &self.other };
        let component = separated.as_ref().map_or(&*thin, |separated| &*separated.component);
        let kept = self.cache.as_ref().and_then(|cache| cache.kept_component(&host_engine.engine, component));
        let compiled = match kept {
            Some(compiled) => compiled,
            None if compiling == CompilePolicy::Forbidden => return Ok(None),
            None if separated.is_some() => self.compile(host_engine, Kind::Application, component, job)?,
            None => self.compile(host_engine, Kind::Component, component, job)?,
        };
        let stack_bytes = linker.as_ref().map_or(0, |engine| engine.stack_bytes);
        let linker = linker.as_ref().map_or(&host_engine.linker, |engine| &engine.linker);
        let pre = linker.instantiate_pre(&compiled);
        let pre = pre.map_err(|error| foreign_import(&compiled, &self.functions, layout.manifest.as_ref(), &error))?;
        let Some(exports) = Exports::find(&compiled, pre) else {
            let message = "the component exports none of wasi:http/incoming-handler@0.2, elias:component/call@0.1.0, \
                           and elias:triggers/schedule@0.1.0, job, event, events and worker";
            return Err(Error::new(ErrorCode::MissingExport, message));
        };
        let digest = digest();
        let image = match separated {
            None => None,
            Some(separated) => Some(Arc::new(self.image(&digest, &separated, layout.base.as_deref())?)),
        };
        let heap = match (&image, &engine) {
            (Some(image), Some(engine)) if exports.handlers().worker => {
                let origin = HeapOrigin { component: digest.clone(), engine: engine.clone(), image: image.digest() };
                Some(HeapLayout { origin: Arc::new(origin), stack_bytes })
            }
            _ => None,
        };
        let (name, version) = match &layout.manifest {
            Some(manifest) => (manifest.name.clone(), manifest.version.clone()),
            None => (digest[..12].to_owned(), "0.0.0".to_owned()),
        };
        let source_map = layout.source_map.and_then(|json| String::from_utf8(json.to_vec()).ok());
        let imported = imported_capabilities(&compiled, &self.capabilities);
        let manifest = layout.manifest;
        let wasmtime = host_engine.engine.clone();
        Ok(Some(LinkedComponent {
            wasmtime,
            engine,
            image,
            heap,
            name,
            version,
            digest,
            manifest,
            exports,
            source_map,
            imported,
        }))
    }

    /// The initial content of the component's memories.
    fn image(&self, digest: &str, separated: &SeparatedComponent<'_>, base: Option<&str>) -> Result<Image, Error> {
        let SeparatedComponent { memory_bytes, data, .. } = separated;
        let cache = self.cache.as_ref();
        let image = match base {
            Some(base) => Image::difference(cache, digest, *memory_bytes, data, &self.bases.named(base, cache)?),
            None => Image::whole(cache, digest, *memory_bytes, data, &self.bases.all(cache)?),
        };
        image.map_err(|error| image_not_stored(&error))
    }

    /// Compiles a component, and keeps its code.
    fn compile(&self, host_engine: &LinkedEngine, kind: Kind, component: &[u8], job: &Job) -> Result<Component, Error> {
        compiler::check(component, &self.limits)?;
        let code = self.compiler.compile(&host_engine.engine, kind, component, job)?;
        let made = match &self.cache {
            Some(cache) => cache.keep_component(&host_engine.engine, component, &code),
            // SAFETY: this program compiled it just now, here or in a child.
            None => unsafe { Component::deserialize(&host_engine.engine, &code) },
        };
        made.map_err(other_compiler)
    }

    /// Compiles an engine, and keeps its code. One that the host was given is trusted, and compiled here: by all cores.
    fn compile_engine(&self, digest: &str, module: &[u8], job: &Job) -> Result<Module, Error> {
        image::check_engine(module).map_err(bad_image)?;
        let engine = &self.own.engine;
        let code = if self.known_engines.contains_key(digest) {
            engine.precompile_module(module).map_err(bad_component)?
        } else {
            compiler::check(module, &self.limits)?;
            self.compiler.compile(engine, Kind::Engine, module, job)?
        };
        let made = match &self.cache {
            Some(cache) => cache.keep_module(engine, module, &code),
            // SAFETY: as in `compile`.
            None => unsafe { Module::deserialize(engine, &code) },
        };
        made.map_err(other_compiler)
    }

    /// Gives a component what it was granted.
    pub(crate) async fn configure(&self, linked: LinkedComponent, options: &LoadOptions) -> Result<App, Error> {
        let LinkedComponent {
            wasmtime,
            engine: _,
            image,
            heap,
            name,
            version,
            digest,
            manifest,
            exports,
            source_map,
            imported,
        } = linked;
        let name = options.name.clone().unwrap_or(name);
        // The empty path is the current folder for joining, and no folder at all for opening.
        let folder = if options.folder.as_os_str().is_empty() { ".".into() } else { options.folder.clone() };
        let component = ComponentInfo { name, version, digest, folder };
        let mut granted = Vec::new();
        for ImportedCapability { capability, interface } in imported {
            let name = capability.name();
            let grant = capability.configure(&component, options.grants.get(name)).await;
            granted.push(grant.map_err(|error| {
                let needed_by = manifest
                    .as_ref()
                    .and_then(|manifest| manifest.first_use_of(&interface).or_else(|| manifest.first_use(name)));
                not_configured(&component, name, &interface, needed_by, &error)
            })?);
        }
        let component = self.loaded(component, granted, source_map, options);
        let group = options.share.as_ref().map(|share| self.instances.group(&share.group));
        let fuel = component.limits.fuel;
        let parts = InstanceParts { engine: wasmtime, image, heap, fuel, instances: &self.instances, group };
        Ok(App::new(component, manifest, HandlerPools::new(exports, &parts)))
    }

    /// The state that all executions of a component share.
    fn loaded(
        &self,
        info: ComponentInfo,
        granted: Vec<Arc<dyn GrantedCapability>>,
        source_map: Option<String>,
        options: &LoadOptions,
    ) -> LoadedComponent {
        let limits = options.limits.as_ref().unwrap_or(&self.limits).clone();
        let share = match &options.share {
            Some(share) => self.scheduler.share(share),
            None => self.scheduler.share(&CpuShare::new(&*info.name, &*info.name)),
        };
        let secrets = granted.iter().map(|granted| Arc::clone(granted) as Arc<dyn Secrets>).collect();
        let text = GuestText::new(source_map, secrets);
        let budget = self.logs.of(&info.digest, limits.log_bytes_per_second);
        let info = Arc::new(info);
        let log = ComponentLog::new(Arc::clone(&info), text, budget, options.observer.clone());
        LoadedComponent::new(info, limits, granted, log, share)
    }

    /// The linker that has the engine with this digest, which a component left out; none as in [`Self::engine`].
    fn known_engine(&self, digest: &str, compiling: CompilePolicy, job: &Job) -> Result<Option<EngineLinker>, Error> {
        if let Some(module) = self.known_engines.get(digest) {
            return self.engine(digest, module, compiling, job);
        }
        // Another component may have brought it.
        let Ok(brought) = self.engines.get(digest, compiling) else { return Ok(None) };
        brought.map(Some).ok_or_else(|| {
            let message = format!("this host does not have the engine {digest}; load the component's bundled form");
            Error::new(ErrorCode::UnknownEngine, message)
        })
    }

    /// The linker that has the engine with this digest; compiles the engine if it is new. None if that is not allowed,
    /// or another is at it.
    fn engine(
        &self,
        digest: &str,
        module: &[u8],
        compiling: CompilePolicy,
        job: &Job,
    ) -> Result<Option<EngineLinker>, Error> {
        self.engines.get_or_make(digest, compiling, || {
            let kept = self.cache.as_ref().and_then(|cache| cache.kept_module(&self.own.engine, module));
            let compiled = match kept {
                Some(compiled) => compiled,
                None if compiling == CompilePolicy::Forbidden => return Ok(None),
                None => self.compile_engine(digest, module, job)?,
            };
            let mut linker = self.own.linker.clone();
            linker.root().module(&layout::engine_import(digest), &compiled).map_err(bad_component)?;
            let stack_bytes = image::stack_bytes(module).map_err(bad_image)?;
            Ok(Some(LinkedModule { linker, stack_bytes }))
        })
    }
}

/// A component that was compiled and linked, and was not given its capabilities yet.
pub(crate) struct LinkedComponent {
    wasmtime: Engine,
    engine: Option<String>,
    image: Option<Arc<Image>>,
    heap: Option<HeapLayout>,
    name: String,
    version: String,
    digest: String,
    manifest: Option<Manifest>,
    exports: Exports,
    source_map: Option<String>,
    imported: Vec<ImportedCapability>,
}

impl From<LinkedComponent> for CompiledComponent {
    fn from(linked: LinkedComponent) -> Self {
        let capabilities = linked.imported.iter().map(|imported| imported.capability.name().to_owned()).collect();
        Self { manifest: linked.manifest, engine: linked.engine, capabilities, handlers: linked.exports.handlers() }
    }
}
