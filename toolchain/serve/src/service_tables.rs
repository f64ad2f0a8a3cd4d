//! The tables of elias.toml beside grants and limits: whether a platform would take them.

use elias_api::SmokeTest;
use elias_capabilities::http::check_url;
use elias_command_line::{CliErrorCode, Failure};
use elias_delivery::setting::InvalidSetting;
use elias_delivery::supervision::SupervisionConfig;
use elias_gateway::{ConfigError, GatewayConfig};
use elias_project::ConfigFile;
use elias_triggers::config::{InvalidTrigger, TriggersConfig};
use elias_workers::config::WorkersConfig;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Checks `[gateway]`, `[supervision]`, `[triggers]` with what its webhooks need to be granted, `[workers]` and
/// `[smoke]`.
///
/// # Errors
/// `invalid-gateway-config`, `bad-configuration`, `config`.
pub(crate) fn check(config: &ConfigFile) -> Result<(), Failure> {
    if let Some(table) = &config.gateway {
        GatewayConfig::parse(table).map_err(|error| Failure::new(ConfigError::CODE, error))?;
    }
    if let Some(table) = &config.supervision {
        let supervision: SupervisionConfig = read("supervision", table)?;
        supervision.check().map_err(|error| Failure::new(InvalidSetting::CODE, error))?;
    }
    let (secrets, http) = (config.capabilities.get("config"), config.capabilities.get("http"));
    granted_triggers(config.triggers.as_ref(), secrets, http)?;
    workers(config.workers.as_ref())?;
    if let Some(table) = &config.smoke {
        read::<SmokeTest>("smoke", table)?;
    }
    Ok(())
}

/// Checks that `[triggers]` fits the handlers and the classes of workers of the component, and `[gateway]` the classes.
///
/// # Errors
/// `bad-configuration`, `config`, `invalid-gateway-config`.
pub(crate) fn check_handlers(config: &ConfigFile, handlers: &[String], classes: &[String]) -> Result<(), Failure> {
    if let Some(table) = &config.gateway {
        let checked = GatewayConfig::parse(table).and_then(|gateway| gateway.check_worker_classes(classes));
        checked.map_err(|error| Failure::new(ConfigError::CODE, error))?;
    }
    triggers(config.triggers.as_ref())?.check_handlers(handlers, classes).map_err(refused)
}

/// Checks that the component has the classes of workers that `[workers]` names.
///
/// # Errors
/// `bad-configuration`, `config`.
pub(crate) fn check_classes(config: &ConfigFile, classes: &[String]) -> Result<(), Failure> {
    let workers = workers(config.workers.as_ref())?;
    workers.check_classes(classes).map_err(|error| Failure::new(InvalidSetting::CODE, error))
}

/// The table `[triggers]`, checked; the defaults without one.
///
/// # Errors
/// `bad-configuration`, `config`.
pub(crate) fn triggers(table: Option<&Value>) -> Result<TriggersConfig, Failure> {
    let Some(table) = table else { return Ok(TriggersConfig::default()) };
    let triggers: TriggersConfig = read("triggers", table)?;
    triggers.check().map_err(refused)?;
    Ok(triggers)
}

/// The table `[triggers]`, checked also for what its webhooks need of the grants `config` and `http`.
///
/// # Errors
/// `bad-configuration`, `config`.
pub(crate) fn granted_triggers(
    table: Option<&Value>,
    config: Option<&Value>,
    http: Option<&Value>,
) -> Result<TriggersConfig, Failure> {
    let triggers = triggers(table)?;
    triggers.check_webhooks(config, |url| check_url(http, url)).map_err(refused)?;
    Ok(triggers)
}

/// The table `[workers]`, checked; the defaults without one.
///
/// # Errors
/// `bad-configuration`, `config`.
pub(crate) fn workers(table: Option<&Value>) -> Result<WorkersConfig, Failure> {
    let Some(table) = table else { return Ok(WorkersConfig::default()) };
    let workers: WorkersConfig = read("workers", table)?;
    workers.check().map_err(|error| Failure::new(InvalidSetting::CODE, error))?;
    Ok(workers)
}

