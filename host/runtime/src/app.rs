//! A loaded component, ready to run: what embedders call.

use crate::call::{self, CallOutput};
use crate::capability::Capability;
use crate::error::Error;
use crate::fetch::{self, Body};
use crate::handlers::{HandlerPools, Handlers};
use crate::instance::LoadedComponent;
use crate::json_export::CallOptions;
use crate::limits::Limits;
use crate::trigger::{self, EventBatch, EventMessage, Job, RunOutcome, Tick};
use crate::worker::{SwapSide, Worker, WorkerCode, WorkerHeap, WorkerInstances, check_swap};
use bytes::Bytes;
use elias_contract::ErrorCode;
use elias_contract::manifest::Manifest;
use std::any::TypeId;
use std::sync::Arc;

/// A loaded component. Cloning it is cheap; each request finds the memory as the build left it.
#[derive(Clone)]
pub struct App {
    component: Arc<LoadedComponent>,
    manifest: Option<Arc<Manifest>>,
    pools: Arc<HandlerPools>,
    code: Option<WorkerCode>,
}

impl App {
    /// Of a component, its manifest if it has one, the instances for each of the handlers that it exports, and what it
    /// has for workers of other versions.
    pub(crate) fn new(
        component: LoadedComponent,
        manifest: Option<Manifest>,
        pools: HandlerPools,
        code: Option<WorkerCode>,
    ) -> Self {
        Self { component: Arc::new(component), manifest: manifest.map(Arc::new), pools: Arc::new(pools), code }
    }

    /// The component's manifest; none for components of other toolchains.
    #[must_use]
    pub fn manifest(&self) -> Option<&Manifest> {
        self.manifest.as_deref()
    }

    /// The handlers that it exports.
    #[must_use]
    pub fn handlers(&self) -> Handlers {
        self.pools.handlers
    }

