//! JSON in, JSON out.

use crate::app::{App, AppInner};
use crate::error::{Error, ErrorCode, Exception};
use crate::execution::{Caller, Execution, Outcome, Running};
use crate::instance::InstanceState;
use crate::recycling::{Export, Idle};
use crate::run::{self, Metered, Record};
use crate::schedule::Scheduled;
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

pub(crate) type Call = TypedFunc<(String,), (Result<String, GuestException>,)>;

/// The function, in an instance.
impl Export for Call {
    async fn instantiate(app: &AppInner, store: &mut Store<InstanceState>) -> wasmtime::Result<Self> {
        let export = app.call.as_ref().ok_or_else(|| wasmtime::format_err!("it has no `call` handler"))?;
        let instance = export.pre.instantiate_async(&mut *store).await?;
        instance.get_typed_func(store, export.function)
    }

    fn idle(app: &App) -> &Arc<Idle<Self>> {
        &app.calls
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

pub(crate) async fn call(loaded: &App, input: &serde_json::Value, options: CallOptions) -> Result<Answer, Error> {
    let app = &loaded.inner;
    if app.call.is_none() {
        return Err(Error::new(
            ErrorCode::MissingExport,
            format!("{} must export a `call` handler to be called", app.name),
        ));
    }
    let permit = app.admit()?;
    let CallOptions { caller, running } = options;
    running.hold(permit);
    let record = Record::start(loaded, running);
    let input = input.to_string();
    if input.len() as u64 > app.limits.request_bytes {
        return Err(record.fail(run::too_large(app)));
    }
    let metered = match Metered::new(loaded, &record, caller) {
        Ok(metered) => metered,
        Err(error) => return Err(record.fail(error)),
    };
    let mut guest = pin!(Scheduled::new(&app.share, AssertUnwindSafe(run(app, metered, input)).catch_unwind()));
    let guest = poll_fn(|cx| {
        if record.running().poll_cancelled(cx) {
            return Poll::Ready(Err(run::cancelled()));
        }
        guest.as_mut().poll(cx).map(|ended| run::ended(app, &record.meter, ended))
    });
    // The timer costs something only once the guest has to wait.
    let ended =
        tokio::time::timeout_at(record.ends(app).into(), guest).await.unwrap_or_else(|_| Err(run::deadline(app)));
    let output = match ended {
        Ok(Ok(output)) => output,
        Ok(Err(GuestException { name, message, stack })) => {
            let kind = if name == "never-settles" { "never-settles" } else { "exception" };
            let error = run::thrown(app, &record.meter, kind, Exception { name, message, stack });
            return Err(record.fail(error));
        }
        Err(error) => return Err(record.fail(error)),
    };
    if output.len() as u64 > app.limits.response_bytes {
        let message =
            format!("the answer has {} bytes; at most {} are allowed", output.len(), app.limits.response_bytes);
        return Err(record.fail(Error::new(ErrorCode::ResponseTooLarge, message)));
    }
    match serde_json::from_str(&output) {
        Ok(value) => Ok(Answer { value, execution: record.end(Outcome::Completed) }),
        Err(error) => Err(record.fail(Error::new(ErrorCode::Trap, format!("the guest's answer is not JSON: {error}")))),
    }
}

async fn run(
    app: &AppInner,
    mut metered: Metered<Call>,
    input: String,
) -> wasmtime::Result<Result<String, GuestException>> {
    let ready = metered.instance().ready(app).await?;
    let (result,) = ready.call(async |call, store| call.call_async(store, (input,)).await).await?;
    metered.returned();
    Ok(result)
}
