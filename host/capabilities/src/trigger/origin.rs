//! The execution that calls a backend.

use crate::cause::Cause;
use elias_host::capability::InstanceInfo;
use std::sync::Arc;

/// The execution that calls a backend.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// The component, by the name that it was loaded under ([`LoadOptions::name`](elias_host::LoadOptions::name), else
    /// its manifest's): whoever runs the host knows by it which tenant and environment that is.
    pub component: String,
    /// The component's version.
    pub version: String,
    /// The execution's id.
    pub execution: String,
    /// The cause of the execution.
    pub cause: Cause,
}

impl Origin {
    /// The execution of an instance.
    pub(crate) fn of(instance: &InstanceInfo) -> Arc<Self> {
        Arc::new(Self {
            component: instance.component().to_owned(),
            version: instance.version().to_owned(),
            execution: instance.execution().to_owned(),
            cause: instance.extension::<Cause>().cloned().unwrap_or_default(),
        })
    }
}
