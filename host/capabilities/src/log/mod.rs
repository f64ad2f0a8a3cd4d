//! `elias:log`: `console.*` and whatever else a component writes, as structured events of `tracing`.
//!
//! Lines go to the target `elias::guest` with the execution's id, the component and its version. What a component can write
//! is bounded twice: a line by [`MESSAGE_BYTES_MAX`], and all of a component's instances together by the limit
//! `log_bytes_per_second`; lines over it are dropped, and counted in the next line that is let through.

mod budget;
mod neutralise;

use budget::Budgets;
use elias_host::capability::wasmtime::StoreContextMut;
use elias_host::capability::wasmtime::component::{ComponentType, Lift, Lower};
use elias_host::capability::{
    Capability, ComponentInfo, ConfigureError, InstanceInfo, InstanceState, Linker, wasmtime,
};
use neutralise::neutralise;
use serde_json::Value;
use std::sync::Arc;

/// Bytes of a line, message and fields together, that are kept.
pub const MESSAGE_BYTES_MAX: usize = 16 * 1024;

/// Fields of a line that are kept.
pub const FIELDS_MAX: usize = 32;

/// The log capability.
#[derive(Debug, Default)]
pub struct Log {
    budgets: Arc<Budgets>,
}

/// What one instance has of the log.
pub struct LogContext {
    instance: InstanceInfo,
    budget: Arc<budget::Budget>,
}

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
    type Context = LogContext;

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
            |mut store: StoreContextMut<'_, InstanceState>,
             (level, message, fields): (Level, String, Vec<(String, String)>)| {
                store.data_mut().context::<Self>().write(level, &message, &fields);
                Ok(())
            },
        )
    }

    fn prepare(&self, instance: &InstanceInfo, _: &Arc<()>) -> LogContext {
        LogContext {
            instance: instance.clone(),
            budget: self.budgets.of(instance.digest(), instance.limits().log_bytes_per_second),
        }
    }
}

impl LogContext {
    fn write(&self, level: Level, message: &str, fields: &[(String, String)]) {
        let message = self.instance.redact(message);
        let message = neutralise(&message, MESSAGE_BYTES_MAX);
        let mut left = MESSAGE_BYTES_MAX - message.len().min(MESSAGE_BYTES_MAX);
        let mut shown = String::new();
        for (name, value) in fields.iter().take(FIELDS_MAX) {
            let field = format!("{name}={value}");
            let field = self.instance.redact(&field);
            let field = neutralise(&field, left);
            left -= field.len().min(left);
            if !shown.is_empty() {
                shown.push(' ');
            }
            shown.push_str(&field);
        }
        let (execution, component, version) =
            (self.instance.execution(), self.instance.component(), self.instance.version());
        let Some(dropped) = self.budget.take(message.len() + shown.len()) else { return };
        if dropped > 0 {
            tracing::warn!(
                target: "elias::guest", execution, component, version, dropped, "log lines over the component's budget were dropped"
            );
        }
        macro_rules! event {
            ($level:ident) => {
                tracing::event!(
                    target: "elias::guest", tracing::Level::$level, execution, component,
                    version, fields = %shown, "{message}"
                )
            };
        }
        match level {
            Level::Trace => event!(TRACE),
            Level::Debug => event!(DEBUG),
            Level::Info => event!(INFO),
            Level::Warn => event!(WARN),
            Level::Error => event!(ERROR),
        }
    }
}
