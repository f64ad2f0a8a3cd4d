//! Events that the platform publishes itself into the log of the tenant that they are about.

use elias_api::Result;
use elias_names::{ServiceId, TenantId};
use elias_store::{NewEvent, Store, TenantScope, now_ms};
use elias_triggers::event::TypePattern;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Events of one call of [`publish_wanted`] that are published for a tenant.
const PUBLISHED_MAX: usize = 20;

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

/// Publishes events after the transaction of what they report: those that a subscription of their tenant asks for, the
/// first of each tenant.
///
/// # Errors
/// `store-unavailable`.
pub(crate) async fn publish_wanted(store: &Store, events: Vec<(&TenantId, NewEvent)>) -> Result<()> {
    if events.is_empty() {
        return Ok(());
    }
    let active = store.host_read().await?.active_subscriptions().await?;
    let mut wanted: BTreeMap<&TenantId, Vec<NewEvent>> = BTreeMap::new();
    for (tenant, event) in events {
        let mut of_tenant = active.iter().filter(|(owner, _)| owner == tenant);
        if of_tenant.any(|(_, config)| is_wanted(config, &event.event_type)) {
            let events = wanted.entry(tenant).or_default();
            if events.len() < PUBLISHED_MAX {
                events.push(event);
            }
        }
    }
    if wanted.is_empty() {
        return Ok(());
    }
    let mut scope = store.host_write().await?;
    for (tenant, events) in wanted {
        scope.publish_events(tenant, &events, None).await?;
    }
    Ok(scope.commit().await?)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_store::{create_tenant, sqlite};
    use elias_names::Environment;
    use elias_store::NewSubscription;

    #[tokio::test]
    async fn a_tenant_gets_the_events_that_it_asks_for_up_to_a_bound() {
        let (store, _folder) = sqlite();
        let [acme, other] = ["acme", "other"].map(|name| name.parse::<TenantId>().expect("a name"));
        create_tenant(&store, &acme).await;
        create_tenant(&store, &other).await;
        let component = "shop".parse().expect("a name");
        let shop = ServiceId { tenant: acme.clone(), component, environment: Environment::Production };
        let subscription = NewSubscription { name: "new".to_owned(), config: json!({ "type": "issue.new" }) };
        let mut scope = store.write(&acme).await.expect("a scope");
        scope.put_subscriptions(&shop, &[subscription]).await.expect("they are there");
        scope.commit().await.expect("committed");
        let of = |event_type: &str, number: usize| event(event_type, number.to_string(), &json!({}));
        let mut events = vec![(&acme, of("issue.regressed", 0)), (&other, of("issue.new", 0))];
        events.extend((0..=PUBLISHED_MAX).map(|number| (&acme, of("issue.new", number))));
        publish_wanted(&store, events).await.expect("published");
        let mut scope = store.host_read().await.expect("a scope");
        let published = scope.events(&acme, 0, 100).await.expect("read");
        let subjects: Vec<_> = published.into_iter().map(|event| event.subject.expect("a subject")).collect();
        assert_eq!(subjects, (0..PUBLISHED_MAX).map(|number| number.to_string()).collect::<Vec<_>>());
        assert!(scope.events(&other, 0, 100).await.expect("read").is_empty(), "it has no subscription");
    }
}
