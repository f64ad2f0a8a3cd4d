//! Routes to service workers of a version.

use elias_api::{Code, Error, Result};
use elias_gateway::GatewayConfig;
use serde_json::Value;

/// Checks that a component exports the classes of workers that the routes of its table `[gateway]` name.
///
/// # Errors
/// `bad-input`.
pub(super) fn check(gateway: Option<&Value>, classes: &[String]) -> Result<()> {
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
        assert!(check(Some(&table), &["Cart".to_owned(), "Stock".to_owned()]).is_ok());
        assert!(check(None, &[]).is_ok() && check(Some(&json!({})), &[]).is_ok());
        let error = check(Some(&table), &["Stock".to_owned()]).expect_err("no such class");
        assert_eq!(error.code(), Code::BadInput);
        assert!(
            error.to_string().contains("gateway.routes[1].worker") && error.to_string().contains("Cart"),
            "{error}"
        );
    }
}
