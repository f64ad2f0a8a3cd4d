//! From a component's bytes to an [`App`].

mod bases;
mod refusal;

use crate::app::{App, AppInner, Granted, SourceMapSlot};
use crate::cache::CompiledCache;
use crate::call::CallExport;
use crate::capability::{ComponentInfo, ErasedCapability};
use crate::compiler::{self, Compiler, Job, Kind};
use crate::error::{Error, ErrorCode};
use crate::fetch::FetchExport;
use crate::host::{Compiled, LoadOptions};
use crate::instance::InstanceState;
use crate::limits::Limits;
use crate::linker::linker;
use crate::log::Budgets;
use crate::memory::Image;
use crate::pricing::HostFunction;
use crate::recycling::{Idle, Instances};
use crate::schedule::{CpuShare, Scheduler};
use bases::Bases;
use elias_contract::image::{self, Separated};
use elias_contract::layout::{self, EngineBinding};
use elias_contract::manifest::Manifest;
use refusal::{bad_component, bad_image, bad_layout, no_room, other_compiler, refused};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use tokio::sync::Semaphore;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Module};

/// Checks, compiles and links components.
pub(crate) struct Loader {
    /// For components of `elias-build`, whose memory is the host's.
    own: Room,
    /// For those of other toolchains.
    other: Room,
    cache: Option<CompiledCache>,
    compiler: Compiler,
    limits: Limits,
    capabilities: Arc<[Arc<dyn ErasedCapability>]>,
    functions: Vec<HostFunction>,
    /// Engines that the host was given, by digest, for components that do not carry theirs.
    known_engines: HashMap<String, Cow<'static, [u8]>>,
    /// The memories with which images begin.
    bases: Bases,
    /// For each engine, by digest, a linker that has it: compiled once, shared by all components made with it.
    engines: Mutex<HashMap<String, EngineSlot>>,
    logs: Budgets,
    scheduler: Arc<Scheduler>,
    instances: Arc<Instances>,
}

/// Where components run that get their memory in one way.
struct Room {
    engine: Engine,
    linker: Linker<InstanceState>,
}

/// An engine's place, whose lock is held while it is compiled, so that an engine which many components bring at once is compiled once.
type EngineSlot = Arc<EngineLock>;
type EngineLock = Mutex<Option<Arc<Linker<InstanceState>>>>;

/// The place, once nobody compiles into it; none where that would have to be waited for and must not be.
fn wait(slot: &EngineLock, compiling: Compiling) -> Option<MutexGuard<'_, Option<Arc<Linker<InstanceState>>>>> {
    match (slot.try_lock(), compiling) {
        (Ok(linker), _) => Some(linker),
        (Err(TryLockError::Poisoned(poisoned)), _) => Some(poisoned.into_inner()), // it is set whole
        (Err(TryLockError::WouldBlock), Compiling::Allowed) => {
            Some(slot.lock().unwrap_or_else(PoisonError::into_inner))
        }
        (Err(TryLockError::WouldBlock), Compiling::Forbidden) => None,
    }
}

/// The configurations under which components run.
pub(crate) struct Engines {
    pub(crate) own: Engine,
    pub(crate) other: Engine,
}

/// What a loader is made of.
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

/// Whether loading may compile.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compiling {
    /// What is not in the cache is compiled.
    Allowed,
    /// Only what is in the cache is loaded.
    Forbidden,
}

impl Loader {
    pub(crate) fn new(engines: Engines, parts: LoaderParts) -> wasmtime::Result<Self> {
        let LoaderParts { cache, compiler, limits, capabilities, known_engines, bases, scheduler, instances } = parts;
        let (own, functions) = linker(&engines.own, &capabilities, Vec::new())?.finish();
        let (other, functions) = linker(&engines.other, &capabilities, functions)?.finish();
        Ok(Self {
            own: Room { engine: engines.own, linker: own },
            other: Room { engine: engines.other, linker: other },
            cache,
            compiler,
            limits,
            capabilities,
            functions,
            known_engines,
            bases: Bases::new(bases),
            engines: Mutex::default(),
            logs: Budgets::default(),
            scheduler,
            instances,
        })
    }

    /// The instances of components whose memory is the host's.
    pub(crate) fn instances(&self) -> &Instances {
        &self.instances
    }

    /// What gives cores to guests.
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

