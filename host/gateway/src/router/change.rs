//! Changes of a router, one service's routes at a time.

use super::{
    DeclaredRoute, HostTable, MAX_PATTERNS_PER_HOST, MAX_TABLE_ROUTES, PatternRoutes, Route, RouteError, Router,
};
use crate::config::RouteConfig;
use crate::host::HostRule;
use crate::path::{self, AsciiSet};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

impl<T: Clone> Router<T> {
    /// Adds a route of a service with its value: for the hosts of the route, else for `own_hosts`.
    ///
    /// # Errors
    /// [`RouteError`]; the router is then not to be used, for part of the route may be in it.
    pub fn add(
        &mut self,
        service: &Arc<str>,
        own_hosts: &[HostRule],
        route: &RouteConfig,
        value: &T,
    ) -> Result<(), RouteError> {
        let declared = Arc::new(Route::of(service, route, value));
        for host in hosts_of(route, own_hosts) {
            self.note(service, host);
            for pattern in &route.paths {
                if self.routes >= MAX_TABLE_ROUTES {
                    return Err(RouteError::Full { limit: format!("a table has at most {MAX_TABLE_ROUTES}") });
                }
                let table = match host {
                    HostRule::Exact(name) => self.exact.entry(name.clone()).or_default(),
                    HostRule::Subdomains(name) => self.wildcards.entry(name.clone()).or_default(),
                    HostRule::Any => self.any.get_or_insert_default(),
                };
                let table = Arc::make_mut(table);
                table.add(host, pattern, Arc::clone(&declared))?;
                table.declared.entry(Arc::clone(service)).or_default().push((pattern.clone(), Arc::clone(&declared)));
                self.routes += 1;
            }
        }
        Ok(())
    }

    /// Whether a service would find room for these routes in the place of those that it has.
    ///
    /// # Errors
    /// [`RouteError`].
    pub fn check(
        &self,
        service: &Arc<str>,
        own_hosts: &[HostRule],
        routes: &[(&RouteConfig, T)],
    ) -> Result<(), RouteError> {
        let mut trial = self.clone();
        trial.remove(service);
        routes.iter().try_for_each(|(route, value)| trial.add(service, own_hosts, route, value))
    }

    /// Puts routes in the place of those that a service has. What [`Router::check`] would refuse is taken too: of the
    /// services whose routes clash on a host the one whose name comes first has its routes there, and another one none,
    /// whatever the order in which they came. Gives the clashes on the hosts that the service names.
    pub fn set(&mut self, service: &Arc<str>, own_hosts: &[HostRule], routes: &[(&RouteConfig, T)]) -> Vec<RouteError> {
        let mut declared: BTreeMap<String, (HostRule, Vec<DeclaredRoute<T>>)> = BTreeMap::new();
        for (route, value) in routes {
            let made = Arc::new(Route::of(service, route, value));
            for host in hosts_of(route, own_hosts) {
                let (_, here) = declared.entry(host.to_string()).or_insert_with(|| (host.clone(), Vec::new()));
                here.extend(route.paths.iter().map(|pattern| (pattern.clone(), Arc::clone(&made))));
            }
        }
        let hosts: Vec<_> = declared.values().map(|(host, _)| host.clone()).collect();
        let were = self.hosts_of.get(service).cloned().unwrap_or_default();
        let mut clashes = Vec::new();
        for host in were.iter().filter(|host| !hosts.contains(host)) {
            self.make(host, service, Vec::new());
        }
        for (host, here) in declared.into_values() {
            clashes.extend(self.make(&host, service, here));
        }
        if hosts.is_empty() {
            self.hosts_of.remove(service);
        } else {
            self.hosts_of.insert(Arc::clone(service), hosts.into());
        }
        clashes
    }

    /// Takes a service's routes away.
    pub fn remove(&mut self, service: &Arc<str>) {
        self.set(service, &[], &[]);
    }

    /// Rebuilds a host's table, in which a service declares `declared`.
    fn make(&mut self, host: &HostRule, service: &Arc<str>, declared: Vec<DeclaredRoute<T>>) -> Vec<RouteError> {
        let before = match host {
            HostRule::Exact(name) => self.exact.get(name),
            HostRule::Subdomains(name) => self.wildcards.get(name),
            HostRule::Any => self.any.as_ref(),
        };
        let routes_before = before.map_or(0, |table| table.routes);
        let mut all = before.map(|table| table.declared.clone()).unwrap_or_default();
        if declared.is_empty() {
            all.remove(service);
        } else {
            all.insert(Arc::clone(service), declared);
        }
        let (table, clashes) = HostTable::of(host, all);
        self.routes = self.routes - routes_before + table.routes;
        let table = Some(Arc::new(table)).filter(|table| !table.declared.is_empty());
        match (host, table) {
            (HostRule::Exact(name), Some(table)) => drop(self.exact.insert(name.clone(), table)),
            (HostRule::Exact(name), None) => drop(self.exact.remove(name)),
            (HostRule::Subdomains(name), Some(table)) => drop(self.wildcards.insert(name.clone(), table)),
            (HostRule::Subdomains(name), None) => drop(self.wildcards.remove(name)),
            (HostRule::Any, table) => self.any = table,
        }
        clashes
    }

