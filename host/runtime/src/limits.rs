//! The limits on every execution.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Bounds on every execution. Each has its unit in its name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// CPU, in units of fuel; see [`crate::engine`] for what a unit is. Exceeded: `out-of-fuel`.
    pub fuel: u64,
    /// Units of fuel after which a guest lets others run.
    pub fuel_yield_interval: u64,
    /// Linear memory of an instance, in bytes, its image included. Exceeded: `out-of-memory`.
    pub memory_bytes: u64,
    /// Elements of all tables of an instance. Exceeded: `out-of-memory`.
    pub table_elements: u32,
    /// Wall clock from the request to the end of the response and of what was given to `waitUntil`, in milliseconds.
    /// Exceeded: `deadline`.
    pub deadline_ms: u64,
    /// Bytes of a request's body. Exceeded: `request-too-large`, and an error where the guest reads the body.
    pub request_bytes: u64,
    /// Bytes of a response's body. Exceeded: `response-too-large`; the response is broken off.
    pub response_bytes: u64,
    /// Bytes of a request's or response's headers, as they are kept in memory.
    pub header_bytes: u32,
    /// Handles to host resources (bodies, streams, pollables) that an instance may hold at a time.
    pub host_resources: u32,
    /// Bytes of log lines that all instances of a component may write in a second; what is over is dropped and counted.
    pub log_bytes_per_second: u32,
    /// Bytes of a component's file. Exceeded: `component-too-large`.
    pub component_bytes: u64,
    /// Bytes of WebAssembly of one function; the time that compiling takes grows faster than this. Exceeded:
    /// `compile-limit`.
    pub function_bytes: u64,
    /// Bytes of WebAssembly of all functions of a component together. Exceeded: `compile-limit`.
    pub code_bytes: u64,
    /// Executions of one component that may be under way at a time. Exceeded: `overloaded`.
    pub concurrent_executions: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            fuel: 1_000_000_000,
            fuel_yield_interval: 1_000_000,
            memory_bytes: 64 << 20,
            table_elements: 20_000,
            deadline_ms: 30_000,
            request_bytes: 10 << 20,
            response_bytes: 100 << 20,
            header_bytes: 128 << 10,
            host_resources: 1_000,
            log_bytes_per_second: 256 << 10,
            component_bytes: 64 << 20,
            function_bytes: 256 << 10,
            code_bytes: 32 << 20,
            concurrent_executions: 1_000,
        }
    }
}

/// Bounds on one request, beside those on every execution of its component: the lower ones count. In the request's
/// extensions they are for [`crate::App::fetch`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RequestLimits {
    /// CPU, in units of fuel.
    pub fuel: Option<u64>,
    /// Linear memory of the instance, in bytes, its image included.
    pub memory_bytes: Option<u64>,
    /// Wall clock from the request to the end of everything that the guest does.
    pub deadline: Option<Duration>,
}
