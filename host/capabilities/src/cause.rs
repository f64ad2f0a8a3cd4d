//! The cause of an execution: its position in a trace, and in a chain of events.

/// The cause of an execution, passed on to jobs, events and requests to other servers. Whoever runs a
/// handler puts it into [`CallOptions::extensions`](elias_host::CallOptions::extensions); for a request it is in the
/// extensions of that.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cause {
    /// The W3C trace context, as the header `traceparent` has it.
    pub traceparent: Option<String>,
    /// How many events led to the execution, each published by the handler of the one before; 0 if it is not the
    /// delivery of an event, nor a job that one enqueued.
    pub hops: u32,
}
