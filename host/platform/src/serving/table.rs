//! All services of the host, and the routes to them; immutable, exchanged whole.

use super::service::{Route, Service};
use crate::artifacts::Artifacts;
use crate::error::{Code, Error, Result};
use crate::name::{Digest, ServiceId};
use elias_gateway::{ApiKeys, AssetEntry, AssetTable, GatewayConfig, HostRule, Router};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// What checks a service's API keys.
pub(crate) type ApiKeysOf = dyn Fn(&ServiceId) -> Arc<dyn ApiKeys> + Send + Sync;

/// What a table is made with, beside the services.
pub(crate) struct Around {
    /// The domain of the services' own hosts.
    pub(crate) domain: String,
    /// What checks API keys.
    pub(crate) api_keys: Box<ApiKeysOf>,
    /// Where files are.
    pub(crate) artifacts: Artifacts,
}

/// All services and routes.
#[derive(Default)]
pub(crate) struct Table {
    pub(crate) services: HashMap<ServiceId, Arc<Service>>,
    pub(crate) router: Router<Route>,
}

impl Table {
    /// The table of these services, in these surroundings. A service whose routes clash with another's is left without any, which
    /// the log says: deploying checks that it does not come to this.
    pub(crate) fn new(services: HashMap<ServiceId, Arc<Service>>, around: &Around) -> Self {
        let mut table = Self { services, router: Router::default() };
        let mut all: Vec<_> = table.services.values().cloned().collect();
        // The same order on every host, so that of two that clash the same one wins everywhere.
        all.sort_by(|a, b| a.id.cmp(&b.id));
        for service in all {
            if let Err(error) = table.add(&service, around) {
                tracing::error!(service = %service.id, %error, "the service is not reachable");
            }
        }
        table
    }

    fn add(&mut self, service: &Arc<Service>, around: &Around) -> Result<()> {
        let state = service.state();
        let name: Arc<str> = service.id.to_string().into();
        let own = [own_host(&service.id, &around.domain)?];
        for (route, rules) in state.gateway.routes.iter().zip(&state.rules) {
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
            let value = Route { service: Arc::clone(service), rules: Arc::clone(rules) };
            let added = self.router.add(&name, &own, route, &value);
            added.map_err(|error| Error::new(Code::NotAllowed, error.to_string()))?;
        }
        Ok(())
    }

    /// Checks that a service would find place in the table, beside all others.
    pub(crate) fn check(&self, service: &Arc<Service>, around: &Around) -> Result<()> {
        let mut services = self.services.clone();
        services.remove(&service.id);
        let mut table = Self::new(services, around);
        table.add(service, around)
    }
}

/// The files that a version's routes serve, if any do. Those that are not in the folder are left out: `Loader::fetch_assets` puts them there.
pub(super) fn assets(
    gateway: &GatewayConfig,
    files: &BTreeMap<String, Digest>,
    artifacts: &Artifacts,
) -> Result<Option<Arc<AssetTable>>> {
    let Some(rules) = gateway.routes.iter().find_map(|route| route.rules.assets.as_ref()) else { return Ok(None) };
    let entry = |(path, digest): (&String, &Digest)| {
        let path = path.strip_prefix(rules.folder())?;
        let bytes = artifacts.bytes(digest)?;
        let sha256 = digest.to_string();
        path.starts_with('/').then(|| AssetEntry {
            path: path.to_owned(),
            sha256,
            bytes,
            content_type: None,
            encodings: Vec::new(),
        })
    };
    let entries: Vec<_> = files.iter().filter_map(entry).collect();
    let table = AssetTable::new(&entries).map_err(|error| Error::new(Code::BadInput, error.to_string()))?;
    Ok(Some(Arc::new(table)))
}

/// The host that a service has without asking: `shop.acme.DOMAIN`, and `shop--staging.acme.DOMAIN` outside of production.
pub(crate) fn own_host(id: &ServiceId, domain: &str) -> Result<HostRule> {
    let host = format!("{}.{}.{domain}", id.label(), id.tenant);
    HostRule::parse(&host).map_err(|message| Error::new(Code::BadInput, message))
}
