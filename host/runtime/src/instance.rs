//! The host's side of one instance: what it holds, and what it may still take.

use crate::app::{AppInner, Granted};
use crate::aside;
use crate::capability::{Capability, ErasedCapability};
use crate::execution::Caller;
use crate::limits::Limits;
use crate::log;
use crate::pricing::Charges;
use crate::run::Meter;
use std::any::{Any, TypeId};
use std::borrow::Cow;
use std::sync::{Arc, LazyLock};
use std::task::Poll;
use std::time::{Duration, Instant};
use wasmtime::ResourceLimiter;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{
    DEFAULT_FORBIDDEN_HEADERS, Error as HttpError, ForbiddenHeaderFilter, RequestOptions, WasiBody, WasiHttpCtx,
    WasiHttpCtxView, WasiHttpHooks, WasiHttpView,
};

/// Bytes of the shortest secret that [`InstanceInfo::redact`] looks for.
pub const SECRET_BYTES_MIN: usize = 4;

/// Bytes of a log line, message and fields together, that are kept.
pub const LOG_LINE_BYTES_MAX: usize = log::LINE_BYTES_MAX;

/// Fields of a log line that are kept.
pub const LOG_FIELDS_MAX: usize = log::FIELDS_MAX;

/// Core instances, tables and memories of a component: one of ELIAS has three, two and one.
pub(crate) const CORE_INSTANCES_MAX: usize = 16;
pub(crate) const TABLES_MAX: usize = 8;
pub(crate) const MEMORIES_MAX: usize = 4;

/// The data of an instance's store.
pub struct InstanceState {
    info: InstanceInfo,
    pub(crate) limiter: Limiter,
    pub(crate) charges: Charges,
    pub(crate) table: ResourceTable,
    http: WasiHttpCtx,
    hooks: Hooks,
    /// Made when first asked for: most instances never are.
    wasi: Option<WasiCtx>,
    contexts: Vec<(TypeId, Box<dyn Any + Send>)>,
}

/// Which instance this is.
#[derive(Clone)]
pub struct InstanceInfo {
    execution: Arc<str>,
    ends: Instant,
    app: Arc<AppInner>,
    caller: Arc<Caller>,
    meter: Arc<Meter>,
}

impl InstanceInfo {
    /// What measures this instance's calls to the capability of this name.
    #[must_use]
    pub fn call_meter(&self, capability: &'static str) -> CallMeter {
        CallMeter { meter: Arc::clone(&self.meter), capability }
    }

    /// The execution's id.
    #[must_use]
    pub fn execution(&self) -> &str {
        &self.execution
    }

    /// The component's name.
    #[must_use]
    pub fn component(&self) -> &str {
        &self.app.name
    }

    /// The component's version.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.app.version
    }

    /// SHA-256 of the component, in hexadecimal.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.app.digest
    }

    /// On whose behalf the instance runs.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// What the instance may take.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.app.limits
    }

    /// `text` with `[redacted]` in place of the secrets that the component was granted. Secrets of fewer than
    /// [`SECRET_BYTES_MIN`] bytes stay: they occur everywhere.
    #[must_use]
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.app.redact(text)
    }

    /// Writes a line of the guest's: an event with the target `elias::guest` and the execution's id, the component and
    /// its version. Stacks in it are shown in original positions, secrets are redacted, and control characters are
    /// shown instead of obeyed. A line is cut to [`LOG_LINE_BYTES_MAX`] bytes before any of that is done; all lines of
    /// a component's instances are bounded by the limit `log_bytes_per_second`: what is over is dropped, and counted in
    /// the next line that is let through.
    pub fn log(&self, level: tracing::Level, message: &str, fields: &[(String, String)]) {
        log::write(&self.app, &self.execution, level, message, fields);
    }

    /// Writes into the audit log (the target `elias::audit`) that the secret of this name was read. The line counts
    /// against the limit `log_bytes_per_second`; a capability writes it once for a secret and an instance.
    pub fn secret_read(&self, key: &str) {
        log::secret_read(&self.app, &self.execution, key);
    }

    /// Does work that can take longer than a millisecond on one of the host's threads for such work, while the instance
    /// waits. `work` does a part of it, of some milliseconds at most, and says whether there is more: after each part
    /// the work of others has its turn, by the groups of their [`CpuShare`](crate::CpuShare)s, and work whose execution
    /// is over is not gone on with.
    ///
    /// It is paid like any other work, before it is begun, in the price of the function that does it.
    ///
    /// # Errors
    /// [`Stopped`], if the execution's deadline passed meanwhile, or the work panicked.
    pub fn aside<T: Send + 'static>(
        &self,
        work: impl FnMut() -> Poll<T> + Send + 'static,
    ) -> impl Future<Output = wasmtime::Result<T>> + Send + 'static {
        aside::run(self.share_group(), self.ends, work)
    }

    /// From whose share of the host work is done for the instance.
    pub(crate) fn share_group(&self) -> aside::ShareId {
        self.app.share.group()
    }

    /// How long until the execution is ended.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.ends.saturating_duration_since(Instant::now())
    }
}

