//! The table `[triggers]`, as it is run by.

use elias_capabilities::http::{GrantedClient, check_url};
use elias_command_line::{CliErrorCode, Failure};
use elias_host::{App, Grants};
use elias_triggers::config::{
    InvalidTrigger, JobConfig, ScheduleConfig, SubscriptionConfig, TriggersConfig, WebhookConfig,
};
use elias_triggers::event::{Event, Filter, Transform, TypePattern};
use elias_triggers::schedule::Schedule;
use serde::Deserialize;
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// The triggers of a project.
#[derive(Default)]
pub(crate) struct TriggerSettings {
    pub(super) schedules: Vec<ScheduleSettings>,
    pub(super) subscriptions: Vec<Arc<SubscriptionSettings>>,
    config: TriggersConfig,
}

/// A schedule.
pub(super) struct ScheduleSettings {
    pub(super) config: ScheduleConfig,
    pub(super) schedule: Schedule,
}

/// A subscription.
pub(super) struct SubscriptionSettings {
    pub(super) name: String,
    pub(super) config: SubscriptionConfig,
    /// Limits how many of its deliveries run at a time.
    pub(super) slots: Arc<Semaphore>,
    pattern: TypePattern,
    filter: Filter,
    pub(super) transform: Option<Transform>,
    /// The URL that gets its events; none: the handler `event`.
    pub(super) webhook: Option<Webhook>,
}

/// A URL that gets events.
#[derive(Clone)]
pub(super) struct Webhook {
    pub(super) url: String,
    /// The variable of the environment with the secret.
    pub(super) secret: String,
    pub(super) client: Arc<GrantedClient>,
}

impl TriggerSettings {
    /// Reads the table of elias.toml, if there is one. Webhooks are sent by what the component is granted, whose paths
    /// are relative to `folder`.
    ///
    /// # Errors
    /// `config`, `bad-configuration`.
    pub(crate) fn of(table: Option<&Value>, grants: &Grants, folder: &Path) -> Result<Self, Failure> {
        let Some(table) = table else { return Ok(Self::default()) };
        let config = TriggersConfig::deserialize(table);
        let config = config.map_err(|error| Failure::new(CliErrorCode::Config, format_args!("[triggers]: {error}")))?;
        config.check().map_err(|error| invalid(&error))?;
        let http = grants.get("http");
        let checked = config.check_webhooks(grants.get("config"), |url| check_url(http, url));
        checked.map_err(|error| invalid(&error))?;
        Self::prepare(config, http, folder).map_err(|error| Failure::new("bad-configuration", error))
    }

    fn prepare(config: TriggersConfig, http: Option<&Value>, folder: &Path) -> Result<Self, String> {
        let schedules = config.schedule.iter().cloned().map(|config| {
            let schedule = config.schedule().map_err(|error| format!("schedule {}: {}", config.name, error.what()))?;
            Ok::<_, String>(ScheduleSettings { config, schedule })
        });
        let mut subscriptions = Vec::new();
        for config in &config.event {
            subscriptions.push(Arc::new(SubscriptionSettings::new(config.clone(), None)?));
        }
        if !config.webhook.is_empty() {
            let client = GrantedClient::new(http, folder).map_err(|error| format!("[capabilities.http]: {error}"))?;
            let client = Arc::new(client);
            for config in &config.webhook {
                let WebhookConfig { url, secret, .. } = config.clone();
                let webhook = Webhook { url, secret, client: Arc::clone(&client) };
                subscriptions.push(Arc::new(SubscriptionSettings::new(config.subscription(), Some(webhook))?));
            }
        }
        Ok(Self { schedules: schedules.collect::<Result<_, _>>()?, subscriptions, config })
    }

    /// The settings of the jobs with this name.
    pub(super) fn job(&self, name: &str) -> JobConfig {
        self.config.jobs.get(name).cloned().unwrap_or_default()
    }

    /// Whether nothing is configured.
    pub(crate) fn is_empty(&self) -> bool {
        self.config.is_empty()
    }

    /// Checks that the triggers and the handlers of a component fit together.
    ///
    /// # Errors
    /// `bad-configuration`.
    pub(crate) fn check_handlers(&self, app: &App) -> Result<(), Failure> {
        let Some(manifest) = app.manifest() else { return Ok(()) };
        self.config.check_handlers(&manifest.handlers).map_err(|error| invalid(&error))
    }
}

impl SubscriptionSettings {
    fn new(config: SubscriptionConfig, webhook: Option<Webhook>) -> Result<Self, String> {
        let name = config.name();
        let slots = Arc::new(Semaphore::new(usize::try_from(config.concurrency).unwrap_or(1)));
        let pattern = config.pattern().map_err(|error| format!("subscription {name}: {error}"))?;
        let filter = config.filter().map_err(|error| format!("subscription {name}: {error}"))?;
        let transform = config.transform().map_err(|error| format!("subscription {name}: {error}"))?;
        Ok(Self { name, config, slots, pattern, filter, transform, webhook })
    }

    /// Whether an event is for it.
    pub(super) fn matches(&self, event: &Event) -> bool {
        self.pattern.matches(&event.event_type) && self.filter.matches(event)
    }
}

fn invalid(error: &InvalidTrigger) -> Failure {
    Failure::new(error.code(), error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn grants() -> Grants {
        let secret = json!({ "secret": { "env": "SECRET", "secret": true } });
        Grants::none().with("config", secret).with("http", json!({ "allow": ["https://example.com"] }))
    }

    fn settings(table: Value) -> Result<TriggerSettings, String> {
        TriggerSettings::of(Some(&table), &grants(), Path::new(".")).map_err(|failure| failure.to_string())
    }

    #[test]
    fn the_table_is_read_and_what_is_wrong_is_named() {
        let table = json!({
            "schedule": [{ "name": "nightly", "cron": "0 3 * * *" }],
            "event": [{ "type": "order.*" }],
            "webhook": [{ "name": "partner", "type": "a", "url": "https://example.com/a", "secret": "SECRET" }],
            "jobs": { "resize": { "concurrency": 2 } },
        });
        let read = settings(table).expect("it is right");
        assert_eq!((read.schedules.len(), read.subscriptions[0].name.as_str()), (1, "order-any"));
        assert_eq!((read.job("resize").concurrency, read.job("other").concurrency), (2, 10));
        assert!(read.subscriptions[0].webhook.is_none() && read.subscriptions[1].webhook.is_some());
        assert!(!read.is_empty() && settings(json!({})).expect("it is right").is_empty());
        for (table, wanted) in [
            (json!({ "schedules": [] }), "[config]: [triggers]"),
            (json!({ "schedule": [{ "name": "a", "cron": "* *" }] }), "triggers.schedule[0].cron"),
            (
                json!({ "webhook": [{ "type": "a", "url": "http://example.com", "secret": "SECRET" }] }),
                "allow = [\"http://example.com\"]",
            ),
        ] {
            let error = settings(table).map(|_| ()).expect_err(wanted);
            assert!(error.contains(wanted), "{error}");
        }
    }
}
