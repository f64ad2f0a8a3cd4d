//! Calls a component's `call` handler: JSON in, JSON out.

use crate::error::{Error, Exception};
use crate::execution::{Caller, Execution, Outcome, Running};
use crate::instance::{InstanceState, LoadedComponent};
use crate::recycling::{Handler, InstancePool};
use crate::run::{self, ActiveInstance, ExecutionRecord};
use crate::schedule::Scheduled;
use elias_contract::ErrorCode;
use futures::FutureExt;
use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use wasmtime::Store;
use wasmtime::component::{Component, ComponentExportIndex, ComponentType, InstancePre, Lift, Lower, TypedFunc};

/// The interface and function that this calls.
const INTERFACE: &str = "elias:component/call@0.1.0";
const FUNCTION: &str = "call";

/// What a `call` handler answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The handler's result.
    pub value: serde_json::Value,
    /// What it cost.
    pub execution: Execution,
}

/// Where a component's `call` is.
pub(crate) struct CallExport {
    pre: InstancePre<InstanceState>,
    function: ComponentExportIndex,
}

impl CallExport {
    /// Looks the export up, if there is one.
    pub(crate) fn find(component: &Component, pre: &InstancePre<InstanceState>) -> Option<Self> {
        let interface = component.get_export_index(None, INTERFACE)?;
        let function = component.get_export_index(Some(&interface), FUNCTION)?;
        Some(Self { pre: pre.clone(), function })
    }
}

/// `elias:component/call.exception`.
#[derive(ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct GuestException {
    name: String,
    message: String,
    stack: String,
}

/// A component's `call` handler, in an instance.
pub(crate) type CallHandler = TypedFunc<(String,), (Result<String, GuestException>,)>;

impl Handler for CallHandler {
    type Export = CallExport;

    async fn instantiate(export: &CallExport, store: &mut Store<InstanceState>) -> wasmtime::Result<Self> {
        let instance = export.pre.instantiate_async(&mut *store).await?;
        instance.get_typed_func(store, export.function)
    }
}

/// Whose call it is, and the handle by which it is cancelled.
#[derive(Debug, Clone, Default)]
pub struct CallOptions {
    /// On whose behalf the component runs.
    pub caller: Arc<Caller>,
    /// The execution, which has not begun: made by who wants to know its id, or to cancel it.
    pub running: Running,
}

/// Has the component's handler answer a call.
pub(crate) async fn call(
    component: &Arc<LoadedComponent>,
    pool: &Arc<InstancePool<CallHandler>>,
    input: &serde_json::Value,
    options: CallOptions,
) -> Result<Answer, Error> {
    let permit = component.admit()?;
    let CallOptions { caller, running } = options;
    running.hold(permit);
    let record = ExecutionRecord::start(component, running);
    let input = input.to_string();
    if input.len() as u64 > component.limits.request_bytes {
        return Err(record.fail(run::request_too_large(component)));
    }
    let instance = match ActiveInstance::new(pool, &record, caller) {
        Ok(instance) => instance,
        Err(error) => return Err(record.fail(error)),
    };
    let mut guest = pin!(Scheduled::new(&component.share, AssertUnwindSafe(handle(instance, input)).catch_unwind()));
    let guest = poll_fn(|cx| {
        if record.running().poll_cancelled(cx) {
            return Poll::Ready(Err(run::cancelled()));
        }
        guest.as_mut().poll(cx).map(|ended| run::interpret(component, &record.meter, ended))
    });
    // The timer costs something only once the guest has to wait.
    let ended = tokio::time::timeout_at(record.ends().into(), guest).await;
    let ended = ended.unwrap_or_else(|_| Err(run::deadline_passed(component)));
    let output = match ended {
        Ok(Ok(output)) => output,
        Ok(Err(GuestException { name, message, stack })) => {
            let kind = if name == "never-settles" { "never-settles" } else { "exception" };
            let error = run::uncaught_exception(component, &record.meter, kind, Exception { name, message, stack });
            return Err(record.fail(error));
        }
        Err(error) => return Err(record.fail(error)),
    };
    let most = component.limits.response_bytes;
    if output.len() as u64 > most {
        let message = format!("the answer has {} bytes; at most {most} are allowed", output.len());
        return Err(record.fail(Error::new(ErrorCode::ResponseTooLarge, message)));
    }
    match serde_json::from_str(&output) {
        Ok(value) => Ok(Answer { value, execution: record.end(Outcome::Completed) }),
        Err(error) => Err(record.fail(Error::new(ErrorCode::Trap, format!("the guest's answer is not JSON: {error}")))),
    }
}

/// Runs the guest's handler.
async fn handle(
    mut instance: ActiveInstance<CallHandler>,
    input: String,
) -> wasmtime::Result<Result<String, GuestException>> {
    let ready = instance.ready().await?;
    let (result,) = ready.call(async |handler, store| handler.call_async(store, (input,)).await).await?;
    instance.returned();
    Ok(result)
}