/// Measures an instance's calls to a capability; a cheap handle. The default is nobody's, for tests of a capability.
#[derive(Debug, Clone, Default)]
pub struct CallMeter {
    meter: Arc<Meter>,
    capability: &'static str,
}

impl CallMeter {
    /// A call begins now, and ends when what is given is dropped.
    #[must_use]
    pub fn begin(&self) -> HostCall {
        HostCall { meter: self.clone(), began: Instant::now() }
    }

    /// Work that was done for the instance where no price can be taken before it, such as decoding what it reads: so
    /// many units of fuel, which are charged with its next host call. Such work is done in small parts, each as the
    /// guest asks.
    pub fn works(&self, units: u64) {
        self.meter.works(units);
    }

    /// So many bytes of what the component gave go to another server.
    pub fn sends(&self, bytes: u64) {
        self.meter.sends(bytes);
    }
}

/// A call to a capability, which is under way until this is dropped.
#[derive(Debug)]
pub struct HostCall {
    meter: CallMeter,
    began: Instant,
}

impl Drop for HostCall {
    fn drop(&mut self) {
        self.meter.meter.host_call(self.meter.capability, self.began.elapsed());
    }
}

impl InstanceState {
    pub(crate) fn new(
        app: &Arc<AppInner>,
        execution: Arc<str>,
        ends: Instant,
        meter: Arc<Meter>,
        caller: Arc<Caller>,
    ) -> Self {
        let limits = &app.limits;
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.host_resources as usize);
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(limits.header_bytes as usize);
        Self {
            limiter: Limiter {
                memory_bytes: limits.memory_bytes,
                table_elements: limits.table_elements as usize,
                used: Usage::default(),
                meter: Arc::clone(&meter),
            },
            charges: Charges::new(limits.fuel, limits.fuel_yield_interval),
            info: InstanceInfo { execution, ends, app: Arc::clone(app), caller, meter },
            table,
            http,
            hooks: Hooks,
            wasi: None,
            contexts: Vec::new(),
        }
    }

    /// Drops what the execution held of the host, and whose it was.
    pub(crate) fn retire(&mut self) {
        static NOBODY: LazyLock<Arc<Caller>> = LazyLock::new(Arc::default);
        self.contexts.clear();
        self.wasi = None;
        self.table = ResourceTable::new();
        self.info.caller = Arc::clone(&NOBODY);
    }

    /// Units of fuel for work that was done since the last charge; see [`CallMeter::works`].
    pub(crate) fn take_work(&self) -> u64 {
        self.info.meter.take_work()
    }

    /// Which instance this is.
    #[must_use]
    pub fn info(&self) -> &InstanceInfo {
        &self.info
    }

    /// This instance's context of capability `C`, prepared on first use.
    ///
    /// # Panics
    /// If the component does not import `C`; its host functions are then not linked and nothing calls this.
    pub fn context<C: Capability>(&mut self) -> &mut C::Context {
        let wanted = TypeId::of::<C>();
        let at = self.contexts.iter().position(|(id, _)| *id == wanted).unwrap_or_else(|| {
            let granted = self.info.app.granted.iter().find(|granted| {
                let capability: &dyn ErasedCapability = &*granted.capability;
                capability.type_id() == wanted
            });
            let Granted { capability, grant } =
                granted.expect("host functions are called by components that import them");
            self.contexts.push((wanted, capability.prepare(&self.info, grant)));
            self.contexts.len() - 1
        });
        self.contexts[at].1.downcast_mut().expect("a context is stored under its capability's type")
    }
}

