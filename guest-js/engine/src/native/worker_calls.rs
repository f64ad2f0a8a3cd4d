//! `elias/workers` in handlers that are not workers: the workers capability.

use super::convert::UsvString;
use super::require;
use super::streams::promise_of_operation;
use crate::bindings::elias::workers::workers::{self, CallRequest, Error, ErrorCode, Pending};
use crate::phase::Import;
use javy::quickjs::{Ctx, Function, IntoJs, Object, Result, Value};

pub(crate) fn add(native: &Object<'_>) -> Result<()> {
    native.set("workersCall", Function::new(native.ctx().clone(), call)?)
}

/// A promise of the answer, which is a string, or of the failure, an object with `code`, `name` and `message`. Without
/// a method it is a message. `id` is its UUID, if it has one.
fn call<'js>(
    ctx: Ctx<'js>,
    UsvString(class): UsvString,
    UsvString(name): UsvString,
    method: Option<UsvString>,
    UsvString(value): UsvString,
    id: Option<UsvString>,
) -> Result<Value<'js>> {
    require(&ctx, Import::Workers, "calling a worker")?;
    let (method, id) = (method.map(|method| method.0), id.map(|id| id.0));
    let request = CallRequest { class, name, method, value, id };
    promise_of_operation(&ctx, workers::call(&request), Pending::take, Pending::subscribe, convert)
}

fn convert<'js>(ctx: &Ctx<'js>, outcome: std::result::Result<String, Error>) -> Result<Value<'js>> {
    match outcome {
        Ok(answer) => answer.into_js(ctx),
        Err(Error { code, name, message }) => {
            let code = match code {
                ErrorCode::Exception => "exception",
                ErrorCode::Invalid => "invalid",
                ErrorCode::TooLarge => "too-large",
                ErrorCode::QuotaExceeded => "quota-exceeded",
                ErrorCode::NotFound => "not-found",
                ErrorCode::MailboxFull => "mailbox-full",
                ErrorCode::Failed => "failed",
                ErrorCode::Unavailable => "unavailable",
            };
            let failure = Object::new(ctx.clone())?;
            failure.set("code", code)?;
            failure.set("name", name)?;
            failure.set("message", message)?;
            Ok(failure.into_value())
        }
    }
}
