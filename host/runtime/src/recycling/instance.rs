//! An instance, during an execution and between two.

use super::Idle;
use crate::app::{App, AppInner};
use crate::instance::{InstanceState, Usage};
use crate::memory::{self, Slot, Stack};
use crate::post_mortem;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;
use wasmtime::Store;

/// Bytes of an idle instance beside the pages of its memory: its store, its tables, and what it keeps of its stack.
const INSTANCE_BYTES: usize = (64 << 10) + memory::STACK_KEPT_BYTES;

/// What an execution calls.
pub(crate) trait Export: Sized + Send + Sync + 'static {
    /// Instantiates the component.
    fn instantiate(
        app: &AppInner,
        store: &mut Store<InstanceState>,
    ) -> impl Future<Output = wasmtime::Result<Self>> + Send;

    /// The component's idle instances of this export.
    fn idle(app: &App) -> &Arc<Idle<Self>>;
}

/// An instance, or the store for one. Fields drop in order: the permit last.
pub(crate) struct Instance<E> {
    pub(crate) store: Store<InstanceState>,
    /// There once it is instantiated.
    exports: Option<E>,
    /// Its memory, if that is the host's.
    pub(super) slot: Option<Arc<Slot>>,
    /// The stack that the store keeps.
    pub(super) stack: Option<Arc<Stack>>,
    /// Whether the guest was called since the memory was the image's.
    pub(super) has_run: bool,
    /// What it takes of its limits when an execution begins.
    pub(super) usage: Usage,
    pub(super) permit: Option<OwnedSemaphorePermit>,
}

impl<E> Instance<E> {
    pub(super) fn new(app: &AppInner, state: InstanceState, permit: Option<OwnedSemaphorePermit>) -> Self {
        let mut store = Store::new(&app.engine, state);
        store.limiter(|state| &mut state.limiter);
        Self { store, exports: None, slot: None, stack: None, has_run: false, usage: Usage::default(), permit }
    }

    /// Bytes that it has for itself.
    pub(super) fn bytes(&self) -> usize {
        INSTANCE_BYTES + self.slot.as_ref().map_or(0, |slot| slot.private_bytes())
    }
}

impl<E: Export> Instance<E> {
    /// What an execution needs, which is about to call the guest; instantiates the component if it was not yet.
    ///
    /// # Errors
    /// If it cannot be instantiated.
    pub(crate) async fn ready(&mut self, app: &AppInner) -> wasmtime::Result<Ready<'_, E>> {
        let Self { store, exports, slot, stack, has_run, usage, .. } = self;
        *has_run = true;
        if exports.is_none() {
            let made = match &app.image {
                None => E::instantiate(app, store).await?,
                Some(image) => {
                    let (made, memory) = memory::instantiate(image, E::instantiate(app, store)).await?;
                    *slot = Some(memory);
                    made
                }
            };
            // To be instantiated is not the execution's affair: it has the same fuel in a new instance as in a used
            // one. No code of the guest has run, but for what fills its table.
            store.set_fuel(app.limits.fuel)?;
            *usage = store.data().limiter.usage();
            *exports = Some(made);
        }
        let exports = exports.as_ref().ok_or_else(|| wasmtime::format_err!("it was instantiated"))?;
        Ok(Ready { store, exports, stack })
    }
}

/// An instance whose guest is about to be called.
pub(crate) struct Ready<'a, E> {
    pub(crate) store: &'a mut Store<InstanceState>,
    pub(crate) exports: &'a E,
    stack: &'a mut Option<Arc<Stack>>,
}

impl<E> Ready<'_, E> {
    /// Calls the guest.
    ///
    /// # Errors
    /// What ended the guest, and what it was doing.
    pub(crate) async fn call<T>(
        self,
        call: impl AsyncFnOnce(&E, &mut Store<InstanceState>) -> wasmtime::Result<T>,
    ) -> wasmtime::Result<T> {
        let Self { store, exports, stack } = self;
        let called = memory::noting_stack(stack, call(exports, &mut *store)).await;
        called.map_err(|error| post_mortem::examine(store, error))
    }
}