    /// Makes a component ready; none if that takes compiling, and it must not. Ends early if `job` is abandoned. Not for asynchronous threads.
    pub(crate) fn link(&self, bytes: &[u8], compiling: Compiling, job: &Job) -> Result<Option<Linked>, Error> {
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
        compiling: Compiling,
        job: &Job,
        digest: impl FnOnce() -> String,
    ) -> Result<Option<Linked>, Error> {
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
        let room = if separated.is_some() { &self.own } else { &self.other };
        let component = separated.as_ref().map_or(&*thin, |separated| &*separated.component);
        let kept = self.cache.as_ref().and_then(|cache| cache.kept_component(&room.engine, component));
        let compiled = match kept {
            Some(compiled) => compiled,
            None if compiling == Compiling::Forbidden => return Ok(None),
            None if separated.is_some() => self.compile(room, Kind::Application, component, job)?,
            None => self.compile(room, Kind::Component, component, job)?,
        };
        let pre = linker.as_deref().unwrap_or(&room.linker).instantiate_pre(&compiled);
        let pre = pre.map_err(|error| self.foreign_import(&compiled, layout.manifest.as_ref(), &error))?;
        let call = CallExport::find(&compiled, &pre);
        let fetch = FetchExport::find(&compiled, pre);
        if fetch.is_none() && call.is_none() {
            let message = "the component exports neither wasi:http/incoming-handler@0.2 nor elias:component/call@0.1.0";
            return Err(Error::new(ErrorCode::MissingExport, message));
        }
        let digest = digest();
        let image = match separated {
            None => None,
            Some(separated) => Some(Arc::new(self.image(&digest, &separated, layout.base.as_deref())?)),
        };
        let (name, version) = match &layout.manifest {
            Some(manifest) => (manifest.name.clone(), manifest.version.clone()),
            None => (digest[..12].to_owned(), "0.0.0".to_owned()),
        };
        let source_map = layout.source_map.and_then(|json| String::from_utf8(json.to_vec()).ok());
        let imported = self.imported(&compiled);
        let manifest = layout.manifest;
        let wasmtime = room.engine.clone();
        Ok(Some(Linked { wasmtime, engine, image, name, version, digest, manifest, fetch, call, source_map, imported }))
    }

    /// What the component's memories begin with.
    fn image(&self, digest: &str, separated: &Separated<'_>, base: Option<&str>) -> Result<Image, Error> {
        let Separated { memory_bytes, data, .. } = separated;
        let cache = self.cache.as_ref();
        let image = match base {
            Some(base) => Image::difference(cache, digest, *memory_bytes, data, &self.bases.named(base, cache)?),
            None => Image::whole(cache, digest, *memory_bytes, data, &self.bases.all(cache)?),
        };
        image.map_err(|error| no_room(&error))
    }

