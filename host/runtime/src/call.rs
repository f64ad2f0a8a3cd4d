//! JSON in, JSON out.

use crate::app::AppInner;
use crate::error::{Error, ErrorCode, Exception};
use crate::execution::{Execution, Outcome, Running};
use crate::instance::InstanceState;
use crate::post_mortem;
use crate::run::{self, MeteredStore, Record};
use crate::schedule::Scheduled;
use futures::FutureExt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
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
struct GuestException {
    name: String,
    message: String,
    stack: String,
}

type Call = TypedFunc<(String,), (Result<String, GuestException>,)>;

pub(crate) async fn call(app: &Arc<AppInner>, input: &serde_json::Value) -> Result<Answer, Error> {
    let export = app
        .call
        .as_ref()
        .ok_or_else(|| Error::new(ErrorCode::MissingExport, format!("{} has no `call` handler", app.name)))?;
    let permit = app.admit()?;
    let running = Running::new();
    running.hold(permit);
    let record = Record::start(app, running);
    let input = input.to_string();
    if input.len() as u64 > app.limits.request_bytes {
        return Err(record.fail(run::too_large(app)));
    }
    let store = run::store(app, &record, Arc::default())?;
    let guest = Scheduled::new(&app.share, AssertUnwindSafe(run(export, store, input)).catch_unwind());
    // The timer costs something only once the guest has to wait.
    let ended = match tokio::time::timeout_at(record.ends(app).into(), guest).await {
        Ok(ended) => run::ended(app, &record.meter, ended),
        Err(_) => Err(run::deadline(app)),
    };
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
    export: &CallExport,
    mut metered: MeteredStore,
    input: String,
) -> wasmtime::Result<Result<String, GuestException>> {
    let instance = export.pre.instantiate_async(&mut metered.store).await?;
    let call: Call = instance.get_typed_func(&mut metered.store, export.function)?;
    let ended = call.call_async(&mut metered.store, (input,)).await;
    let (result,) = ended.map_err(|error| post_mortem::examine(&mut metered.store, error))?;
    Ok(result)
}
