//! Events that the platform publishes itself into the log of the tenant that they are about.

use elias_api::Result;
use elias_names::ServiceId;
use elias_store::{NewEvent, Store, TenantScope, now_ms};
use elias_triggers::event::TypePattern;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The source of the platform's own events: no component's is like it.
pub(crate) const SOURCE: &str = "/elias";

/// An event of the platform's own.
pub(crate) fn event(event_type: &str, subject: String, data: &Value) -> NewEvent {
    NewEvent {
        id: ulid::Ulid::new().to_string(),
        event_type: event_type.to_owned(),
        source: SOURCE.to_owned(),
        subject: Some(subject),
        data: data.to_string(),
        time: now_ms(),
        key: None,
        hops: 0,
        cause: None,
    }
}

/// Publishes an event in the transaction of the change that it reports.
pub(crate) async fn publish(scope: &mut TenantScope, event_type: &str, subject: String, data: &Value) -> Result<()> {
    // The quota is for what tenants publish.
    scope.publish_events(&[event(event_type, subject, data)], None).await?;
    Ok(())
}

/// Whether a subscription asks for events of a type, by its configuration.
pub(crate) fn is_wanted(config: &Value, event_type: &str) -> bool {
    let pattern = config.get("type").and_then(Value::as_str).and_then(|text| text.parse::<TypePattern>().ok());
    pattern.is_some_and(|pattern| pattern.matches(event_type))
}

/// Publishes that this host has started or is about to end, `node.started` or `node.stopping`: to the tenants that have
/// a subscription to it, for it is about no tenant.
pub(crate) async fn tell_of_node(store: &Store, event_type: &str, host: &str) -> Result<()> {
    let active = store.host_read().await?.active_subscriptions().await?;
    let wanting = active.into_iter().filter(|(_, config)| is_wanted(config, event_type)).map(|(tenant, _)| tenant);
    let tenants: BTreeSet<_> = wanting.collect();
    if tenants.is_empty() {
        return Ok(());
    }
    let data = json!({ "node": host, "release": env!("CARGO_PKG_VERSION") });
    let mut scope = store.host_write().await?;
    for tenant in &tenants {
        scope.publish_events(tenant, &[event(event_type, host.to_owned(), &data)], None).await?;
    }
    scope.commit().await?;
    Ok(())
}

/// Publishes that a version serves now.
pub(crate) async fn deployed(scope: &mut TenantScope, id: &ServiceId, version: u32, deployment: &str) -> Result<()> {
    let data = json!({
        "component": id.component,
        "environment": id.environment,
        "version": version,
        "deployment": deployment,
    });
    publish(scope, "component.deployed", id.subject(), &data).await
}