    /// Compiles a component, and keeps its code.
    fn compile(&self, room: &Room, kind: Kind, component: &[u8], job: &Job) -> Result<Component, Error> {
        compiler::check(component, &self.limits)?;
        let code = self.compiler.compile(&room.engine, kind, component, job)?;
        let made = match &self.cache {
            Some(cache) => cache.keep_component(&room.engine, component, &code),
            // SAFETY: this program compiled it just now, here or in a child.
            None => unsafe { Component::deserialize(&room.engine, &code) },
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

    /// The capabilities that a component imports, each with the interface by which it does.
    fn imported(&self, component: &Component) -> Vec<(Arc<dyn ErasedCapability>, String)> {
        let ty = component.component_type();
        let mut imported: Vec<(Arc<dyn ErasedCapability>, String)> = Vec::new();
        for import in ty.imports(component.engine()) {
            let interface = import.0.split('@').next().unwrap_or_default();
            let capability = self.capabilities.iter().find(|capability| capability.interfaces().contains(&interface));
            if let Some(capability) = capability
                && !imported.iter().any(|(other, _)| Arc::ptr_eq(other, capability))
            {
                imported.push((Arc::clone(capability), interface.to_owned()));
            }
        }
        imported
    }

    /// Why a component cannot be linked: the interfaces that nobody here gives, each with its first use, or else what
    /// does not fit.
    fn foreign_import(&self, component: &Component, manifest: Option<&Manifest>, error: &wasmtime::Error) -> Error {
        let interface_of = |name: &str| name.split('@').next().unwrap_or_default().to_owned();
        let given = |interface: &str| {
            let functions = self.functions.iter().filter_map(|function| function.name().split_once('#'));
            functions.into_iter().any(|(name, _)| interface_of(name) == interface)
        };
        let mut absent = Vec::new();
        for (name, import) in component.component_type().imports(component.engine()) {
            let ComponentItem::ComponentInstance(instance) = import.ty else { continue };
            let has_functions = instance
                .exports(component.engine())
                .any(|(_, item)| matches!(item.ty, ComponentItem::ComponentFunc(_)));
            let interface = interface_of(name);
            if has_functions && !given(&interface) {
                let place = manifest.and_then(|manifest| manifest.first_use_of(&interface));
                absent.push(format!("{name}{}", place.map(|place| format!(" (for {place})")).unwrap_or_default()));
            }
        }
        let message = if absent.is_empty() {
            format!(
                "the component needs what this host does not provide: {error:#}; give the host a capability for it, or \
                 build the component without it"
            )
        } else {
            format!(
                "the component imports {}, which no capability of this host gives; give the host a capability for it, \
                 or build the component without it",
                absent.join(", ")
            )
        };
        Error::new(ErrorCode::ForeignImport, message)
    }

    /// Gives a component what it was granted.
    pub(crate) async fn configure(&self, linked: Linked, options: &LoadOptions) -> Result<App, Error> {
        let Linked { wasmtime, engine: _, image, name, version, digest, manifest, fetch, call, source_map, imported } =
            linked;
        let name = options.name.clone().unwrap_or(name);
        // The empty path is the current folder for joining, and no folder at all for opening.
        let folder = if options.folder.as_os_str().is_empty() { ".".into() } else { options.folder.clone() };
        let component = ComponentInfo { name, version, digest, folder };
        let mut granted = Vec::new();
        for (capability, interface) in imported {
            let table = options.grants.get(capability.name());
            let grant = capability.configure(&component, table).await;
            let grant = grant.map_err(|error| {
                let needed_by = manifest.as_ref().and_then(|manifest| {
                    manifest.first_use_of(&interface).or_else(|| manifest.first_use(capability.name()))
                });
                refused(&component, capability.name(), &interface, needed_by, &error)
            })?;
            granted.push(Granted { capability, grant });
        }
        let ComponentInfo { name, version, digest, .. } = component;
        let limits = options.limits.as_ref().unwrap_or(&self.limits).clone();
        let share = match &options.share {
            Some(share) => self.scheduler.share(share),
            None => self.scheduler.share(&CpuShare::new(&*name, &*name)),
        };
        let group = options.share.as_ref().map(|share| self.instances.group(&share.group));
        let log = self.logs.of(&digest, limits.log_bytes_per_second);
        Ok(App {
            fetches: Idle::new(&self.instances, group.clone()),
            calls: Idle::new(&self.instances, group),
            inner: Arc::new(AppInner {
                name,
                version,
                digest,
                manifest,
                engine: wasmtime,
                image,
                fetch,
                call,
                granted,
                source_map: SourceMapSlot::new(source_map),
                log,
                observer: options.observer.clone(),
                share,
                executions: Arc::new(Semaphore::new(limits.concurrent_executions as usize)),
                limits,
            }),
        })
    }

    /// The linker that has the engine with this digest, which a component left out; none as in [`Self::engine`].
    fn known_engine(
        &self,
        digest: &str,
        compiling: Compiling,
        job: &Job,
    ) -> Result<Option<Arc<Linker<InstanceState>>>, Error> {
        if let Some(module) = self.known_engines.get(digest) {
            return self.engine(digest, module, compiling, job);
        }
        // Another component may have brought it.
        let brought = self.engines().get(digest).cloned();
        let brought = match brought.as_deref().map(|slot| wait(slot, compiling)) {
            Some(None) => return Ok(None),
            Some(Some(linker)) => linker.clone(),
            None => None,
        };
        brought.map(Some).ok_or_else(|| {
            let message =
                format!("this host does not have the engine {digest}; load the component's self-contained form");
            Error::new(ErrorCode::UnknownEngine, message)
        })
    }

    /// The linker that has the engine with this digest; compiles the engine if it is new. None if that is not allowed, or another is at it.
    fn engine(
        &self,
        digest: &str,
        module: &[u8],
        compiling: Compiling,
        job: &Job,
    ) -> Result<Option<Arc<Linker<InstanceState>>>, Error> {
        let slot = Arc::clone(self.engines().entry(digest.to_owned()).or_default());
        let Some(mut linker) = wait(&slot, compiling) else { return Ok(None) };
        if let Some(linker) = linker.as_ref() {
            return Ok(Some(Arc::clone(linker)));
        }
        let kept = self.cache.as_ref().and_then(|cache| cache.kept_module(&self.own.engine, module));
        let compiled = match kept {
            Some(compiled) => Ok(compiled),
            None if compiling == Compiling::Forbidden => Err(None),
            None => self.compile_engine(digest, module, job).map_err(Some),
        };
        let compiled = match compiled {
            Ok(compiled) => compiled,
            Err(error) => {
                self.forget_engine(digest, &slot);
                return error.map_or(Ok(None), Err);
            }
        };
        let mut made = self.own.linker.clone();
        made.root().module(&layout::engine_import(digest), &compiled).map_err(bad_component)?;
        Ok(Some(Arc::clone(linker.insert(Arc::new(made)))))
    }

    fn engines(&self) -> MutexGuard<'_, HashMap<String, EngineSlot>> {
        self.engines.lock().unwrap_or_else(PoisonError::into_inner) // the map is whole after every operation
    }

    /// Takes back an engine's place in which there is nothing, unless another is at it: components that are refused leave nothing behind.
    fn forget_engine(&self, digest: &str, slot: &EngineSlot) {
        let mut engines = self.engines();
        // Who has the place by now got it from the map, which is ours here.
        if Arc::strong_count(slot) == 2 {
            engines.remove(digest);
        }
    }
}

/// A component that was compiled and linked, and was not given its capabilities yet.
pub(crate) struct Linked {
    wasmtime: Engine,
    engine: Option<String>,
    image: Option<Arc<Image>>,
    name: String,
    version: String,
    digest: String,
    manifest: Option<Manifest>,
    fetch: Option<FetchExport>,
    call: Option<CallExport>,
    source_map: Option<String>,
    imported: Vec<(Arc<dyn ErasedCapability>, String)>,
}

impl From<Linked> for Compiled {
    fn from(linked: Linked) -> Self {
        let capabilities = linked.imported.iter().map(|(capability, _)| capability.name().to_owned()).collect();
        Self { manifest: linked.manifest, engine: linked.engine, capabilities, answers_http: linked.fetch.is_some() }
    }
}
