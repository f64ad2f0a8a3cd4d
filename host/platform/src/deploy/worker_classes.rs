//! The classes of service workers that the settings of a version name.

use elias_api::{Code, Error, Result, VersionSettings};
use elias_gateway::GatewayConfig;
use elias_workers::config::WorkersConfig;
use serde::Deserialize;
use serde_json::Value;

/// Checks that a component exports the classes of workers that its tables `[gateway]` and `[workers]` name.
///
/// # Errors
/// `bad-input`.
pub(super) fn check(settings: &VersionSettings, classes: &[String]) -> Result<()> {
    let bad = |message: String| Error::new(Code::BadInput, message);
    routes(settings.gateway.as_ref(), classes)?;
    let Some(table) = &settings.workers else { return Ok(()) };
    let workers = WorkersConfig::deserialize(table).map_err(|error| bad(format!("[workers]: {error}")))?;
    workers.check_classes(classes).map_err(|error| bad(error.to_string()))
}

/// Those of the routes.
fn routes(gateway: Option<&Value>, classes: &[String]) -> Result<()> {
    let bad = |message: String| Error::new(Code::BadInput, message);
    let Some(table) = gateway else { return Ok(()) };
    let config = GatewayConfig::parse(table).map_err(|error| bad(error.to_string()))?;
    config.check_worker_classes(classes).map_err(|error| bad(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_route_names_a_class_that_is_there() {
        let table =
            json!({ "routes": [{ "path": "/" }, { "path": "/cart", "worker": { "class": "Cart", "name": "a" } }] });
        assert!(routes(Some(&table), &["Cart".to_owned(), "Stock".to_owned()]).is_ok());
        assert!(routes(None, &[]).is_ok() && routes(Some(&json!({})), &[]).is_ok());
        let error = routes(Some(&table), &["Stock".to_owned()]).expect_err("no such class");
        assert_eq!(error.code(), Code::BadInput);
        assert!(
            error.to_string().contains("gateway.routes[1].worker") && error.to_string().contains("Cart"),
            "{error}"
        );
    }

    #[test]
    fn groups_trees_and_tags_name_classes_that_are_there() {
        let group = json!({ "group": [{ "name": "pool", "class": "Resizer", "size": 2 }] });
        let settings = VersionSettings { workers: Some(group), ..VersionSettings::default() };
        assert!(check(&settings, &["Resizer".to_owned()]).is_ok());
        let error = check(&settings, &["Cart".to_owned()]).expect_err("no such class");
        assert_eq!(error.code(), Code::BadInput);
        assert!(error.to_string().contains("workers.group") && error.to_string().contains("Resizer"), "{error}");
    }
}
