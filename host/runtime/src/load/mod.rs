//! Loads a component: checks, compiles and links its bytes, and applies its grants. The result is an [`App`].
//!
//! - `engine_linkers`: the JavaScript engines that components are made with.
//! - `bases`: the memories that their images begin with.
//! - `digests`: the SHA-256 of a component, without that of an engine that is known.
//! - `shared_code`: compiled code that components of one shape share.
//! - `interfaces`: what a component imports.
//! - `options`: what a component is loaded with.
//! - `errors`: why one is not loaded.

mod bases;
mod digests;
mod engine_linkers;
mod errors;
mod interfaces;
mod options;
mod shared_code;

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
use crate::log::{Budgets, ComponentLog, GuestText, PackedSourceMap, Secrets};
use crate::memory::Image;
use crate::pricing::HostFunction;
use crate::recycling::Instances;
use crate::schedule::{CpuShare, Scheduler};
use crate::worker::{HeapLayout, HeapOrigin, WorkerCode};
use bases::Bases;
use digests::Digests;
use elias_contract::ErrorCode;
use elias_contract::image::{self, SeparatedComponent};
use elias_contract::layout::{self, EngineBinding, Layout};
use elias_contract::manifest::Manifest;
use engine_linkers::{EngineLinker, EngineLinkers};
use errors::{bad_component, bad_image, bad_layout, image_not_stored, not_configured, other_compiler};
use interfaces::{ImportedCapability, foreign_import, imported_capabilities};
use shared_code::{LinkedCode, SharedCode};
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
    /// The code of the components of `elias-build` that are loaded.
    shared: SharedCode,
    digests: Digests,
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
            shared: SharedCode::default(),
            digests: Digests::default(),
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

    /// The functions that components can import, with their prices.
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
        let layout = layout::read_with(bytes, |digest| self.known_engines.get(digest).map(|module| &**module));
        let layout = layout.map_err(bad_layout)?;
        let engine = match &layout.engine {
            Some(EngineBinding::Carried { module, digest, section }) => {
                Some((digest.clone(), section.end - module.len()..section.end))
            }
            _ => None,
        };
        // The digest takes as long as all the rest.
        std::thread::scope(|scope| {
            let digest = scope.spawn(|| self.digests.of(bytes, engine.as_ref()));
            self.link_measured(bytes, layout, compiling, job, || {
                digest.join().unwrap_or_else(|_| elias_contract::digest(bytes))
            })
        })
    }

    fn link_measured(
        &self,
        bytes: &[u8],
        layout: Layout<'_>,
        compiling: CompilePolicy,
        job: &Job,
        digest: impl FnOnce() -> String,
    ) -> Result<Option<LinkedComponent>, Error> {
        let (engine, linker, separated) = match layout.engine {
            None => (None, None, None),
            Some(EngineBinding::Imported { digest }) => {
                let Some(linker) = self.known_engine(&digest, compiling, job)? else { return Ok(None) };
                (Some(digest), Some(linker), Some(image::separate(bytes).map_err(bad_image)?))
            }
            Some(EngineBinding::Carried { module, digest, section }) => {
                let Some(linker) = self.engine(&digest, module, compiling, job)? else { return Ok(None) };
                let separated = image::separate_carried(bytes, &section, &linker.import).map_err(bad_image)?;
                (Some(digest), Some(linker), Some(separated))
            }
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
        let manifest = layout.manifest;
        let code = match (&separated, &linker) {
            (Some(separated), Some(engine)) => {
                self.shared_code(&separated.component, engine, manifest.as_ref(), compiling, job)?
            }
            _ => {
                let linker = &self.other.linker;
                self.link_code(Kind::Component, linker, bytes, manifest.as_ref(), compiling, job)?.map(Arc::new)
            }
        };
        let Some(code) = code else { return Ok(None) };
        let wasmtime = if separated.is_some() { self.own.engine.clone() } else { self.other.engine.clone() };
        let digest = digest();
        let image = match separated {
            None => None,
            Some(separated) => Some(Arc::new(self.image(&digest, &separated, layout.base.as_deref())?)),
        };
        let heap = match (&image, &engine, &linker) {
            (Some(image), Some(engine), Some(linker)) if code.exports.handlers().worker => {
                let origin = HeapOrigin { component: digest.clone(), engine: engine.clone(), image: image.digest() };
                Some(HeapLayout { origin: Arc::new(origin), stack_bytes: linker.stack_bytes })
            }
            _ => None,
        };
        let (name, version) = match &manifest {
            Some(manifest) => (manifest.name.clone(), manifest.version.clone()),
            None => (digest[..12].to_owned(), "0.0.0".to_owned()),
        };
        let source_map = layout.source_map.and_then(PackedSourceMap::new);
        let worker_code = heap.as_ref().and(layout.code).and_then(WorkerCode::read);
        Ok(Some(LinkedComponent {
            wasmtime,
            engine,
            image,
            heap,
            name,
            version,
            digest,
            manifest,
            code,
            source_map,
            worker_code,
        }))
    }

    /// The code of a component of `elias-build` without its image, which it shares with others; none as in
    /// [`Self::link_code`].
    fn shared_code(
        &self,
        component: &[u8],
        engine: &EngineLinker,
        manifest: Option<&Manifest>,
        compiling: CompilePolicy,
        job: &Job,
    ) -> Result<Option<Arc<LinkedCode>>, Error> {
        let digest = elias_contract::digest(component);
        if let Some(code) = self.shared.get(&digest) {
            if let Some(cache) = &self.cache {
                cache.touch_component(&self.own.engine, &digest);
            }
            return Ok(Some(code));
        }
        let code = self.link_code(Kind::Application, &engine.linker, component, manifest, compiling, job)?;
        Ok(code.map(|code| self.shared.insert(digest, code)))
    }

    /// The code of a component, linked; none if it would have to be compiled, and must not.
    fn link_code(
        &self,
        kind: Kind,
        linker: &Linker<InstanceState>,
        component: &[u8],
        manifest: Option<&Manifest>,
        compiling: CompilePolicy,
        job: &Job,
    ) -> Result<Option<LinkedCode>, Error> {
        let wasmtime = if kind == Kind::Component { &self.other.engine } else { &self.own.engine };
        let kept = self.cache.as_ref().and_then(|cache| cache.kept_component(wasmtime, component));
        let compiled = match kept {
            Some(compiled) => compiled,
            None if compiling == CompilePolicy::Forbidden => return Ok(None),
            None => self.compile(wasmtime, kind, component, job)?,
        };
        let pre = linker.instantiate_pre(&compiled);
        let pre = pre.map_err(|error| foreign_import(&compiled, &self.functions, manifest, &error))?;
        let Some(exports) = Exports::find(&compiled, pre) else {
            let message = "the component exports none of wasi:http/incoming-handler@0.2, elias:component/call@0.1.0, \
                           and elias:triggers/schedule@0.1.0, job, event, events and worker";
            return Err(Error::new(ErrorCode::MissingExport, message));
        };
        let imported = imported_capabilities(&compiled, &self.capabilities);
        Ok(Some(LinkedCode { exports, imported }))
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
    fn compile(&self, wasmtime: &Engine, kind: Kind, component: &[u8], job: &Job) -> Result<Component, Error> {
        compiler::check(component, &self.limits)?;
        let code = self.compiler.compile(wasmtime, kind, component, job)?;
        let made = match &self.cache {
            Some(cache) => cache.keep_component(wasmtime, component, &code),
            // SAFETY: this program compiled it just now, here or in a child.
            None => unsafe { Component::deserialize(wasmtime, &code) },
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

    /// Applies a component's grants.
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
            code,
            source_map,
            worker_code,
        } = linked;
        let name = options.name.clone().unwrap_or(name);
        // The empty path is the current folder for joining, and no folder at all for opening.
        let folder = if options.folder.as_os_str().is_empty() { ".".into() } else { options.folder.clone() };
        let component = ComponentInfo { name, version, digest, folder };
        let mut granted = Vec::new();
        for ImportedCapability { capability, interface } in &code.imported {
            let name = capability.name();
            let grant = Arc::clone(capability).configure(&component, options.grants.get(name)).await;
            granted.push(grant.map_err(|error| {
                let needed_by = manifest
                    .as_ref()
                    .and_then(|manifest| manifest.first_use_of(interface).or_else(|| manifest.first_use(name)));
                not_configured(&component, name, interface, needed_by, &error)
            })?);
        }
        let component = self.loaded(component, granted, source_map, options);
        let group = options.share.as_ref().map(|share| self.instances.group(&share.group));
        let parts = InstanceParts { engine: wasmtime, image, heap, instances: &self.instances, group };
        let pools = HandlerPools::new(&code.exports, Arc::<LinkedCode>::clone(&code), &parts);
        Ok(App::new(component, manifest, pools, worker_code))
    }

    /// The state that all executions of a component share.
    fn loaded(
        &self,
        info: ComponentInfo,
        granted: Vec<Arc<dyn GrantedCapability>>,
        source_map: Option<PackedSourceMap>,
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
    fn known_engine(
        &self,
        digest: &str,
        compiling: CompilePolicy,
        job: &Job,
    ) -> Result<Option<Arc<EngineLinker>>, Error> {
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
    ) -> Result<Option<Arc<EngineLinker>>, Error> {
        self.engines.get_or_make(digest, compiling, || {
            let import = layout::engine_import_sections(module, digest).map_err(bad_layout)?;
            let kept = self.cache.as_ref().and_then(|cache| cache.kept_module(&self.own.engine, module));
            let compiled = match kept {
                Some(compiled) => compiled,
                None if compiling == CompilePolicy::Forbidden => return Ok(None),
                None => self.compile_engine(digest, module, job)?,
            };
            let mut linker = self.own.linker.clone();
            linker.root().module(&layout::engine_import(digest), &compiled).map_err(bad_component)?;
            let stack_bytes = image::stack_bytes(module).map_err(bad_image)?;
            Ok(Some(EngineLinker { linker, import, stack_bytes }))
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
    code: Arc<LinkedCode>,
    source_map: Option<PackedSourceMap>,
    worker_code: Option<WorkerCode>,
}

impl From<LinkedComponent> for CompiledComponent {
    fn from(linked: LinkedComponent) -> Self {
        let capabilities = linked.code.imported.iter().map(|imported| imported.capability.name().to_owned()).collect();
        Self {
            manifest: linked.manifest,
            engine: linked.engine,
            capabilities,
            handlers: linked.code.exports.handlers(),
        }
    }
}
