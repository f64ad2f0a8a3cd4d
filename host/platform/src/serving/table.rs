//! The table of all services of the host and the routes to them. It is immutable, and replaced as a whole.

use super::service::{Route, Service, State};
use crate::artifacts::Artifacts;
use elias_api::{Code, Error, Result};
use elias_gateway::assets::content_type_of;
use elias_gateway::encoding::is_compressible;
use elias_gateway::{AssetEntry, AssetTable, GatewayConfig, HostRule, RouteConfig, Router};
use elias_names::{Digest, ServiceId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The parts with which a table is made, beside the services.
pub(crate) struct TableContext {
    /// The domain of the services' own hosts.
    pub(crate) domain: String,
    /// Where files are.
    pub(crate) artifacts: Artifacts,
}

/// All services and routes. Its clone shares almost all with it, so a table with one service changed costs what that
/// service has.
#[derive(Default, Clone)]
pub(crate) struct Table {
    pub(crate) services: imbl::HashMap<ServiceId, Arc<Service>>,
    pub(crate) router: Router<Route>,
}

impl Table {
    /// Inserts or replaces a service. If its routes clash with another's, the service whose name comes first responds
    /// on every host of the platform, and the log says so; checks at deployment prevent this.
    pub(crate) fn set(&mut self, service: &Arc<Service>, context: &TableContext) {
        let (name, state) = (name(&service.id), service.state());
        let clashes = match hosts_allowed(&service.id, &state) {
            Ok(()) => own_hosts(&service.id, context)
                .map(|own| self.router.set(&name, &own, &routes(service, &state)))
                .map(|clashes| clashes.into_iter().map(|error| error.to_string()).collect()),
            Err(error) => Err(error),
        };
        let clashes = clashes.unwrap_or_else(|error: Error| {
            self.router.remove(&name);
            vec![error.to_string()]
        });
        for error in clashes {
            tracing::error!(service = %service.id, %error, "a host name of a service cannot be routed");
        }
        self.services.insert(service.id.clone(), Arc::clone(service));
    }

    /// Takes a service out.
    pub(crate) fn remove(&mut self, id: &ServiceId) {
        self.router.remove(&name(id));
        self.services.remove(id);
    }

    /// Checks that a service would find place in the table, beside all others.
    pub(crate) fn check(&self, service: &Arc<Service>, context: &TableContext) -> Result<()> {
        let state = service.state();
        hosts_allowed(&service.id, &state)?;
        let own = own_hosts(&service.id, context)?;
        let checked = self.router.check(&name(&service.id), &own, &routes(service, &state));
        checked.map_err(|error| Error::new(Code::NotAllowed, error.to_string()))
    }
}

/// By which name the router knows a service.
fn name(id: &ServiceId) -> Arc<str> {
    id.to_string().into()
}

fn own_hosts(id: &ServiceId, context: &TableContext) -> Result<[HostRule; 1]> {
    Ok([own_host(id, &context.domain)?])
}

fn routes<'s>(service: &Arc<Service>, state: &'s State) -> Vec<(&'s RouteConfig, Route)> {
    let value = |rules| Route { service: Arc::clone(service), rules: Arc::clone(rules) };
    state.gateway.routes.iter().zip(state.rules.iter().map(value)).collect()
}

/// Checks that a service's tenant may use the hosts that its routes name.
fn hosts_allowed(id: &ServiceId, state: &State) -> Result<()> {
    for host in state.gateway.routes.iter().filter_map(|route| route.host.as_ref()) {
        let host = host.to_string();
        if !state.snapshot.target.tenant.allows_host(&host) {
            let message = format!(
                "a route names the host {host}, which the tenant {} may not use; platform operators allow it with: \
                 elias tenants set {} --host {host}",
                id.tenant, id.tenant
            );
            return Err(Error::new(Code::NotAllowed, message));
        }
    }
    Ok(())
}

/// The files that a version's routes serve, if any do. Those that are not in the folder are left out:
/// `Loader::fetch_assets` puts them there.
pub(super) fn assets(
    gateway: &GatewayConfig,
    files: &BTreeMap<String, Digest>,
    artifacts: &Artifacts,
) -> Result<Option<Arc<AssetTable>>> {
    let Some(rules) = gateway.assets() else { return Ok(None) };
    let entry = |(path, digest): (&String, &Digest)| {
        let path = path.strip_prefix(rules.folder())?;
        let bytes = artifacts.bytes(digest)?;
        let sha256 = digest.to_string();
        let encodings = if is_compressible(&content_type_of(path)) { artifacts.encodings(digest) } else { Vec::new() };
        path.starts_with('/').then(|| AssetEntry {
            path: path.to_owned(),
            sha256,
            bytes,
            content_type: None,
            encodings,
        })
    };
    let entries: Vec<_> = files.iter().filter_map(entry).collect();
    let table = AssetTable::new(&entries).map_err(|error| Error::new(Code::BadInput, error.to_string()))?;
    Ok(Some(Arc::new(table)))
}

/// The host that a service has without asking: `shop.acme.DOMAIN`, and `shop--staging.acme.DOMAIN` outside of
/// production.
pub(crate) fn own_host(id: &ServiceId, domain: &str) -> Result<HostRule> {
    let host = format!("{}.{}.{domain}", id.label(), id.tenant);
    HostRule::parse(&host).map_err(|message| Error::new(Code::BadInput, message))
}