    /// SHA-256 of the component's file, in hexadecimal.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.component.info.digest
    }

    /// The component's name: the manifest's, else the first digits of its digest.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.component.info.name
    }

    /// The component's version: the manifest's, else `0.0.0`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.component.info.version
    }

    /// The limits of its executions.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.component.limits
    }

    /// A stack that JavaScript gave, in positions of the original sources, where the component has a source map.
    #[must_use]
    pub fn original_stack(&self, stack: &str) -> String {
        self.component.log.text().original_stack(stack)
    }

    /// The component's grant of a capability, for an embedder that uses the same resources beside its
    /// executions; none if it does not import the capability.
    #[must_use]
    pub fn grant<C: Capability>(&self) -> Option<Arc<C::Grant>> {
        self.component.granted(TypeId::of::<C>())?.grant().downcast::<C::Grant>().ok()
    }

    /// Responds to an HTTP request. A [`crate::Caller`] in its extensions says on whose behalf the guest runs, and a
    /// [`crate::ExecutionHandle`] can cancel it; [`crate::RequestLimits`] bound this request alone; the other
    /// extensions are for capabilities, as [`CallOptions::extensions`] are for calls.
    ///
    /// The request's URI should be absolute, or the request have a `host` header. The guest runs while this future and
    /// then the response's [`Body`] are polled; dropping either ends it. The response's extensions hold a
    /// [`crate::ExecutionHandle`].
    ///
    /// # Errors
    /// Whatever ended the guest before it responded; see [`ErrorCode`].
    pub async fn fetch<B>(&self, request: http::Request<B>) -> Result<http::Response<Body>, Error>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let pool = self.pools.fetch.as_ref().ok_or_else(|| self.missing_handler("fetch", "serve requests"))?;
        fetch::fetch(&self.component, pool, request).await
    }

    /// Calls the component's `call` handler without a caller.
    ///
    /// # Errors
    /// Whatever ended the guest before it responded; see [`ErrorCode`].
    pub async fn call(&self, input: &serde_json::Value) -> Result<CallOutput, Error> {
        self.call_with(input, CallOptions::default()).await
    }

    /// Calls the component's `call` handler.
    ///
    /// # Errors
    /// As [`Self::call`]; `cancelled`, if [`crate::ExecutionHandle::cancel`] ended it.
    pub async fn call_with(&self, input: &serde_json::Value, options: CallOptions) -> Result<CallOutput, Error> {
        let pool = self.pools.call.as_ref().ok_or_else(|| self.missing_handler("call", "be called"))?;
        call::call(&self.component, pool, input, options).await
    }

    /// Runs the component's `scheduled` handler.
    ///
    /// # Errors
    /// As [`Self::call_with`]; `exception`, if one left the handler.
    pub async fn run_schedule(&self, tick: &Tick, options: CallOptions) -> Result<RunOutcome, Error> {
        let pool = self.pools.scheduled.as_ref();
        let pool = pool.ok_or_else(|| self.missing_handler("scheduled", "run schedules"))?;
        trigger::run(&self.component, pool, tick, options).await
    }

    /// Runs the component's `job` handler.
    ///
    /// # Errors
    /// As [`Self::run_schedule`].
    pub async fn run_job(&self, job: &Job, options: CallOptions) -> Result<RunOutcome, Error> {
        let pool = self.pools.job.as_ref().ok_or_else(|| self.missing_handler("job", "run jobs"))?;
        trigger::run_job(&self.component, pool, job, options).await
    }

    /// Runs the component's `event` handler.
    ///
    /// # Errors
    /// As [`Self::run_schedule`].
    pub async fn run_event(&self, event: &EventMessage, options: CallOptions) -> Result<RunOutcome, Error> {
        let pool = self.pools.event.as_ref().ok_or_else(|| self.missing_handler("event", "take events"))?;
        trigger::run(&self.component, pool, event, options).await
    }

    /// Runs the component's `events` handler.
    ///
    /// # Errors
    /// As [`Self::run_schedule`].
    pub async fn run_events(&self, batch: &EventBatch, options: CallOptions) -> Result<RunOutcome, Error> {
        let pool = self.pools.events.as_ref().ok_or_else(|| self.missing_handler("events", "take batches"))?;
        trigger::run_events(&self.component, pool, batch, options).await
    }

    /// A new service worker, which begins as the application's image. Nothing of it runs before its first
    /// [`Worker::turn`].
    ///
    /// # Errors
    /// `missing-export`, if the component has no workers, or was not made by `elias-build`: then its memory is not all
    /// of its state.
    pub fn start_worker(&self) -> Result<Worker, Error> {
        Ok(Worker::start(&self.component, self.workers()?))
    }

    /// A service worker that goes on with this heap, of a worker of this application on any host. Nothing of it runs
    /// before its next [`Worker::turn`].
    ///
    /// # Errors
    /// As [`Self::start_worker`]; `heap-mismatch`, if the heap is of another engine or image, and so of another version
    /// of the application; `out-of-memory`, if it is larger than the limit `memory_bytes`.
    pub fn restore_worker(&self, heap: &WorkerHeap) -> Result<Worker, Error> {
        Worker::restore(&self.component, self.workers()?, heap)
    }

    /// Reads a heap, as [`WorkerHeap::to_bytes`] writes it, of a worker of this application. Pages of another
    /// application's heap are not decompressed.
    ///
    /// # Errors
    /// As of [`Self::start_worker`] and [`WorkerHeap::from_bytes`], with the limit `memory_bytes`; `heap-mismatch`, if
    /// the heap is of another engine or image.
    pub fn read_heap(&self, bytes: &[u8]) -> Result<WorkerHeap, Error> {
        WorkerHeap::from_bytes_of(&self.workers()?.layout.origin, bytes, self.component.limits.memory_bytes)
    }

    /// Refuses such bytes if [`Self::read_heap`] refuses them for what the heap belongs to. No page is decompressed.
    ///
    /// # Errors
    /// As of [`Self::start_worker`] and [`WorkerHeap::component_of`]; `heap-mismatch`, if the heap is of another engine
    /// or image.
    pub fn check_heap(&self, bytes: &[u8]) -> Result<(), Error> {
        WorkerHeap::check_origin(&self.workers()?.layout.origin, bytes)
    }

    /// The code of this version, for workers whose heaps are of another one; none if it was built without it.
    #[must_use]
    pub fn worker_code(&self) -> Option<&WorkerCode> {
        self.code.as_ref()
    }

    /// The code of the version `next`, if heaps of this one can have it: a worker of this version that runs a turn of
    /// the kind [`Swap`](crate::TurnKind::Swap) goes on in `next`, as a worker of this `App`. Stacks of that code are
    /// shown in the sources of `next` from here on.
    ///
    /// # Errors
    /// `heap-mismatch`, with what the versions differ in: engine, imports, web modules.
    pub fn swap_into(&self, next: &Self) -> Result<WorkerCode, Error> {
        let code = check_swap(&self.swap_side(), &next.swap_side())?;
        let map = next.component.log.text().source_map();
        self.component.log.text().add_source_map(code.module(), map);
        Ok(code)
    }

    fn swap_side(&self) -> SwapSide<'_> {
        SwapSide { manifest: self.manifest(), code: self.worker_code() }
    }

    fn workers(&self) -> Result<&WorkerInstances, Error> {
        self.pools.worker.as_ref().ok_or_else(|| {
            let need = if self.pools.handlers.worker { "be made by elias-build" } else { "export a class of them" };
            let message = format!("{} must {need} to have workers", self.name());
            Error::new(ErrorCode::MissingExport, message)
        })
    }

    fn missing_handler(&self, handler: &str, purpose: &str) -> Error {
        let message = format!("{} must export a `{handler}` handler to {purpose}", self.name());
        Error::new(ErrorCode::MissingExport, message)
    }
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "App({} {} {})", self.name(), self.version(), self.digest())
    }
}
