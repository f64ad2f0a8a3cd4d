//! `[nats]`: the connector to NATS JetStream, over the logs of events of a platform.

use elias_api::{Code, Error};
use elias_command_line::{CliErrorCode, Failure};
use elias_names::TenantId;
use elias_nats::{Connector, EventBatch, EventLog, NatsConfig, Outcome, PublishError};
use elias_platform::Platform;
use elias_triggers::event::Event;
use futures::FutureExt;
use futures::future::BoxFuture;
use serde::Deserialize;
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// When messages come again that a platform does not take now: while its store is away, and over a quota.
const AFTER_OUTAGE: Duration = Duration::from_secs(5);
const AFTER_QUOTA: Duration = Duration::from_secs(60);

/// Reads and checks the table, if there is one; its paths are relative to `folder`.
///
/// # Errors
/// `config` for what cannot be used.
pub(crate) fn config(table: Option<&Value>, folder: &Path) -> Result<Option<NatsConfig>, Failure> {
    let Some(table) = table else { return Ok(None) };
    let config = NatsConfig::deserialize(table);
    let config = config.map_err(|error| Failure::new(CliErrorCode::Config, format_args!("[nats]: {error}")))?;
    config.check().map_err(|error| Failure::new(CliErrorCode::Config, error))?;
    Ok(Some(config.in_folder(folder)))
}

/// Connects a platform; the connector ends with what is given.
///
/// # Errors
/// `config` for a file or a URL that cannot be used. A server that is away is waited for.
pub(crate) async fn connect(config: NatsConfig, platform: &Platform) -> Result<Connector, Failure> {
    let log = Arc::new(PlatformLog(platform.clone()));
    Connector::start(config, log).await.map_err(|error| Failure::new(CliErrorCode::Config, error))
}

/// The logs of a platform's tenants.
struct PlatformLog(Platform);

impl EventLog for PlatformLog {
    fn publish<'a>(&'a self, tenant: &'a TenantId, events: Vec<Event>) -> BoxFuture<'a, Result<(), PublishError>> {
        async move { self.0.publish_for_connector(tenant, events).await.map_err(|error| refused(&error)) }.boxed()
    }

    fn read<'a>(
        &'a self,
        tenant: &'a TenantId,
        reader: &'a str,
        limit: usize,
    ) -> BoxFuture<'a, Result<Option<EventBatch>, String>> {
        async move {
            let limit = u32::try_from(limit).unwrap_or(u32::MAX);
            let batch = self.0.read_for_connector(tenant, reader, limit).await;
            let batch = batch.map_err(|error| error.to_string())?;
            Ok(batch.map(|batch| EventBatch { from: batch.from, to: batch.to, events: batch.events }))
        }
        .boxed()
    }

    fn advance<'a>(
        &'a self,
        tenant: &'a TenantId,
        reader: &'a str,
        from: u64,
        to: u64,
    ) -> BoxFuture<'a, Result<(), String>> {
        async move { self.0.advance_connector(tenant, reader, from, to).await.map_err(|error| error.to_string()) }
            .boxed()
    }

    fn count(&self, connection: &str, outcome: Outcome, events: u64) {
        self.0.count_for_connector(connection, outcome.as_str(), events);
    }
}

/// An event that is not one is refused for good. Anything else may go another time, also a tenant that does not exist
/// yet.
fn refused(error: &Error) -> PublishError {
    let reason = format!("{}: {error}", error.code());
    match error.code() {
        Code::BadInput | Code::TooLarge => PublishError::Refused(reason),
        Code::QuotaExceeded => PublishError::Later { reason, after: AFTER_QUOTA },
        _ => PublishError::Later { reason, after: AFTER_OUTAGE },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_table_is_checked() {
        assert_eq!(config(None, Path::new(".")).map_err(|failure| failure.to_string()), Ok(None));
        for (table, wanted) in [
            (json!({}), "[nats]: missing field `url`"),
            (json!({ "url": "nats://a", "inn": [] }), "[nats]: unknown field `inn`"),
            (json!({ "url": "nats://a", "out": [{ "name": "a", "tenant": "b", "type": "a..b" }] }), "nats.out[0].type"),
        ] {
            let error = config(Some(&table), Path::new(".")).expect_err(wanted).to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }

    #[test]
    fn only_what_is_no_event_is_refused_for_good() {
        let refused = |code| refused(&Error::new(code, "x"));
        assert!(matches!(refused(Code::BadInput), PublishError::Refused(_)));
        for (code, seconds) in [(Code::StoreUnavailable, 5), (Code::NotFound, 5), (Code::QuotaExceeded, 60)] {
            let PublishError::Later { after, .. } = refused(code) else { panic!("{code} is refused for good") };
            assert_eq!(after, Duration::from_secs(seconds));
        }
    }
}
