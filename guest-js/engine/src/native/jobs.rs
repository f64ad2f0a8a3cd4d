//! `elias/jobs`: the jobs capability.

use super::convert::{UsvString, error_with_code};
use super::db::transaction_number;
use super::require;
use super::streams::promise_of_operation;
use crate::bindings::elias::jobs::jobs::{self, EnqueueRequest, Error, ErrorCode, Pending};
use crate::phase::Import;
use javy::quickjs::{Ctx, Function, IntoJs, Object, Result, Value};

pub(crate) fn add(native: &Object<'_>) -> Result<()> {
    let ctx = native.ctx().clone();
    native.set("jobsEnqueue", Function::new(ctx.clone(), enqueue)?)?;
    native.set("jobsCancel", Function::new(ctx, cancel)?)
}

/// A promise of the new job's id. The job is an object with the fields of the WIT's record, in camel case. It is a part
/// of the transaction of that id, or of none (0).
fn enqueue<'js>(ctx: Ctx<'js>, job: Object<'js>, transaction: u32) -> Result<Value<'js>> {
    require(&ctx, Import::Jobs, "the queue")?;
    let text = |key: &str| job.get::<_, UsvString>(key).map(|text| text.0);
    let optional_text = |key: &str| job.get::<_, Option<UsvString>>(key).map(|text| text.map(|text| text.0));
    let milliseconds = |key: &str| job.get::<_, Option<f64>>(key).map(|number| number.map(|number| number as u64));
    let request = EnqueueRequest {
        name: text("name")?,
        input: text("input")?,
        priority: job.get("priority")?,
        run_at_ms: milliseconds("runAtMs")?,
        delay_ms: milliseconds("delayMs")?,
        key: optional_text("key")?,
        concurrency_key: optional_text("concurrencyKey")?,
        after: job.get::<_, Vec<UsvString>>("after")?.into_iter().map(|id| id.0).collect(),
        target: optional_text("target")?,
    };
    if transaction == 0 {
        return wait(&ctx, jobs::enqueue(&request));
    }
    wait(&ctx, jobs::enqueue_in(transaction_number(&ctx, transaction)?, &request))
}

/// A promise that is fulfilled when the job is cancelled.
fn cancel<'js>(ctx: Ctx<'js>, UsvString(id): UsvString) -> Result<Value<'js>> {
    require(&ctx, Import::Jobs, "the queue")?;
    wait(&ctx, jobs::cancel(&id))
}

fn wait<'js>(ctx: &Ctx<'js>, pending: Pending) -> Result<Value<'js>> {
    promise_of_operation(ctx, pending, Pending::take, Pending::subscribe, convert)
}

fn convert<'js>(ctx: &Ctx<'js>, outcome: std::result::Result<String, Error>) -> Result<Value<'js>> {
    match outcome {
        Ok(id) => id.into_js(ctx),
        Err(Error { code, message }) => {
            let code = match code {
                ErrorCode::Invalid => "invalid",
                ErrorCode::TooLarge => "too-large",
                ErrorCode::QuotaExceeded => "quota-exceeded",
                ErrorCode::NotFound => "not-found",
                ErrorCode::Conflict => "conflict",
                ErrorCode::Unavailable => "unavailable",
            };
            Err(error_with_code(ctx, code, None, &message))
        }
    }
}
