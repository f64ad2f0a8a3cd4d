//! Events that the platform publishes itself into the log of the tenant that they are about.

use elias_api::Result;
use elias_names::ServiceId;
use elias_store::{NewEvent, TenantScope, now_ms};
use serde_json::{Value, json};

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

/// Publishes an event in the transaction of what it tells of.
pub(crate) async fn publish(scope: &mut TenantScope, event_type: &str, subject: String, data: &Value) -> Result<()> {
    // The quota is for what tenants publish.
    scope.publish_events(&[event(event_type, subject, data)], None).await?;
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
