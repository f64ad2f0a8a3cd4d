//! Registers the schedules, subscriptions and webhooks of a version that begins to serve in an environment.

use elias_api::{Code, Error, Result, VersionSettings};
use elias_delivery::clock::Now;
use elias_names::ServiceId;
use elias_store::{NewSchedule, NewSubscription, TenantScope, now_ms};
use elias_triggers::config::TriggersConfig;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Reads and checks what a version's settings say of triggers.
///
/// # Errors
/// `bad-input`, with the setting.
pub(crate) fn check(settings: &VersionSettings) -> Result<TriggersConfig> {
    let triggers = read(settings)?;
    triggers.check().map_err(|error| Error::new(Code::BadInput, error.to_string()))?;
    Ok(triggers)
}

fn read(settings: &VersionSettings) -> Result<TriggersConfig> {
    let Some(table) = &settings.triggers else { return Ok(TriggersConfig::default()) };
    TriggersConfig::deserialize(table).map_err(|error| Error::new(Code::BadInput, format!("[triggers]: {error}")))
}

/// Gives a service the schedules and subscriptions of the version that serves it from now on, in the transaction that
/// makes it serve. Existing ones keep the state that is not the version's: pauses, last runs, cursors.
pub(crate) async fn register(scope: &mut TenantScope, service: &ServiceId, settings: &VersionSettings) -> Result<()> {
    let triggers = read(settings)?;
    let now = Now::from_unix_ms(u64::try_from(now_ms()).unwrap_or_default());
    let mut schedules = Vec::new();
    for config in triggers.schedule.iter().filter(|config| config.enabled) {
        let schedule = config.schedule().map_err(|error| Error::new(Code::BadInput, error.to_string()))?;
        let next_due = schedule.arm(now).map(|due| i64::try_from(due.unix_ms()).unwrap_or(i64::MAX));
        schedules.push(NewSchedule { name: config.name.clone(), config: to_json(config)?, next_due });
    }
    scope.put_schedules(service, &schedules).await?;
    let mut subscriptions = Vec::new();
    for config in &triggers.event {
        subscriptions.push(NewSubscription { name: config.name(), config: to_json(config)? });
    }
    for config in &triggers.webhook {
        subscriptions.push(NewSubscription { name: config.name(), config: to_json(config)? });
    }
    scope.put_subscriptions(service, &subscriptions).await?;
    Ok(())
}

fn to_json(config: &impl Serialize) -> Result<Value> {
    serde_json::to_value(config).map_err(|error| Error::new(Code::Internal, error.to_string()))
}
