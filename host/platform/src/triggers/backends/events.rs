//! The log of events, for components.

use super::super::deliver::source_of;
use super::super::runner::WriteSource;
use super::super::{Runner, publish_later};
use super::{TriggerBackends, service_of, shown};
use elias_api::Code;
use elias_capabilities::events::{Error, ErrorCode, EventLog, NewEvent};
use elias_capabilities::trigger::Origin;
use elias_store::now_ms;
use elias_triggers::event::{HOPS_MAX, TooManyHops};
use futures::FutureExt;
use futures::future::BoxFuture;
use std::sync::Arc;

impl EventLog for TriggerBackends {
    fn publish(&self, origin: Arc<Origin>, event: NewEvent) -> BoxFuture<'static, Result<String, Error>> {
        let runner = self.runner();
        async move {
            let runner = runner.map_err(|error| refused(&error))?;
            publish(&runner, &origin, ulid::Ulid::new().to_string(), WriteSource::Direct, event).await
        }
        .boxed()
    }

    fn publish_once(
        &self,
        origin: Arc<Origin>,
        id: String,
        event: NewEvent,
    ) -> BoxFuture<'static, Result<String, Error>> {
        let runner = self.runner();
        async move {
            let runner = runner.map_err(|error| refused(&error))?;
            publish(&runner, &origin, id, WriteSource::Outbox, event).await
        }
        .boxed()
    }
}

fn refused(error: &elias_api::Error) -> Error {
    let code = match error.code() {
        Code::BadInput | Code::BadName => ErrorCode::Invalid,
        Code::QuotaExceeded => ErrorCode::QuotaExceeded,
        _ => ErrorCode::Unavailable,
    };
    Error::new(code, shown(error))
}

async fn publish(
    runner: &Runner,
    origin: &Origin,
    id: String,
    source: WriteSource,
    event: NewEvent,
) -> Result<String, Error> {
    let service = service_of(origin).map_err(|error| refused(&error))?;
    if origin.cause.hops > u32::from(HOPS_MAX) {
        return Err(Error::new(ErrorCode::Invalid, format!("{}: {}", TooManyHops.code(), TooManyHops)));
    }
    let quotas = runner.services.find(&service).map(|served| served.quotas);
    let NewEvent { event_type, data, subject, key, delay } = event;
    let new = elias_store::NewEvent {
        id: id.clone(),
        event_type,
        source: source_of(&service),
        subject,
        data,
        time: now_ms(),
        key,
        hops: origin.cause.hops,
        cause: origin.cause.traceparent.clone(),
    };
    if delay.is_zero() {
        let published = runner.publish_from(&service.tenant, new, quotas, source).await;
        return published.map(|published| published.id).map_err(|error| refused(&error));
    }
    let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
    let job = publish_later::job(&service, new, delay_ms).map_err(|error| refused(&error))?;
    runner.enqueue(&service.tenant, job, quotas, source).await.map_err(|error| refused(&error))?;
    Ok(id)
}
