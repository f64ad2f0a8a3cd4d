//! What an embedder can give to components beyond the standard interfaces.
//!
//! A capability has a lifecycle: [`Capability::init`] once per host, [`Capability::prepare`] for an instance that uses it, and
//! the context's `Drop` when that instance ends. An instance that does not touch a capability pays nothing for it.

pub use crate::instance::{InstanceInfo, InstanceState};
pub use wasmtime;
pub use wasmtime::component::Linker;

use std::any::{Any, TypeId};

/// Something that components can import.
pub trait Capability: Send + Sync + 'static {
    /// What one instance has of it: handles, budgets, buffers. Dropping it gives everything back.
    type Context: Send + 'static;

    /// Its name, as in `elias:NAME`.
    fn name(&self) -> &'static str;

    /// Defines its interfaces. Host functions reach their instance's context through [`InstanceState::context`].
    ///
    /// # Errors
    /// If an interface is defined already.
    fn init(&self, linker: &mut Linker<InstanceState>) -> wasmtime::Result<()>;

    /// Makes the context of one instance, when that first uses the capability.
    fn prepare(&self, instance: &InstanceInfo) -> Self::Context;
}

/// A [`Capability`] whose context's type is forgotten.
pub(crate) trait ErasedCapability: Send + Sync {
    fn init(&self, linker: &mut Linker<InstanceState>) -> wasmtime::Result<()>;
    fn prepare(&self, instance: &InstanceInfo) -> Box<dyn Any + Send>;
    fn type_id(&self) -> TypeId;
}

impl<C: Capability> ErasedCapability for C {
    fn init(&self, linker: &mut Linker<InstanceState>) -> wasmtime::Result<()> {
        Capability::init(self, linker)
    }

    fn prepare(&self, instance: &InstanceInfo) -> Box<dyn Any + Send> {
        Box::new(Capability::prepare(self, instance))
    }

    fn type_id(&self) -> TypeId {
        TypeId::of::<C>()
    }
}
