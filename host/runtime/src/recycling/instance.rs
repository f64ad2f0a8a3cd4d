//! An instance of a component with the handler that is called in it, during an execution and between two.

use crate::instance::{InstanceState, MemoryUsage};
use crate::memory::{self, Difference, Image, Slot, Stack};
use crate::trap_backtrace;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;
use wasmtime::{Engine, Store};

/// Bytes of an idle instance beside the pages of its memory: its store, its tables, and what it keeps of its stack.
const INSTANCE_BYTES: usize = (64 << 10) + memory::STACK_KEPT_BYTES;

/// A function that executions call in an instance: one of a component's handlers.
pub(crate) trait Handler: Sized + Send + Sync + 'static {
    /// Where the handler is in a component, found once when the component is loaded.
    type Export: Clone + Send + Sync + 'static;

    /// Instantiates the component.
    fn instantiate(
        export: &Self::Export,
        store: &mut Store<InstanceState>,
    ) -> impl Future<Output = wasmtime::Result<Self>> + Send;
}

/// The parts of which instances of a component are made.
pub(crate) struct Template<H: Handler> {
    /// The configuration under which the component runs.
    pub(crate) engine: Engine,
    /// The content of its memory when an execution begins; none for components of other toolchains.
    pub(crate) image: Option<Arc<Image>>,
    /// The export that is called in it.
    pub(crate) export: H::Export,
}

/// An instance, or the store for one. Fields drop in order: the permit last.
pub(crate) struct Instance<H> {
    pub(crate) store: Store<InstanceState>,
    /// There once it is instantiated.
    handler: Option<H>,
    /// What its memory is to begin with beside the image: a worker's heap.
    pub(super) heap: Option<Arc<Difference>>,
    /// Its memory, if that is the host's.
    pub(super) slot: Option<Arc<Slot>>,
    /// The stack that the store keeps.
    pub(super) stack: Option<Arc<Stack>>,
    /// Whether the guest was called since the memory was the image's.
    pub(super) has_run: bool,
    /// Its share of its limits when an execution begins.
    pub(super) usage: MemoryUsage,
    pub(super) permit: Option<OwnedSemaphorePermit>,
}

impl<H> Instance<H> {
    pub(super) fn new(engine: &Engine, state: InstanceState, permit: Option<OwnedSemaphorePermit>) -> Self {
        let mut store = Store::new(engine, state);
        store.limiter(|state| &mut state.limiter);
        Self {
            store,
            handler: None,
            heap: None,
            slot: None,
            stack: None,
            has_run: false,
            usage: MemoryUsage::default(),
            permit,
        }
    }

    /// Begins another execution in it.
    pub(super) fn begin(&mut self, state: InstanceState) {
        *self.store.data_mut() = state;
        self.store.data_mut().limiter.begin(self.usage);
    }

    /// Bytes that it has for itself.
    pub(super) fn bytes(&self) -> usize {
        INSTANCE_BYTES + self.slot.as_ref().map_or(0, |slot| slot.private_bytes())
    }
}

impl<H: Handler> Instance<H> {
    /// Prepares an execution that is about to call the guest; instantiates the component if it was not yet.
    ///
    /// # Errors
    /// If it cannot be instantiated.
    pub(crate) async fn ready(&mut self, template: &Template<H>) -> wasmtime::Result<ReadyInstance<'_, H>> {
        let Self { store, handler, heap, slot, stack, has_run, usage, .. } = self;
        *has_run = true;
        if handler.is_none() {
            let export = &template.export;
            let made = match &template.image {
                None => H::instantiate(export, store).await?,
                Some(image) => {
                    let heap = heap.take();
                    let instantiating = H::instantiate(export, store);
                    let (made, memory) = memory::instantiate(image, heap.as_deref(), instantiating).await?;
                    store.data_mut().limiter.restored(memory.grown_bytes());
                    *slot = Some(memory);
                    made
                }
            };
            // To be instantiated is not the execution's affair: it has the same fuel in a new instance as in a used
            // one. No code of the guest has run, but for what fills its table.
            let fuel = store.data().fuel;
            store.set_fuel(fuel)?;
            *usage = store.data().limiter.usage();
            *handler = Some(made);
        }
        let handler = handler.as_ref().ok_or_else(|| wasmtime::format_err!("it was instantiated"))?;
        Ok(ReadyInstance { store, handler, slot: slot.as_deref(), stack })
    }
}

/// An instance whose guest is about to be called.
pub(crate) struct ReadyInstance<'a, H> {
    store: &'a mut Store<InstanceState>,
    handler: &'a H,
    slot: Option<&'a Slot>,
    stack: &'a mut Option<Arc<Stack>>,
}

impl<H> ReadyInstance<'_, H> {
    /// Calls the guest.
    ///
    /// # Errors
    /// The reason for the end of the guest, and its activity at that moment.
    pub(crate) async fn call<T>(
        self,
        call: impl AsyncFnOnce(&H, &mut Store<InstanceState>) -> wasmtime::Result<T>,
    ) -> wasmtime::Result<T> {
        let Self { store, handler, slot, stack } = self;
        let called = memory::watched(slot, stack, call(handler, &mut *store)).await;
        called.map_err(|error| trap_backtrace::add_backtrace(store, error))
    }
}
