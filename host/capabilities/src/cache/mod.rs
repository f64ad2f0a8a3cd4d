//! `elias:cache`: values kept between requests, for a time, in the memory of the host or in Redis.
//!
//! The table `[capabilities.cache]` of elias.toml, every key of which has a default:
//!
//! - `backend`: `"memory"`, or `"redis"`.
//! - `url`: where that Redis is, `"redis://..."`, `"rediss://..."` for TLS, or `{ env = "REDIS_URL" }`.
//! - `root-certificate`: the authority of a `rediss://` one's certificate, a file or its text (PEM).
//! - `key-bytes` = 512, `value-bytes` = 1 MiB: the longest key and value.
//! - `keys-per-call` = 100: the most keys of one `get-many`.
//! - `total-bytes` = 64 MiB: what all entries of the component take in memory, each with
//!   an overhead of 64 bytes; the least recently used are evicted for it. Redis has a limit of its own, `maxmemory`.
//! - `operations` = 64: commands that one instance may have under way.
//! - `timeout-ms` = 1000: how long a command to Redis may take, connecting included.
//!
//! The cached values are a component's own, and outlives its versions: a new version loaded beside an old one finds
//! what that stored, in memory if their `total-bytes` are the same. Memory is freed with the last of a component's
//! versions.

mod backend;
mod caps;
mod clock;
mod contract;
mod grant;
mod keyvalue;
mod lease;
mod link;
mod memory;
mod operation;
mod price;
mod redis;
#[cfg(test)]
mod tests;

use backend::Backend;
use clock::Clock;
use elias_host::capability::{
    Amount, CallMeter, Capability, ComponentInfo, ConfigureError, HostLinker, InstanceInfo, InstanceState, wasmtime,
};
use grant::{BackendConfig, Settings};
use lease::Leases;
use memory::Memory;
use operation::{CommandRunner, MANY};
use parking_lot::{Mutex, MutexGuard};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use tokio::sync::Semaphore;

type Components = HashMap<String, Weak<Component>>;

/// The cache capability.
pub struct Cache {
    namespace: String,
    /// By name, as long as one of their versions is loaded.
    components: Mutex<Components>,
}

/// The state that the versions of one component share.
#[derive(Default)]
struct Component {
    leases: Arc<Leases>,
    evictions: Arc<AtomicU64>,
    /// Held by the grants of those that use it: a version that uses Redis does not keep it.
    memory: Mutex<Weak<Memory>>,
}

/// The cache of one component, by its grant.
pub struct CacheGrant {
    backend: Arc<dyn Backend>,
    component: Arc<Component>,
    settings: Settings,
}

/// The cache of one instance.
pub struct CacheContext(CommandRunner);

impl Default for Cache {
    fn default() -> Self {
        Self::namespaced("default")
    }
}

impl Cache {
    /// A cache of the namespace `default`.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A cache whose keys in Redis begin with `elias:{NAMESPACE}:`. Hosts that share a Redis share the values of
    /// components of the same name if their namespaces are the same, and only then.
    #[must_use]
    pub fn namespaced(namespace: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), components: Mutex::default() }
    }

    /// The number of a component's entries that were evicted to keep it within its `total-bytes`, since it was loaded.
    /// Zero for a component that is not loaded. Expired entries do not count.
    #[must_use]
    pub fn evictions(&self, component: &str) -> u64 {
        let component = self.components().get(component).and_then(Weak::upgrade);
        component.map_or(0, |component| component.evictions.load(Ordering::Relaxed))
    }

    fn components(&self) -> MutexGuard<'_, Components> {
        self.components.lock()
    }

    fn component(&self, name: &str) -> Arc<Component> {
        let mut components = self.components();
        if let Some(component) = components.get(name).and_then(Weak::upgrade) {
            return component;
        }
        components.retain(|_, component| component.strong_count() > 0);
        let component = Arc::<Component>::default();
        components.insert(name.to_owned(), Arc::downgrade(&component));
        component
    }
}

impl Component {
    fn memory(&self, name: &str, total_bytes: u64) -> Arc<Memory> {
        let mut memory = self.memory.lock();
        if let Some(memory) = memory.upgrade().filter(|memory| memory.total_bytes() == total_bytes) {
            return memory;
        }
        let new = Arc::new(Memory::new(name, total_bytes, Arc::clone(&self.evictions), Clock::system()));
        *memory = Arc::downgrade(&new);
        new
    }
}

impl CacheGrant {
    fn command_runner(&self, calls: CallMeter) -> CommandRunner {
        CommandRunner {
            backend: Arc::clone(&self.backend),
            leases: Arc::clone(&self.component.leases),
            caps: self.settings.caps.clone(),
            operations: self.settings.operations,
            pending: Arc::default(),
            many: Arc::new(Semaphore::new(MANY)),
            calls,
        }
    }
}

impl Capability for Cache {
    type Grant = CacheGrant;
    type Context = CacheContext;

    fn name(&self) -> &'static str {
        "cache"
    }

    fn amounts(&self) -> &'static [Amount] {
        grant::AMOUNTS
    }

    fn interfaces(&self) -> &'static [&'static str] {
        &["elias:cache/cache", "wasi:keyvalue/store", "wasi:keyvalue/atomics"]
    }

    async fn configure(
        &self,
        component: &ComponentInfo,
        granted: Option<&Value>,
    ) -> Result<CacheGrant, ConfigureError> {
        let settings = grant::read(granted)?;
        let shared = self.component(&component.name);
        let backend: Arc<dyn Backend> = match &settings.backend {
            BackendConfig::Memory { total_bytes } => shared.memory(&component.name, *total_bytes),
            BackendConfig::Redis { client, timeout } => {
                let redis = redis::Redis::new(
                    client.clone(),
                    &self.namespace,
                    &component.name,
                    *timeout,
                    settings.caps.value_bytes as u64,
                );
                // A component is not refused for a Redis that is away: a cache may be, at any time.
                redis.connect().await;
                Arc::new(redis)
            }
        };
        Ok(CacheGrant { backend, component: shared, settings })
    }

    fn init(&self, linker: &mut HostLinker) -> wasmtime::Result<()> {
        keyvalue::init(linker, runner)?;
        link::init(linker, runner)
    }

    fn prepare(&self, instance: &InstanceInfo, grant: &Arc<CacheGrant>) -> CacheContext {
        CacheContext(grant.command_runner(instance.call_meter(self.name())))
    }
}

/// The parts with which the instance starts commands.
fn runner(state: &mut InstanceState) -> &mut CommandRunner {
    &mut state.context::<Cache>().0
}
