//! The view of an instance that a capability gets: its execution, component, caller and meter.

use super::LoadedComponent;
use crate::background;
use crate::execution::{CallMeter, Caller, Meter, SPAN_NAME_BYTES_MAX};
use crate::limits::Limits;
use crate::log::Notice;
use std::borrow::Cow;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

/// The identity of an instance.
#[derive(Clone)]
pub struct InstanceInfo {
    pub(super) execution: Arc<str>,
    pub(super) ends: Instant,
    pub(super) component: Arc<LoadedComponent>,
    pub(super) caller: Arc<Caller>,
    /// None where nothing was given: most executions do not pay for a map.
    pub(super) extensions: Option<Arc<http::Extensions>>,
    pub(super) meter: Arc<Meter>,
}

impl InstanceInfo {
    /// The meter of this instance's calls to the capability of this name.
    #[must_use]
    pub fn call_meter(&self, capability: &'static str) -> CallMeter {
        CallMeter::new(&self.meter, capability)
    }

    /// The execution's id.
    #[must_use]
    pub fn execution(&self) -> &str {
        &self.execution
    }

    /// The component's name.
    #[must_use]
    pub fn component(&self) -> &str {
        &self.component.info.name
    }

    /// The component's version.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.component.info.version
    }

    /// SHA-256 of the component, in hexadecimal.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.component.info.digest
    }

    /// On whose behalf the instance runs.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The value that the embedder gave of this type for this execution alone: in
    /// [`CallOptions::extensions`](crate::CallOptions::extensions), or in the extensions of the request.
    #[must_use]
    pub fn extension<T: Send + Sync + 'static>(&self) -> Option<&T> {
        self.extensions.as_ref()?.get()
    }

    /// The limits of the instance.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.component.limits
    }

    /// `text` with `[redacted]` in place of the secrets that the component was granted. Secrets of fewer than
    /// [`SECRET_BYTES_MIN`](crate::capability::SECRET_BYTES_MIN) bytes stay: they occur everywhere.
    #[must_use]
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.component.log.text().redact(text)
    }

    /// Writes a line of the guest's: an event with the target `elias::guest` and the execution's id, the component and
    /// its version. Stacks in it are shown in original positions, secrets are redacted, and control characters are
    /// shown instead of obeyed. A line is cut to [`LOG_LINE_BYTES_MAX`](crate::capability::LOG_LINE_BYTES_MAX) bytes
    /// before any of that is done; all lines of a component's instances are bounded by the limit
    /// `log_bytes_per_second`: what is over is dropped, and counted in the next line that is let through.
    pub fn log(&self, level: tracing::Level, message: &str, fields: &[(String, String)]) {
        self.component.log.write(&self.execution, level, message, fields);
    }

    /// Begins a span of the guest, as a part of the span with the number `parent`, which is 0 for none; gives its
    /// number, which is 0 if the execution keeps no more of them. Secrets in its name are redacted. The name is cut to
    /// 128 bytes.
    #[must_use]
    pub fn begin_span(&self, name: &str, parent: u32) -> u32 {
        self.meter.begin_span(&self.component.log.text().redact_start(name, SPAN_NAME_BYTES_MAX), parent)
    }

    /// Ends a span of the guest. One that is not open stays as it is.
    pub fn end_span(&self, number: u32, failed: bool) {
        self.meter.end_span(number, failed);
    }

    /// Records with the execution that it evaluated a feature flag, and which variant it got. Of each flag the last
    /// variant counts; of more than 32 flags the first are recorded.
    pub fn flag_evaluated(&self, name: &str, variant: &str) {
        self.meter.flag_evaluated(name, variant);
    }

    /// Writes into the audit log (the target `elias::audit`) that the secret of this name was read. The line counts
    /// against the limit `log_bytes_per_second`; a capability writes it once for a secret and an instance.
    pub fn secret_read(&self, key: &str) {
        self.component.log.secret_read(&self.execution, key);
    }

    /// Tells the host's observer that the component asked for a server that it is not granted: a host with its port.
    /// The component's secrets in it are redacted.
    pub fn egress_refused(&self, server: &str) {
        let server = self.redact(server);
        self.component.log.notice(Notice::EgressRefused(&server));
    }

    /// Does work that can take longer than a millisecond on one of the host's threads for such work, while the instance
    /// waits. `work` does a part of it, of some milliseconds at most, and says whether there is more: after each part
    /// the work of others has its turn, by the groups of their [`CpuShare`](crate::CpuShare)s, and work whose execution
    /// is over is not gone on with.
    ///
    /// It is paid like any other work, before it is begun, in the price of the function that does it.
    ///
    /// # Errors
    /// [`AsideError`](crate::capability::AsideError), if the execution's deadline passed meanwhile, or the work
    /// panicked.
    pub fn aside<T: Send + 'static>(
        &self,
        work: impl FnMut() -> Poll<T> + Send + 'static,
    ) -> impl Future<Output = wasmtime::Result<T>> + Send + 'static {
        background::run(self.share_group(), self.ends, work)
    }

    /// From whose share of the host work is done for the instance.
    pub(crate) fn share_group(&self) -> background::ShareId {
        self.component.share.group()
    }

    /// The time until the execution's deadline.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.ends.saturating_duration_since(Instant::now())
    }
}
