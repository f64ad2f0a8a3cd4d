//! `elias:log`: `console.*` and whatever else a component writes, as structured events of `tracing`; see
//! [`InstanceInfo::log`] for how they look and what bounds them.

use elias_host::capability::wasmtime::StoreContextMut;
use elias_host::capability::wasmtime::component::{ComponentType, Lift, Lower};
use elias_host::capability::{
    Capability, ComponentInfo, ConfigureError, InstanceInfo, InstanceState, Linker, wasmtime,
};
use serde_json::Value;
use std::sync::Arc;

/// The log capability.
#[derive(Debug, Default)]
pub struct Log;

/// `elias:log/log.level`.
#[derive(ComponentType, Lift, Lower, Clone, Copy)]
#[component(enum)]
#[repr(u8)]
#[allow(dead_code)] // lifted from the guest, never made here
enum Level {
    #[component(name = "trace")]
    Trace,
    #[component(name = "debug")]
    Debug,
    #[component(name = "info")]
    Info,
    #[component(name = "warn")]
    Warn,
    #[component(name = "error")]
    Error,
}

impl Capability for Log {
    /// The log is free: writing it gives no power, and the limit `log_bytes_per_second` bounds it.
    type Grant = ();
    type Context = ();

    fn name(&self) -> &'static str {
        "log"
    }

    fn interfaces(&self) -> &'static [&'static str] {
        &["elias:log/log"]
    }

    async fn configure(&self, _: &ComponentInfo, _: Option<&Value>) -> Result<(), ConfigureError> {
        Ok(())
    }

    fn init(&self, linker: &mut Linker<InstanceState>) -> wasmtime::Result<()> {
        linker.instance("elias:log/log@0.1.0")?.func_wrap(
            "write",
            |store: StoreContextMut<'_, InstanceState>,
             (level, message, fields): (Level, String, Vec<(String, String)>)| {
                store.data().info().log(level.into(), &message, &fields);
                Ok(())
            },
        )
    }

    fn prepare(&self, _: &InstanceInfo, _: &Arc<()>) {}
}

impl From<Level> for tracing::Level {
    fn from(level: Level) -> Self {
        match level {
            Level::Trace => Self::TRACE,
            Level::Debug => Self::DEBUG,
            Level::Info => Self::INFO,
            Level::Warn => Self::WARN,
            Level::Error => Self::ERROR,
        }
    }
}
