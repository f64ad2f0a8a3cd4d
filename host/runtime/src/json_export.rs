//! The exports of a component that take one JSON text: `call`, those of the triggers, and that of workers.
//!
//! They differ in their names and in what they give, `R`: each has its own instances, and the same limits, deadline,
//! cancellation and record.

use crate::error::{Error, Exception};
use crate::execution::{Caller, ExecutionHandle};
use crate::instance::{InstanceState, LoadedComponent};
use crate::limits::RequestLimits;
use crate::recycling::{Handler, InstanceSource};
use crate::run::{self, ActiveInstance, ExecutionRecord};
use crate::schedule::Scheduled;
use elias_contract::ErrorCode;
use futures::FutureExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use wasmtime::Store;
use wasmtime::component::{Component, ComponentExportIndex, ComponentType, InstancePre, Lift, TypedFunc};

/// The export of such a handler in a component.
#[derive(Clone)]
pub(crate) struct JsonExport {
    pre: InstancePre<InstanceState>,
    function: ComponentExportIndex,
}

impl JsonExport {
    /// Looks the export up, if there is one.
    pub(crate) fn find(
        component: &Component,
        pre: &InstancePre<InstanceState>,
        interface: &str,
        function: &str,
    ) -> Option<Self> {
        let interface = component.get_export_index(None, interface)?;
        let function = component.get_export_index(Some(&interface), function)?;
        Some(Self { pre: pre.clone(), function })
    }
}

/// Such an export in an instance.
pub(crate) type JsonHandler<R> = TypedFunc<(String,), (R,)>;

impl<R: Lift + Send + Sync + 'static> Handler for JsonHandler<R> {
    type Export = JsonExport;

    async fn instantiate(export: &JsonExport, store: &mut Store<InstanceState>) -> wasmtime::Result<Self> {
        let instance = export.pre.instantiate_async(&mut *store).await?;
        instance.get_typed_func(store, export.function)
    }
}

/// `elias:component/call.exception`, which `elias:triggers/types.exception` is too.
#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct GuestException {
    name: String,
    message: String,
    stack: String,
}

impl GuestException {
    /// The error that it is, which ends the record.
    pub(crate) fn fail(self, record: &ExecutionRecord) -> Error {
        let Self { name, message, stack } = self;
        let kind = if name == "never-settles" { "never-settles" } else { "exception" };
        let exception = Exception { name, message, stack };
        record.fail(run::uncaught_exception(record.component(), &record.meter, kind, exception))
    }
}

/// The caller of a call or run, the values beside its input, and the handle by which it is cancelled.
#[derive(Debug, Clone, Default)]
pub struct CallOptions {
    /// On whose behalf the component runs.
    pub caller: Arc<Caller>,
    /// The execution, which has not begun: made by who wants to know its id, or to cancel it.
    pub running: ExecutionHandle,
    /// Wall clock that the execution may take, in place of the limit `deadline_ms` of the component. At most a year.
    pub deadline: Option<Duration>,
    /// Units of fuel that the execution may use, where that is lower than the limit `fuel` of the component.
    pub fuel: Option<u64>,
    /// Values for capabilities in this execution, by type: they ask
    /// [`InstanceInfo::extension`](crate::capability::InstanceInfo::extension).
    pub extensions: http::Extensions,
}

/// Runs a component's handler on an input. Returns its output, and the record of the execution, which the caller ends.
pub(crate) async fn run<R: Lift + Send + Sync + 'static>(
    component: &Arc<LoadedComponent>,
    source: InstanceSource<JsonHandler<R>>,
    input: &(impl Serialize + Sync),
    options: CallOptions,
) -> Result<(R, ExecutionRecord), Error> {
    let permit = component.admit()?;
    let CallOptions { caller, running, deadline, fuel, extensions } = options;
    running.hold(permit);
    let record = ExecutionRecord::start(component, running, deadline);
    let record = record.limited(RequestLimits { fuel, ..RequestLimits::default() });
    let input = match serde_json::to_string(input) {
        Ok(input) => input,
        Err(error) => {
            let message = format!("the input cannot be written as JSON: {error}");
            return Err(record.fail(Error::new(ErrorCode::Internal, message)));
        }
    };
    if input.len() as u64 > component.limits.request_bytes {
        return Err(record.fail(run::request_too_large(component)));
    }
    let extensions = (!extensions.is_empty()).then(|| Arc::new(extensions));
    let instance = match ActiveInstance::new(source, &record, caller, extensions) {
        Ok(instance) => instance,
        Err(error) => return Err(record.fail(error)),
    };
    let mut guest = Scheduled::new(&component.share, AssertUnwindSafe(handle(instance, input)).catch_unwind());
    let ended = {
        let record = &record;
        // It is dropped with the guest before the record ends, which says what the guest used.
        let guest = poll_fn(move |cx| {
            if record.running().poll_cancelled(cx) {
                return Poll::Ready(Err(run::cancelled()));
            }
            guest.poll_unpin(cx).map(|ended| run::interpret(record, ended))
        });
        // The timer costs something only once the guest has to wait.
        tokio::time::timeout_at(record.ends().into(), guest).await
    };
    match ended.unwrap_or_else(|_| Err(run::deadline_passed(&record))) {
        Ok(result) => Ok((result, record)),
        Err(error) => Err(record.fail(error)),
    }
}

/// Runs the guest's handler.
async fn handle<R: Lift + Send + Sync + 'static>(
    mut instance: ActiveInstance<JsonHandler<R>>,
    input: String,
) -> wasmtime::Result<R> {
    let ready = instance.ready().await?;
    let (result,) = ready.call(async |handler, store| handler.call_async(store, (input,)).await).await?;
    instance.returned();
    Ok(result)
}

/// Reads the text that a handler returned.
///
/// # Errors
/// `response-too-large`, and `trap` for what is not the JSON of a `T`. They have ended the record.
pub(crate) fn read_output<T: DeserializeOwned>(record: &ExecutionRecord, output: &str) -> Result<T, Error> {
    let most = record.component().limits.response_bytes;
    if output.len() as u64 > most {
        let message = format!("the result has {} bytes; it must have at most {most}", output.len());
        return Err(record.fail(Error::new(ErrorCode::ResponseTooLarge, message)));
    }
    serde_json::from_str(output).map_err(|error| {
        let message = format!("the guest's result is not the JSON that its interface says: {error}");
        record.fail(Error::new(ErrorCode::Trap, message))
    })
}
