//! Capabilities: interfaces that an embedder adds to the standard ones.
//!
//! A capability has a lifecycle: [`Capability::init`] once per host; [`Capability::configure`] when a component that
//! imports it is loaded; [`Capability::prepare`] for an instance that uses it; and the context's `Drop` when that
//! instance ends. An instance that does not touch a capability pays nothing for it.

mod erased;

pub use crate::background::AsideError;
pub use crate::component::ComponentInfo;
pub use crate::execution::{CallMeter, HostCall};
pub use crate::grants::{ConfigureError, Grants};
pub use crate::instance::{InstanceInfo, InstanceState};
pub use crate::log::{FIELDS_MAX as LOG_FIELDS_MAX, LINE_BYTES_MAX as LOG_LINE_BYTES_MAX, SECRET_BYTES_MIN};
pub use crate::pricing;
pub use crate::pricing::HostLinker;
pub use wasmtime;

pub(crate) use erased::ErasedCapability;

use serde_json::Value;
use std::any::TypeId;
use std::sync::Arc;

/// Something that components can import.
pub trait Capability: Send + Sync + 'static {
    /// The checked grant of one component: its limits, its pool of connections.
    type Grant: Send + Sync + 'static;

    /// The state of one instance: handles, budgets, buffers. Dropping it gives everything back.
    type Context: Send + 'static;

    /// Its name, as in `elias:NAME` and in elias.toml's table `[capabilities.NAME]`.
    fn name(&self) -> &'static str;

    /// The interfaces that are this capability, without their versions: a component that imports one of them needs the
    /// grant.
    fn interfaces(&self) -> &'static [&'static str];

    /// Defines its interfaces, each function with its price: see [`pricing`]. Host functions reach their instance's
    /// context through [`InstanceState::context`].
    ///
    /// # Errors
    /// If an interface is defined already, or a function could take too long for what it is.
    fn init(&self, linker: &mut HostLinker) -> wasmtime::Result<()>;

    /// Checks what a component that imports it was granted, and opens what its instances will share. `granted` is the
    /// content of `[capabilities.NAME]`; none if there is no such table.
    ///
    /// # Errors
    /// [`ConfigureError::NotGranted`] where nothing was granted and the capability is not free, and the others for what
    /// is wrong with the grant: `grants::parse` gives all of them for a type that serde reads.
    fn configure(
        &self,
        component: &ComponentInfo,
        granted: Option<&Value>,
    ) -> impl Future<Output = Result<Self::Grant, ConfigureError>> + Send;

    /// Makes the context of one instance, when that first uses the capability.
    fn prepare(&self, instance: &InstanceInfo, grant: &Arc<Self::Grant>) -> Self::Context;

    /// The numbers of its table that say how much of the host a component may take. A platform holds what its tenants
    /// ask for against their ceilings; it refuses a number that is neither here nor [data](Self::is_data).
    fn amounts(&self) -> &'static [Amount] {
        &[]
    }

    /// Whether numbers under this key of its table are the component's data, and no amount of anything.
    fn is_data(&self, key: &str) -> bool {
        let _ = key;
        false
    }

    /// The secrets in a grant, which must not be shown, in log lines above all; see [`InstanceInfo::redact`].
    fn secrets<'a>(&self, grant: &'a Self::Grant) -> Vec<&'a str> {
        let _ = grant;
        Vec::new()
    }
}

/// A number in a capability's table that says how much of the host a component may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amount {
    /// Its key in the table, such as `total-bytes`; with dots if it is in a table of the table.
    pub key: &'static str,
    /// The default for a component that does not state the amount, in the unit of the key's name.
    pub default: u64,
    /// The most that a platform lets its tenants ask for unless its operator says otherwise.
    pub ceiling: u64,
}

impl InstanceState {
    /// This instance's context of capability `C`, prepared on first use.
    ///
    /// # Panics
    /// If the component does not import `C`; its host functions are then not linked and nothing calls this.
    pub fn context<C: Capability>(&mut self) -> &mut C::Context {
        let context = self.context_of(TypeId::of::<C>());
        context.downcast_mut().expect("a context is stored under its capability's type")
    }
}