fn refused(error: InvalidTrigger) -> Failure {
    Failure::new(InvalidSetting::CODE, error)
}

fn read<T: DeserializeOwned>(name: &str, table: &Value) -> Result<T, Failure> {
    T::deserialize(table).map_err(|error| Failure::new(CliErrorCode::Config, format_args!("[{name}]: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_a_platform_would_refuse_is_found_before() {
        let config = |key: &str, table: Value| {
            let mut config = ConfigFile::default();
            let place = match key {
                "gateway" => &mut config.gateway,
                "supervision" => &mut config.supervision,
                "triggers" => &mut config.triggers,
                "workers" => &mut config.workers,
                _ => &mut config.smoke,
            };
            *place = Some(table);
            config
        };
        for (key, table, code) in [
            ("gateway", json!({ "cros": {} }), "invalid-gateway-config"),
            ("supervision", json!({ "retrys": 1 }), "[config]: [supervision]"),
            ("supervision", json!({ "retries": 99 }), "bad-configuration"),
            ("smoke", json!({ "path": 5 }), "[config]: [smoke]"),
            ("workers", json!({ "idel": "1s" }), "[config]: [workers]"),
            ("workers", json!({ "idle": "1ms" }), "bad-configuration"),
            ("triggers", json!({ "schedules": [] }), "[config]: [triggers]"),
            ("triggers", json!({ "schedule": [{ "name": "a", "cron": "61 * * * *" }] }), "bad-configuration"),
        ] {
            let error = check(&config(key, table)).expect_err(key).to_string();
            assert!(error.contains(code), "{error}");
        }
        assert!(check(&config("smoke", json!({ "path": "/up", "status": 204 }))).is_ok());
        assert!(check(&ConfigFile::default()).is_ok());
        let webhook = json!({ "type": "a", "url": "https://example.com", "secret": "SECRET" });
        let mut webhook = config("triggers", json!({ "webhook": [webhook] }));
        let error = check(&webhook).expect_err("no secret").to_string();
        assert!(error.contains("triggers.webhook[0].secret"), "{error}");
        let secret = json!({ "secret": { "env": "SECRET", "secret": true } });
        webhook.capabilities.insert("config".to_owned(), secret);
        let error = check(&webhook).expect_err("no grant").to_string();
        assert!(error.contains("allow = [\"https://example.com\"]"), "{error}");
        webhook.capabilities.insert("http".to_owned(), json!({ "allow": ["example.com"] }));
        assert!(check(&webhook).is_ok());
        let schedule = config("triggers", json!({ "schedule": [{ "name": "a", "every": "1m" }] }));
        assert!(check_handlers(&schedule, &["scheduled".to_owned()], &[]).is_ok());
        let error = check_handlers(&schedule, &["fetch".to_owned()], &[]).expect_err("no handler").to_string();
        assert!(error.contains("`scheduled`"), "{error}");
        let worker = json!({ "class": "Cart", "name": "{subject}" });
        let event = config("triggers", json!({ "event": [{ "type": "cart.*", "worker": worker }] }));
        assert!(check(&event).is_ok() && check_handlers(&event, &[], &["Cart".to_owned()]).is_ok());
        let error = check_handlers(&event, &[], &[]).expect_err("no class").to_string();
        assert!(error.contains("triggers.event[0].worker.class"), "{error}");
        let route = json!({ "path": "/cart", "worker": { "class": "Cart", "name": "a" } });
        let route = config("gateway", json!({ "routes": [route] }));
        assert!(check_handlers(&route, &[], &["Cart".to_owned()]).is_ok());
        let error = check_handlers(&route, &[], &[]).expect_err("no class").to_string();
        assert!(error.contains("gateway.routes[0].worker"), "{error}");
        let group = json!({ "group": [{ "name": "pool", "class": "Cart", "size": 2 }] });
        let pool = config("workers", group);
        assert!(check(&pool).is_ok() && check_classes(&pool, &["Cart".to_owned()]).is_ok());
        let error = check_classes(&pool, &[]).expect_err("no class").to_string();
        assert!(error.contains("workers.group") && error.contains("Cart"), "{error}");
    }
}
