//! The host's side of one instance: the data of its store, the host resources that it holds, and the limits that are
//! left.
//!
//! - `component`: the component that it is an instance of.
//! - `info`: what capabilities are told about it.
//! - `limiter`: the bounds on its memories and tables.
//! - `charge`: fuel for what the host does for it.
//! - `wasi_view`: what wasmtime's WASI implementations ask of it.

mod charge;
mod component;
mod info;
mod limiter;
mod wasi_view;

pub use info::InstanceInfo;

pub(crate) use charge::charge;
pub(crate) use component::{GrantedCapability, LoadedComponent};
pub(crate) use limiter::MemoryUsage;

use crate::execution::{Caller, Meter};
use charge::Charges;
use limiter::Limiter;
use std::any::{Any, TypeId};
use std::sync::{Arc, LazyLock};
use std::time::Instant;
use wasi_view::Hooks;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::WasiCtx;
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks};

/// The bounds of one execution, which do not exceed the limits of its component.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ExecutionBounds {
    /// When it has to have ended.
    pub(crate) ends: Instant,
    /// Units of fuel.
    pub(crate) fuel: u64,
    /// Bytes of linear memory.
    pub(crate) memory_bytes: u64,
}

/// The data of an instance's store.
pub struct InstanceState {
    info: InstanceInfo,
    /// Units of fuel with which the execution begins.
    pub(crate) fuel: u64,
    pub(crate) limiter: Limiter,
    pub(crate) charges: Charges,
    pub(crate) table: ResourceTable,
    http: WasiHttpCtx,
    hooks: Hooks,
    /// Made when first asked for: most instances never are.
    wasi: Option<WasiCtx>,
    contexts: Vec<(TypeId, Box<dyn Any + Send>)>,
}

impl InstanceState {
    pub(crate) fn new(
        component: &Arc<LoadedComponent>,
        execution: Arc<str>,
        bounds: ExecutionBounds,
        meter: Arc<Meter>,
        caller: Arc<Caller>,
        extensions: Option<Arc<http::Extensions>>,
    ) -> Self {
        let limits = &component.limits;
        let ExecutionBounds { ends, fuel, memory_bytes } = bounds;
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.host_resources as usize);
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(limits.header_bytes as usize);
        Self {
            fuel,
            limiter: Limiter::new(memory_bytes, limits.table_elements, Arc::clone(&meter)),
            charges: Charges::new(fuel, limits.fuel_yield_interval),
            info: InstanceInfo { execution, ends, component: Arc::clone(component), caller, extensions, meter },
            table,
            http,
            hooks: Hooks,
            wasi: None,
            contexts: Vec::new(),
        }
    }

    /// Drops the execution's host resources, its caller and the extensions for capabilities.
    pub(crate) fn retire(&mut self) {
        static NOBODY: LazyLock<Arc<Caller>> = LazyLock::new(Arc::default);
        self.contexts.clear();
        self.wasi = None;
        self.table = ResourceTable::new();
        self.info.caller = Arc::clone(&NOBODY);
        self.info.extensions = None;
    }

    /// Units of fuel for work that was done since the last charge; see
    /// [`CallMeter::works`](crate::execution::CallMeter::works).
    pub(crate) fn take_work(&self) -> u64 {
        self.info.meter.take_work()
    }

    /// The identity of this instance.
    #[must_use]
    pub fn info(&self) -> &InstanceInfo {
        &self.info
    }

    /// The context that the capability of this type made for the instance; made on first use.
    ///
    /// # Panics
    /// If the component does not import that capability.
    pub(crate) fn context_of(&mut self, capability: TypeId) -> &mut (dyn Any + Send) {
        let at = self.contexts.iter().position(|(id, _)| *id == capability).unwrap_or_else(|| {
            let granted = self.info.component.granted(capability);
            let granted = granted.expect("host functions are called by components that import them");
            self.contexts.push((capability, granted.prepare(&self.info)));
            self.contexts.len() - 1
        });
        &mut *self.contexts[at].1
    }

    /// The table of the guest's handles to host resources. Its capacity is the limit `host_resources`.
    pub fn table(&mut self) -> &mut ResourceTable {
        &mut self.table
    }

    /// The state for `wasi:http`, with other hooks: for a capability that sends requests.
    pub fn http_with<'a>(&'a mut self, hooks: &'a mut dyn WasiHttpHooks) -> WasiHttpCtxView<'a> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks }
    }
}