impl InstanceState {
    /// The table of the guest's handles to host resources. Its capacity is the limit `host_resources`.
    pub fn table(&mut self) -> &mut ResourceTable {
        &mut self.table
    }

    /// What `wasi:http` needs, with other hooks: for a capability that sends requests.
    pub fn http_with<'a>(&'a mut self, hooks: &'a mut dyn WasiHttpHooks) -> WasiHttpCtxView<'a> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks }
    }
}

/// Counts what the instance's memories and tables take.
pub(crate) struct Limiter {
    memory_bytes: u64,
    table_elements: usize,
    used: Usage,
    meter: Arc<Meter>,
}

/// What an instance takes of what is limited.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    memory_bytes: u64,
    table_elements: usize,
}

impl Limiter {
    pub(crate) fn usage(&self) -> Usage {
        self.used
    }

    /// An execution begins in an instance that takes so much already.
    pub(crate) fn begin(&mut self, used: Usage) {
        self.used = used;
        self.meter.memory(used.memory_bytes);
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let used = self.used.memory_bytes + (desired - current) as u64;
        if used > self.memory_bytes {
            self.meter.deny_memory();
            return Ok(false);
        }
        self.used.memory_bytes = used;
        self.meter.memory(used);
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let used = self.used.table_elements + (desired - current);
        if used > self.table_elements {
            self.meter.deny_memory();
            return Ok(false);
        }
        self.used.table_elements = used;
        Ok(true)
    }

    fn instances(&self) -> usize {
        CORE_INSTANCES_MAX
    }

    fn tables(&self) -> usize {
        TABLES_MAX
    }

    fn memories(&self) -> usize {
        MEMORIES_MAX
    }
}

/// Decisions of `wasi:http/types`. Requests go out through a capability's own hooks; see [`InstanceState::http_with`].
struct Hooks;

type Sent = Result<(http::Response<WasiBody>, Box<dyn Future<Output = Result<(), HttpError>> + Send>), HttpError>;

impl WasiHttpHooks for Hooks {
    fn is_forbidden_header(&mut self, name: &http::HeaderName) -> bool {
        DEFAULT_FORBIDDEN_HEADERS.contains(name)
    }

    fn forbidden_header_filter(&mut self) -> ForbiddenHeaderFilter {
        static FILTER: std::sync::LazyLock<ForbiddenHeaderFilter> =
            std::sync::LazyLock::new(|| Arc::new(|name| DEFAULT_FORBIDDEN_HEADERS.contains(name)));
        Arc::clone(&FILTER)
    }

    fn send_request(
        &mut self,
        _: http::Request<WasiBody>,
        _: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), HttpError>> + Send>,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        Box::new(async { Err(HttpError::HttpRequestDenied) })
    }
}

impl WasiView for InstanceState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        // No arguments, no environment, no folders, no network: only clocks and randomness do anything.
        let ctx = self.wasi.get_or_insert_with(|| WasiCtx::builder().build());
        WasiCtxView { ctx, table: &mut self.table }
    }
}

impl WasiHttpView for InstanceState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: &mut self.hooks }
    }
}
