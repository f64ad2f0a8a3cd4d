//! `elias/events`: the events capability.

use super::convert::{UsvString, error_with_code};
use super::db::transaction_number;
use super::require;
use super::streams::promise_of_operation;
use crate::bindings::elias::events::events::{self, Error, ErrorCode, Pending, PublishRequest};
use crate::phase::Import;
use javy::quickjs::{Ctx, Function, IntoJs, Object, Result, Value};

pub(crate) fn add(native: &Object<'_>) -> Result<()> {
    native.set("eventsPublish", Function::new(native.ctx().clone(), publish)?)
}

/// A promise of the event's id. `data` is a JSON text, a delay is in milliseconds. The event is a part of the
/// transaction of that id, or of none (0).
fn publish<'js>(
    ctx: Ctx<'js>,
    UsvString(event_type): UsvString,
    UsvString(data): UsvString,
    subject: Option<UsvString>,
    key: Option<UsvString>,
    delay_ms: Option<f64>,
    transaction: u32,
) -> Result<Value<'js>> {
    require(&ctx, Import::Events, "the event log")?;
    let request = PublishRequest {
        event_type,
        data,
        subject: subject.map(|text| text.0),
        key: key.map(|text| text.0),
        delay_ms: delay_ms.map(|delay| delay as u64),
    };
    let pending = match transaction {
        0 => events::publish(&request),
        id => events::publish_in(transaction_number(&ctx, id)?, &request),
    };
    promise_of_operation(&ctx, pending, Pending::take, Pending::subscribe, convert)
}

fn convert<'js>(ctx: &Ctx<'js>, outcome: std::result::Result<String, Error>) -> Result<Value<'js>> {
    match outcome {
        Ok(id) => id.into_js(ctx),
        Err(Error { code, message }) => {
            let code = match code {
                ErrorCode::Invalid => "invalid",
                ErrorCode::TooLarge => "too-large",
                ErrorCode::QuotaExceeded => "quota-exceeded",
                ErrorCode::Conflict => "conflict",
                ErrorCode::Unavailable => "unavailable",
            };
            Err(error_with_code(ctx, code, None, &message))
        }
    }
}
