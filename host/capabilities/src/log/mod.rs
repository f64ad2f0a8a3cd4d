//! `elias:log`: `console.*` and other output of a component, as structured events of `tracing`. [`InstanceInfo::log`]
//! says how they look and what bounds them. Spans of the component's own go to the timeline of its execution.

mod bindings;

use bindings::elias::log::log::{Host, Level};
use elias_host::capability::pricing::{List, Payload, Price, size};
use elias_host::capability::wasmtime::StoreContextMut;
use elias_host::capability::{
    Capability, ComponentInfo, ConfigureError, HostLinker, InstanceInfo, InstanceState, LOG_FIELDS_MAX,
    LOG_LINE_BYTES_MAX, wasmtime,
};
use serde_json::Value;
use std::sync::Arc;

/// The log capability.
#[derive(Debug, Default)]
pub struct Log;

/// The arguments of `write`, with a bound on the fields that are lifted.
type Line = (Level, String, List<(String, String), FIELDS_MAX>);

/// Fields that are lifted at most; the log keeps the first [`LOG_FIELDS_MAX`] of them.
const FIELDS_MAX: usize = 256;

/// Units of fuel of a line, and of a byte of it that is kept: mapped, redacted, made safe and written.
const LINE: u64 = 30_000;
const BYTE: u64 = 20;
/// Units of fuel of the beginning of a span, whose name is redacted as far as it is kept, and of its end, for which the
/// spans that are open are looked through.
const SPAN: u64 = 10_000;

impl Payload for Level {}

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

    async fn configure(&self, _: &ComponentInfo, granted: Option<&Value>) -> Result<(), ConfigureError> {
        crate::empty_grant::check(granted)
    }

    fn init(&self, linker: &mut HostLinker) -> wasmtime::Result<()> {
        let kept = size("bytes kept", |(_, message, fields): &Line| {
            let fields = fields.0.iter().take(LOG_FIELDS_MAX);
            let fields = fields.fold(0, |sum, (name, value)| sum + name.len() as u64 + value.len() as u64);
            message.len() as u64 + fields
        });
        let mut interface = linker.interface("elias:log/log@0.1.0")?;
        interface.func(
            "write",
            Price::of(LINE).per(BYTE, kept.limited_to(LOG_LINE_BYTES_MAX as u64)),
            |mut store: StoreContextMut<'_, InstanceState>, (level, message, fields): Line| {
                Host::write(store.data_mut(), level, message, fields.0)
            },
        )?;
        interface.func(
            "begin-span",
            Price::of(SPAN),
            |mut store: StoreContextMut<'_, InstanceState>, (name, parent): (String, u32)| {
                Ok((Host::begin_span(store.data_mut(), name, parent)?,))
            },
        )?;
        interface.func(
            "end-span",
            Price::of(SPAN),
            |mut store: StoreContextMut<'_, InstanceState>, (span, failed): (u32, bool)| {
                Host::end_span(store.data_mut(), span, failed)
            },
        )
    }

    fn prepare(&self, _: &InstanceInfo, _: &Arc<()>) {}
}

impl Host for InstanceState {
    fn write(&mut self, level: Level, message: String, fields: Vec<(String, String)>) -> wasmtime::Result<()> {
        self.info().log(level.into(), &message, &fields);
        Ok(())
    }

    fn begin_span(&mut self, name: String, parent: u32) -> wasmtime::Result<u32> {
        Ok(self.info().begin_span(&name, parent))
    }

    fn end_span(&mut self, span: u32, failed: bool) -> wasmtime::Result<()> {
        self.info().end_span(span, failed);
        Ok(())
    }
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
