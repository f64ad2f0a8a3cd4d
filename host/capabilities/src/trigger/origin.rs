//! Which execution asks a backend for something.

use elias_host::capability::InstanceInfo;
use std::sync::Arc;

/// What caused an execution, for what that causes in turn. Whoever runs a handler puts it into
/// [`CallOptions::extensions`](elias_host::CallOptions::extensions).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cause {
    /// The W3C trace context, as the header `traceparent` has it.
    pub traceparent: Option<String>,
    /// How many events led to the execution, each published by the handler of the one before; 0 if it is not the
    /// delivery of an event, nor a job that one enqueued.
    pub hops: u32,
}

/// Which execution asks a backend for something.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// The component, by the name that it was loaded under ([`LoadOptions::name`](elias_host::LoadOptions::name), else
    /// its manifest's): whoever runs the host knows by it which tenant and environment that is.
    pub component: String,
    /// The component's version.
    pub version: String,
    /// The execution's id.
    pub execution: String,
    /// What caused the execution.
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
