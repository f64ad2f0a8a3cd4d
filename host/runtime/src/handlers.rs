//! The handlers that a component exports: where they are in it, and the instances for each.

use crate::call::{self, CallHandler};
use crate::fetch::{FetchExport, FetchHandler};
use crate::instance::InstanceState;
use crate::json_export::JsonExport;
use crate::memory::Image;
use crate::recycling::{Group, Handler, InstancePool, Instances, Template};
use crate::trigger::{self, JobHandler, TriggerHandler};
use crate::worker::{self, HeapLayout, WorkerHandler, WorkerInstances};
use std::sync::Arc;
use wasmtime::Engine;
use wasmtime::component::{Component, InstancePre};

/// The handlers that a component exports, by their names in JavaScript.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Handlers {
    /// It serves HTTP requests.
    pub fetch: bool,
    /// It serves calls.
    pub call: bool,
    /// It runs schedules.
    pub scheduled: bool,
    /// It runs jobs.
    pub job: bool,
    /// It takes events.
    pub event: bool,
    /// It takes batches of events.
    pub events: bool,
    /// It has service workers.
    pub worker: bool,
}

/// The exports of a component's handlers.
pub(crate) struct Exports {
    fetch: Option<FetchExport>,
    call: Option<JsonExport>,
    scheduled: Option<JsonExport>,
    job: Option<JsonExport>,
    event: Option<JsonExport>,
    events: Option<JsonExport>,
    worker: Option<JsonExport>,
}

impl Exports {
    /// Looks the handlers up; none if the component exports no handler at all.
    pub(crate) fn find(component: &Component, pre: InstancePre<InstanceState>) -> Option<Self> {
        let find = |interface| JsonExport::find(component, &pre, interface, trigger::FUNCTION);
        let exports = Self {
            call: JsonExport::find(component, &pre, call::INTERFACE, call::FUNCTION),
            scheduled: find(trigger::SCHEDULE),
            job: find(trigger::JOB),
            event: find(trigger::EVENT),
            events: find(trigger::EVENTS),
            worker: JsonExport::find(component, &pre, worker::INTERFACE, worker::FUNCTION),
            fetch: FetchExport::find(component, pre),
        };
        (exports.handlers() != Handlers::default()).then_some(exports)
    }

    /// The handlers that are exported.
    pub(crate) fn handlers(&self) -> Handlers {
        Handlers {
            fetch: self.fetch.is_some(),
            call: self.call.is_some(),
            scheduled: self.scheduled.is_some(),
            job: self.job.is_some(),
            event: self.event.is_some(),
            events: self.events.is_some(),
            worker: self.worker.is_some(),
        }
    }
}

/// The parts of which all instances of a component are made, whatever handler is called in them.
pub(crate) struct InstanceParts<'a> {
    pub(crate) engine: Engine,
    pub(crate) image: Option<Arc<Image>>,
    /// What is known of its workers' heaps, if it has workers and a memory of the host's.
    pub(crate) heap: Option<HeapLayout>,
    pub(crate) instances: &'a Arc<Instances>,
    pub(crate) group: Option<Arc<Group>>,
}

impl InstanceParts<'_> {
    fn pool<H: Handler>(&self, export: Option<&H::Export>) -> Option<Arc<InstancePool<H>>> {
        let (engine, image) = (self.engine.clone(), self.image.clone());
        let template: Template<H> = Template { engine, image, export: export?.clone() };
        Some(InstancePool::new(template, self.instances, self.group.clone()))
    }
}

/// The instances for each of a component's handlers.
pub(crate) struct HandlerPools {
    /// Which there are.
    pub(crate) handlers: Handlers,
    pub(crate) fetch: Option<Arc<InstancePool<FetchHandler>>>,
    pub(crate) call: Option<Arc<InstancePool<CallHandler>>>,
    pub(crate) scheduled: Option<Arc<InstancePool<TriggerHandler>>>,
    pub(crate) job: Option<Arc<InstancePool<JobHandler>>>,
    pub(crate) event: Option<Arc<InstancePool<TriggerHandler>>>,
    pub(crate) events: Option<Arc<InstancePool<JobHandler>>>,
    /// None also for components of other toolchains that export the interface: their memory is not all of their state.
    pub(crate) worker: Option<WorkerInstances>,
    /// The code of them all. As long as it is here, further components with the same code share it. Nothing is asked of
    /// it, so its type is known to `load` alone.
    _code: Arc<dyn Send + Sync>,
}

impl HandlerPools {
    /// No instances yet, for the exports of this code.
    pub(crate) fn new(exports: &Exports, code: Arc<dyn Send + Sync>, parts: &InstanceParts<'_>) -> Self {
        let Exports { fetch, call, scheduled, job, event, events, worker } = exports;
        let workers: Option<Arc<InstancePool<WorkerHandler>>> = parts.pool(worker.as_ref());
        Self {
            handlers: exports.handlers(),
            fetch: parts.pool(fetch.as_ref()),
            call: parts.pool(call.as_ref()),
            scheduled: parts.pool(scheduled.as_ref()),
            job: parts.pool(job.as_ref()),
            event: parts.pool(event.as_ref()),
            events: parts.pool(events.as_ref()),
            worker: workers.zip(parts.heap.clone()).map(|(pool, layout)| WorkerInstances { pool, layout }),
            _code: code,
        }
    }
}
