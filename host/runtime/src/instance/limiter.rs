//! The bounds on what an instance's memories and tables take.

use crate::engine::{CORE_INSTANCES_MAX, MEMORIES_MAX, TABLES_MAX};
use crate::execution::Meter;
use std::sync::Arc;
use wasmtime::ResourceLimiter;

/// Counts what the instance's memories and tables take.
pub(crate) struct Limiter {
    memory_bytes: u64,
    table_elements: usize,
    used: MemoryUsage,
    meter: Arc<Meter>,
}

/// The memory and the table elements of an instance.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct MemoryUsage {
    memory_bytes: u64,
    table_elements: usize,
}

impl Limiter {
    pub(super) fn new(memory_bytes: u64, table_elements: u32, meter: Arc<Meter>) -> Self {
        Self { memory_bytes, table_elements: table_elements as usize, used: MemoryUsage::default(), meter }
    }

    pub(crate) fn usage(&self) -> MemoryUsage {
        self.used
    }

    /// An execution begins in an instance that takes so much already.
    pub(crate) fn begin(&mut self, used: MemoryUsage) {
        self.used = used;
        self.meter.memory(used.memory_bytes);
    }

    /// The instance's memory began with more bytes than its component says, since a worker's heap has grown.
    pub(crate) fn restored(&mut self, bytes: usize) {
        self.used.memory_bytes += bytes as u64;
        self.meter.memory(self.used.memory_bytes);
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let used = self.used.memory_bytes + (desired - current) as u64;
        if used > self.memory_bytes {
            self.meter.deny_memory(self.memory_bytes);
            return Ok(false);
        }
        self.used.memory_bytes = used;
        self.meter.memory(used);
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let used = self.used.table_elements + (desired - current);
        if used > self.table_elements {
            self.meter.deny_memory(self.memory_bytes);
            return Ok(false);
        }
        self.used.table_elements = used;
        Ok(true)
    }

    fn instances(&self) -> usize {
        CORE_INSTANCES_MAX
    }

    fn tables(&self) -> usize {
        TABLES_MAX
    }

    fn memories(&self) -> usize {
        MEMORIES_MAX
    }
}