    /// Remembers that a service names a host.
    fn note(&mut self, service: &Arc<str>, host: &HostRule) {
        let known = self.hosts_of.get(service).cloned().unwrap_or_default();
        if !known.contains(host) {
            self.hosts_of.insert(Arc::clone(service), known.iter().chain([host]).cloned().collect());
        }
    }
}

/// The hosts that a route is for.
fn hosts_of<'h>(route: &'h RouteConfig, own_hosts: &'h [HostRule]) -> &'h [HostRule] {
    route.host.as_ref().map_or(own_hosts, std::slice::from_ref)
}

impl<T: Clone> Route<T> {
    fn of(service: &Arc<str>, route: &RouteConfig, value: &T) -> Self {
        Self {
            service: Arc::clone(service),
            methods: route.methods.clone(),
            version: route.version.clone(),
            value: value.clone(),
        }
    }
}

impl<T> Default for HostTable<T> {
    fn default() -> Self {
        Self {
            patterns: matchit::Router::new(),
            pattern_routes: Vec::new(),
            by_pattern: HashMap::new(),
            literals: AsciiSet::default(),
            declared: BTreeMap::new(),
            routes: 0,
        }
    }
}

impl<T> HostTable<T> {
    /// The table of the routes that services declare on a host, and the conflicts between them.
    fn of(host: &HostRule, declared: BTreeMap<Arc<str>, Vec<DeclaredRoute<T>>>) -> (Self, Vec<RouteError>) {
        let (mut gave_way, mut clashes): (HashSet<Arc<str>>, Vec<_>) = Default::default();
        // A service that clashes may have left part of its routes, so it begins again without it. That is rare:
        // deploying checks.
        loop {
            let mut table = Self::default();
            let mut rest = declared.iter().filter(|(service, _)| !gave_way.contains(*service));
            let clash = rest.find_map(|(service, routes)| {
                let mut routes = routes.iter();
                let error = routes.find_map(|(pattern, route)| table.add(host, pattern, Arc::clone(route)).err());
                error.map(|error| (Arc::clone(service), error))
            });
            let Some((service, error)) = clash else {
                table.declared = declared;
                return (table, clashes);
            };
            gave_way.insert(service);
            clashes.push(error);
        }
    }

    fn add(&mut self, host: &HostRule, pattern: &str, route: Arc<Route<T>>) -> Result<(), RouteError> {
        let wrong =
            |message| RouteError::Pattern { pattern: pattern.to_owned(), service: route.service.to_string(), message };
        let conflict = |other_pattern: &str, other: &str| RouteError::Conflict {
            host: host.to_string(),
            pattern: pattern.to_owned(),
            service: route.service.to_string(),
            other_pattern: other_pattern.to_owned(),
            other: other.to_owned(),
        };
        let at = match self.by_pattern.get(pattern) {
            Some(at) => *at,
            None => {
                if self.pattern_routes.len() >= MAX_PATTERNS_PER_HOST {
                    return Err(RouteError::Full {
                        limit: format!("{host} has at most {MAX_PATTERNS_PER_HOST} paths"),
                    });
                }
                self.literals = self.literals.union(path::check_pattern(pattern).map_err(wrong)?);
                let at = self.pattern_routes.len();
                match self.patterns.insert(pattern, at) {
                    Ok(()) => {}
                    Err(matchit::InsertError::Conflict { with }) => {
                        return Err(conflict(&with, self.owner(&with).unwrap_or("another service")));
                    }
                    Err(error) => return Err(wrong(error.to_string())),
                }
                self.pattern_routes.push(PatternRoutes {
                    pattern: pattern.into(),
                    routes: Vec::new(),
                    vary: Vec::new(),
                });
                self.by_pattern.insert(pattern.into(), at);
                at
            }
        };
        let Some(present) = self.pattern_routes.get_mut(at) else { return Ok(()) };
        // A route for all methods takes what the service's others leave, but no other service's.
        let overlap = |other: &Arc<Route<T>>| {
            let all = other.methods.are_all() || route.methods.are_all();
            other.methods.overlap(&route.methods) || all && other.service != route.service
        };
        let same = |other: &&Arc<Route<T>>| other.version == route.version && overlap(other);
        if let Some(other) = present.routes.iter().find(same) {
            return Err(conflict(pattern, &other.service));
        }
        if let Some(version) = &route.version
            && !present.vary.contains(&version.vary())
        {
            present.vary.push(version.vary());
        }
        present.routes.push(route);
        self.routes += 1;
        Ok(())
    }

    fn owner(&self, pattern: &str) -> Option<&str> {
        let present = self.pattern_routes.get(*self.by_pattern.get(pattern)?)?;
        present.routes.first().map(|route| route.service.as_ref())
    }
}
