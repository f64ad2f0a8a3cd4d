//! The classes of service workers that the settings of a version name, and the engine that their heaps need.

use elias_api::{Code, Error, Result, VersionSettings};
use elias_contract::layout::EngineBinding;
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

/// Checks that a component with service workers carries its engine. The heaps of its workers need that engine for as
/// long as they are kept, also on hosts of later releases, which have another one; the component's artifact is kept as
/// long as they are, and whatever it carries with it.
///
/// # Errors
/// `bad-input`.
pub(super) fn check_engine(engine: Option<&EngineBinding<'_>>, classes: &[String]) -> Result<()> {
    if classes.is_empty() || !matches!(engine, Some(EngineBinding::Imported { .. })) {
        return Ok(());
    }
    let message = format!(
        "the component has service workers ({}) and does not carry the engine that their heaps need later: build it \
         without --thin",
        classes.join(", ")
    );
    Err(Error::new(Code::BadInput, message))
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
    #[test]
    fn a_component_with_workers_carries_its_engine() {
        let thin = EngineBinding::Imported { digest: "0".repeat(64) };
        let classes = ["Cart".to_owned(), "Stock".to_owned()];
        let refused = check_engine(Some(&thin), &classes).expect_err("it is thin");
        assert_eq!(refused.code(), Code::BadInput);
        assert!(refused.to_string().contains("Cart, Stock") && refused.to_string().contains("--thin"), "{refused}");
        assert!(check_engine(Some(&thin), &[]).is_ok(), "it has no workers");
        let digest = "0".repeat(64);
        let carried = EngineBinding::Carried { module: &[], digest, section: 0..0 };
        assert!(check_engine(Some(&carried), &classes).is_ok());
        assert!(check_engine(None, &classes).is_ok(), "it is of another toolchain");
    }
}
