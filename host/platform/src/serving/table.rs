//! All services of the host, and the routes to them; immutable, exchanged whole.

use super::service::{Route, Service, Tables};
use crate::error::{Code, Error, Result};
use crate::name::{ServiceId, TenantId};
use elias_gateway::{ApiKeys, HostRule, Router, Rules};
use std::collections::HashMap;
use std::sync::Arc;

/// What checks a tenant's API keys.
pub(crate) type ApiKeysOf = dyn Fn(&TenantId) -> Arc<dyn ApiKeys> + Send + Sync;

/// All services and routes.
#[derive(Default)]
pub(crate) struct Table {
    pub(crate) services: HashMap<ServiceId, Arc<Service>>,
    pub(crate) router: Router<Route>,
}

impl Table {
    /// The table of these services, whose own hosts are below `domain`. A service whose routes clash with another's is left without any, which
    /// the log says: deploying checks that it does not come to this.
    pub(crate) fn new(services: HashMap<ServiceId, Arc<Service>>, domain: &str, api_keys: &ApiKeysOf) -> Self {
        let mut table = Self { services, router: Router::default() };
        let mut all: Vec<_> = table.services.values().cloned().collect();
        // The same order on every host, so that of two that clash the same one wins everywhere.
        all.sort_by(|a, b| a.id.cmp(&b.id));
        for service in all {
            if let Err(error) = table.add(&service, domain, api_keys) {
                tracing::error!(service = %service.id, %error, "the service is not reachable");
            }
        }
        table
    }

    fn add(&mut self, service: &Arc<Service>, domain: &str, api_keys: &ApiKeysOf) -> Result<()> {
        let state = service.state();
        let tables = Tables::read(&state.known.target.release.settings)?;
        let name: Arc<str> = service.id.to_string().into();
        let own = [own_host(&service.id, domain)?];
        let rules = Rules::prepare(&tables.gateway, &service.rules, Some(&api_keys(&service.id.tenant)), None);
        for (route, rules) in tables.gateway.routes.iter().zip(rules) {
            if let Some(host) = &route.host {
                let host = host.to_string();
                if !state.known.target.tenant.allows_host(&host) {
                    let message = format!(
                        "a route names the host {host}, which the tenant {} may not use; whoever runs the host allows it with: \
                         elias tenants set {} --host {host}",
                        service.id.tenant, service.id.tenant
                    );
                    return Err(Error::new(Code::NotAllowed, message));
                }
            }
            let value = Route { service: Arc::clone(service), rules };
            let added = self.router.add(&name, &own, route, &value);
            added.map_err(|error| Error::new(Code::NotAllowed, error.to_string()))?;
        }
        Ok(())
    }

    /// Checks that a service would find place in the table, beside all others.
    pub(crate) fn check(&self, service: &Arc<Service>, domain: &str, api_keys: &ApiKeysOf) -> Result<()> {
        let mut services = self.services.clone();
        services.remove(&service.id);
        let mut table = Self::new(services, domain, api_keys);
        table.add(service, domain, api_keys)
    }
}

/// The host that a service has without asking: `shop.acme.DOMAIN`, and `shop--staging.acme.DOMAIN` outside of production.
pub(crate) fn own_host(id: &ServiceId, domain: &str) -> Result<HostRule> {
    let host = format!("{}.{}.{domain}", id.label(), id.tenant);
    HostRule::parse(&host).map_err(|message| Error::new(Code::BadInput, message))
}
