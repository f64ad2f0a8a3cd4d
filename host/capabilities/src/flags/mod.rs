//! `elias:feature-flags`: feature flags, evaluated by rules that are in this process's memory.
//!
//! A [`FlagSource`] gives the flags: on a platform those of the component's tenant and environment. Without one the
//! flags are those that the component's own table of elias.toml defines, for `elias dev`, `elias serve FILE` and tests.
//! An evaluation asks nobody: it waits for nothing, and goes on while the store is away.
//!
//! The name of the package is not `elias:flags`, since `flags` is a keyword of WIT.
//!
//! The table `[capabilities.flags]` of elias.toml, every key of which has a default:
//!
//! - `names` = `["*"]`: the flags that the component may evaluate; a `*` at the end stands for any rest.
//! - `local` = none: flags by name where no platform defines them. Each is a definition, or a value of which the flag
//!   has one variant.

mod context;
mod contract;
mod grant;
mod link;
mod source;
#[cfg(test)]
mod tests;

pub use context::FlagsContext;
pub use contract::{Error, ErrorCode};
pub use grant::FlagsGrant;
pub use source::{FlagSource, LiveFlags};

use elias_host::capability::{Capability, ComponentInfo, ConfigureError, HostLinker, InstanceInfo, wasmtime};
use serde_json::Value;
use std::sync::Arc;

/// The flags capability.
#[derive(Clone, Default)]
pub struct Flags {
    source: Option<Arc<dyn FlagSource>>,
}

impl Flags {
    /// The capability over the flags that the components' own tables define.
    #[must_use]
    pub fn local() -> Self {
        Self::default()
    }

    /// The capability over the flags of a source.
    #[must_use]
    pub fn new(source: Arc<dyn FlagSource>) -> Self {
        Self { source: Some(source) }
    }
}

impl Capability for Flags {
    type Grant = FlagsGrant;
    type Context = FlagsContext;

    fn name(&self) -> &'static str {
        "flags"
    }

    /// The values of local flags.
    fn is_data(&self, key: &str) -> bool {
        key == grant::LOCAL
    }

    fn interfaces(&self) -> &'static [&'static str] {
        &["elias:feature-flags/evaluation"]
    }

    fn init(&self, linker: &mut HostLinker) -> wasmtime::Result<()> {
        link::init(linker)
    }

    async fn configure(
        &self,
        component: &ComponentInfo,
        granted: Option<&Value>,
    ) -> Result<FlagsGrant, ConfigureError> {
        FlagsGrant::read(granted, self.source.as_deref(), &component.name).await
    }

    fn prepare(&self, instance: &InstanceInfo, grant: &Arc<FlagsGrant>) -> FlagsContext {
        FlagsContext::new(Arc::clone(grant), instance.clone(), instance.call_meter(self.name()))
    }
}
