//! The wasmtime configuration under which everything is compiled and run, and the cache of compiled code.
//!
//! The toolchain runs the same engine modules as the host does. Compiled code is only accepted under the configuration
//! it was compiled with, so there is one function that makes it.
//!
//! **Fuel.** A unit is about one WebAssembly instruction, or one byte of a bulk memory operation; see
//! [`wasmtime::OperatorCost`]. The number is the same for the same component, engine and input on every machine; it
//! changes with the engine's digest.

pub use crate::compiled_cache::CompiledCache;

use wasmtime::{Config, Enabled, InstanceAllocationStrategy, OperatorCost, OptLevel, PoolingAllocationConfig};

/// Core instances, tables and memories of a component: one of ELIAS has three, two and one.
pub(crate) const CORE_INSTANCES_MAX: usize = 16;
pub(crate) const TABLES_MAX: usize = 8;
pub(crate) const MEMORIES_MAX: usize = 4;

/// Native stack for WebAssembly, in bytes. It must outlast QuickJS's own limit, which makes a catchable RangeError of
/// deep recursion; see `STACK_BYTES_MAX` in guest-js/engine/src/runtime.rs.
const WASM_STACK_BYTES: usize = 4 << 20;

/// Native stack of a fiber: the guest's, and what host functions need on top.
const FIBER_STACK_BYTES: usize = WASM_STACK_BYTES + (512 << 10);

/// Bytes at the beginning of an instance's memory that are reset by copying rather than by giving pages back to the
/// system. More is not faster: all of it is copied for every request, whether it was written to or not.
const MEMORY_KEEP_RESIDENT_BYTES: usize = 256 << 10;

/// The same for a fiber's stack and for tables.
const SMALL_KEEP_RESIDENT_BYTES: usize = 128 << 10;

/// How instances get their memory. Compiled code depends on it.
#[derive(Debug, Clone, Copy)]
pub enum Allocation {
    /// From whoever makes the engine, one by one: for components of `elias-build`, and for building. For serving, the
    /// host gives memory and stacks itself; see `crate::memory`.
    OnDemand,
    /// From wasmtime, by copy-on-write of the component's data: for compiling components of other toolchains.
    CopyOnWrite,
    /// The same, from a pool of slots made in advance: for serving these.
    Pooling {
        /// Instances that can exist at a time.
        instances: u32,
        /// The most linear memory of one, in bytes.
        memory_bytes: usize,
        /// The most table elements of one.
        table_elements: usize,
    },
}

/// The configuration under which everything is compiled and run.
#[must_use]
pub fn wasmtime_config(allocation: &Allocation) -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .consume_fuel(true)
        .operator_cost(operator_cost())
        .concurrency_support(false)
        .cranelift_opt_level(OptLevel::Speed)
        .memory_init_cow(!matches!(allocation, Allocation::OnDemand))
        // For native profilers only; every component would hold some kilobytes of it. Wasm backtraces do without.
        .native_unwind_info(false)
        // Costs something when a guest traps only: it lists the instance's parts, for `trap_backtrace`.
        .coredump_on_trap(true)
        .max_wasm_stack(WASM_STACK_BYTES)
        .async_stack_size(FIBER_STACK_BYTES);
    if let Allocation::Pooling { instances, memory_bytes, table_elements } = *allocation {
        let pool = pool(instances, memory_bytes, table_elements);
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    }
    config
}

/// The pool of [`Allocation::Pooling`].
fn pool(instances: u32, memory_bytes: usize, table_elements: usize) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(instances)
        // A component may have a few core instances.
        .total_core_instances(instances.saturating_mul(4))
        .max_core_instances_per_component(CORE_INSTANCES_MAX as u32)
        .total_memories(instances)
        .max_memories_per_component(MEMORIES_MAX as u32)
        .total_tables(instances.saturating_mul(2))
        .max_tables_per_component(TABLES_MAX as u32)
        .total_stacks(instances)
        .max_memory_size(memory_bytes)
        .table_elements(table_elements)
        .max_unused_warm_slots(instances)
        .max_component_instance_size(4 << 20)
        .max_core_instance_size(4 << 20)
        .linear_memory_keep_resident(MEMORY_KEEP_RESIDENT_BYTES)
        .table_keep_resident(SMALL_KEEP_RESIDENT_BYTES)
        .async_stack_keep_resident(SMALL_KEEP_RESIDENT_BYTES)
        // Not by the system's page map, which would reset only what was written and spare the system calls: it passes
        // over pages that are not present at that moment, because they were swapped out or are being moved, and the
        // next instance in the slot would find a former request's bytes in them. A host cannot keep the kernel from
        // moving pages.
        .pagemap_scan(Enabled::No);
    pool
}

/// The cost of each operator: wasmtime's table, and growing memory, whose pages the system has to find and clear.
fn operator_cost() -> OperatorCost {
    let mut cost = OperatorCost::new();
    cost.variable.memory_grow_per_page = u8::MAX;
    cost
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::{DefaultHasher, Hash, Hasher};
    use wasmtime::Engine;

    #[test]
    fn slots_of_the_pool_are_reset_whole() {
        // wasmtime's way by the page map passes over pages that are swapped out.
        assert_eq!(pool(4, 8 << 20, 1000).get_pagemap_scan(), Enabled::No);
    }

    #[test]
    fn code_that_was_compiled_apart_serves() {
        let fingerprint = |allocation| {
            let engine = Engine::new(&wasmtime_config(&allocation)).expect("the configuration is valid");
            let mut hasher = DefaultHasher::new();
            engine.precompile_compatibility_hash().hash(&mut hasher);
            hasher.finish()
        };
        let pooling = Allocation::Pooling { instances: 4, memory_bytes: 8 << 20, table_elements: 1000 };
        assert_eq!(fingerprint(pooling), fingerprint(Allocation::CopyOnWrite));
    }
}
