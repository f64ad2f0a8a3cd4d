//! The router: finds the route of a request by host, path, method and API version.
//!
//! One table for all services of a host process. The host is looked up in a map (then its parent domains in the map of
//! wildcards, the longest first), and the one table found has the patterns. A host's table that has no pattern for a
//! path is not passed over for a more general one: whoever has the host has all of its paths.
//!
//! A router is a value: its clone shares all hosts' tables with it, and a change of one service's routes rebuilds only
//! the tables of the hosts that this service names. So a change costs what is on these hosts, however many others there
//! are.

use crate::host::{self, HostRule};
use crate::methods::Methods;
use crate::path::{self, AsciiSet, PathParams};
use crate::problem::{Code, Refusal};
use crate::version::VersionRule;
use http::header::{ACCESS_CONTROL_REQUEST_METHOD, HOST};
use http::request::Parts;
use http::{HeaderMap, HeaderName, Method};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The most patterns with one host, of all services together.
pub const MAX_PATTERNS_PER_HOST: usize = 4096;

/// The most routes of a table: [`Router::add`] and [`Router::check`] take no more.
pub const MAX_TABLE_ROUTES: usize = 1_000_000;

elias_contract::error_codes! {
    /// Why a route cannot be added to a table.
    #[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
    #[non_exhaustive]
    pub enum RouteError {
        /// Two routes match the same requests.
        #[error(
            "the route {host}{pattern} of {service} conflicts with {host}{other_pattern} of {other}: \
             change the path, the methods or the version of one of them"
        )]
        Conflict {
            /// The host that both have.
            host: String,
            /// The pattern of the route that is added.
            pattern: String,
            /// The service of the route that is added.
            service: String,
            /// The pattern of the route in the table.
            other_pattern: String,
            /// The service of the route in the table.
            other: String,
        } => "route-conflict",
        /// The pattern is malformed.
        #[error("the route {pattern} of {service}: {message}")]
        Pattern {
            /// The pattern.
            pattern: String,
            /// The service of the route.
            service: String,
            /// The defect of the pattern.
            message: String,
        } => "route-pattern",
        /// A limit of the table is reached.
        #[error("no more routes fit: {limit}")]
        Full {
            /// The limit, as part of a sentence.
            limit: String,
        } => "too-many-routes",
    }
}

/// Routes of many services. Cloning it is cheap.
#[derive(Debug, Clone)]
pub struct Router<T> {
    exact: imbl::HashMap<Box<str>, Arc<HostTable<T>>>,
    wildcards: imbl::HashMap<Box<str>, Arc<HostTable<T>>>,
    any: Option<Arc<HostTable<T>>>,
    /// The hosts that each service names, its own included.
    hosts_of: imbl::HashMap<Arc<str>, Arc<[HostRule]>>,
    routes: usize,
}

impl<T> Default for Router<T> {
    fn default() -> Self {
        Self {
            exact: imbl::HashMap::new(),
            wildcards: imbl::HashMap::new(),
            any: None,
            hosts_of: imbl::HashMap::new(),
            routes: 0,
        }
    }
}

/// The patterns of one host.
#[derive(Debug, Clone)]
struct HostTable<T> {
    patterns: matchit::Router<usize>,
    pattern_routes: Vec<PatternRoutes<T>>,
    by_pattern: HashMap<Box<str>, usize>,
    literals: AsciiSet,
    /// The routes that each service declares, by its name: also those that gave way to another service's, for they
    /// take effect when those are removed.
    declared: BTreeMap<Arc<str>, Vec<DeclaredRoute<T>>>,
    /// How many of these are in effect.
    routes: usize,
}

/// A pattern with a route that a service declares for it.
type DeclaredRoute<T> = (Box<str>, Arc<Route<T>>);

/// The routes of one pattern.
#[derive(Debug, Clone)]
struct PatternRoutes<T> {
    pattern: Box<str>,
    routes: Vec<Arc<Route<T>>>,
    vary: Vec<HeaderName>,
}

#[derive(Debug)]
struct Route<T> {
    service: Arc<str>,
    methods: Methods,
    version: Option<VersionRule>,
    value: T,
}

/// The route of a request.
#[derive(Debug)]
pub struct FoundRoute<'r, 'p, T> {
    /// The value that was added with the route.
    pub value: &'r T,
    /// The pattern and parameters by which it was found.
    pub matched: RouteMatch<'r, 'p>,
}

/// The pattern that matched a request, and its parameters.
#[derive(Debug, Clone, Default)]
pub struct RouteMatch<'r, 'p> {
    /// The pattern that matched. Its number of values is small, so it can be a label of metrics.
    pub pattern: &'r str,
    /// The pattern's parameters.
    pub params: PathParams<'r, 'p>,
    /// The request headers that choose between API versions here. They belong in `Vary`.
    pub vary: &'r [HeaderName],
}

impl<T> Router<T> {
    /// How many routes there are, one for each pair of host and pattern.
    #[must_use]
    pub fn len(&self) -> usize {
        self.routes
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.routes == 0
    }

    /// How many hosts, exact ones and wildcards, have a table.
    #[must_use]
    pub fn hosts(&self) -> usize {
        self.exact.len() + self.wildcards.len() + usize::from(self.any.is_some())
    }

    /// The route of a request. The host is that of the URI, else that of the only `Host` header.
    ///
    /// # Errors
    /// As [`Router::find`].
    pub fn find_parts<'r, 'p>(&'r self, parts: &'p Parts) -> Result<FoundRoute<'r, 'p, T>, Refusal> {
        let host = match parts.uri.authority() {
            Some(authority) => authority.as_str(),
            None => crate::field::single(&parts.headers, &HOST)
                .and_then(|host| host.to_str().ok())
                .ok_or_else(|| Refusal::new(Code::BadHost))?,
        };
        self.find(host, parts.uri.path(), &parts.method, &parts.headers)
    }

    /// The route of a request with this host (a port may follow) and this path (without query).
    ///
    /// A preflight (OPTIONS with `Access-Control-Request-Method`) finds the route of the method that it asks about,
    /// unless a route is for OPTIONS itself.
    ///
    /// # Errors
    /// [`Code::BadHost`], [`Code::AmbiguousPath`], [`Code::NoRoute`], [`Code::MethodNotAllowed`] or
    /// [`Code::UnknownApiVersion`].
    pub fn find<'r, 'p>(
        &'r self,
        host: &str,
        path: &'p str,
        method: &Method,
        headers: &HeaderMap,
    ) -> Result<FoundRoute<'r, 'p, T>, Refusal> {
        let host = host::normalize(host).map_err(|_| Refusal::new(Code::BadHost))?;
        let Some(table) = self.table(&host) else {
            path::check_path(path, AsciiSet::default())?;
            return Err(Refusal::new(Code::NoRoute));
        };
        path::check_path(path, table.literals)?;
        let matched = table.patterns.at(path).map_err(|_| Refusal::new(Code::NoRoute))?;
        let routes = table.pattern_routes.get(*matched.value).ok_or_else(|| Refusal::new(Code::NoRoute))?;
        let route = routes.choose(method, headers)?;
        let matched =
            RouteMatch { pattern: &routes.pattern, params: PathParams::new(matched.params), vary: &routes.vary };
        Ok(FoundRoute { value: &route.value, matched })
    }

    /// The routes nearest to a request that [`Router::find_parts`] refused: those of the pattern that matches its path,
    /// else all of its host. A page of another origin can only read the refusal if the CORS rule of one of them allows
    /// it.
    pub fn nearest<'r>(&'r self, parts: &Parts) -> impl Iterator<Item = &'r T> + use<'r, T> {
        let host = parts.uri.authority().and_then(|authority| host::normalize(authority.as_str()).ok());
        let table = host.and_then(|host| self.table(&host));
        let matched =
            table.and_then(|table| table.pattern_routes.get(*table.patterns.at(parts.uri.path()).ok()?.value));
        let others = table.filter(|_| matched.is_none()).map(|table| table.declared.values().flatten());
        let of_host = others.into_iter().flatten().map(|(_, route)| route);
        matched.into_iter().flat_map(|matched| &matched.routes).chain(of_host).map(|route| &route.value)
    }

    /// The table of a host: one look-up, and one for each parent domain where there are wildcards.
    fn table(&self, host: &str) -> Option<&HostTable<T>> {
        if let Some(table) = self.exact.get(host) {
            return Some(table);
        }
        let mut rest = host;
        while !self.wildcards.is_empty()
            && let Some((_, parent)) = rest.split_once('.')
        {
            if let Some(table) = self.wildcards.get(parent) {
                return Some(table);
            }
            rest = parent;
        }
        self.any.as_deref()
    }
}

impl<T> PatternRoutes<T> {
    fn choose(&self, method: &Method, headers: &HeaderMap) -> Result<&Route<T>, Refusal> {
        if let [only] = self.routes.as_slice()
            && only.version.is_none()
            && only.methods.allow(method)
        {
            return Ok(only);
        }
        let requested = headers.get(ACCESS_CONTROL_REQUEST_METHOD).filter(|_| *method == Method::OPTIONS);
        if let Some(requested) = requested
            && !self.routes.iter().any(|route| !route.methods.are_all() && route.methods.lists(method))
        {
            // The preflight brings no headers of the request that it is for, so it cannot name a version.
            let requested = Method::from_bytes(requested.as_bytes()).unwrap_or_default();
            let fits = |route: &&Arc<Route<T>>| route.methods.allow(&requested);
            let rank = |route: &&Arc<Route<T>>| (route.version.is_some(), route.methods.are_all());
            // The first of the lowest rank; where the method is not allowed, CORS says so.
            let found = self.routes.iter().filter(fits).min_by_key(rank);
            return found.or(self.routes.first()).map(Arc::as_ref).ok_or_else(|| self.method_not_allowed());
        }
        let mut allowed = false;
        let mut best: Option<(&Route<T>, (u32, u8))> = None;
        for route in self.routes.iter().filter(|route| route.methods.allow(method)) {
            allowed = true;
            let fit = route.version.as_ref().map_or(Some(0), |version| version.fit(headers));
            // A route that lists the method goes before one for HEAD as a kind of GET, and that before one for all
            // methods.
            let named = match () {
                () if route.methods.are_all() => 0,
                () if route.methods.lists(method) => 2,
                () => 1,
            };
            if let Some(rank) = fit.map(|fit| (fit, named))
                && best.is_none_or(|(_, other)| rank > other)
            {
                best = Some((route, rank));
            }
        }
        match best {
            Some((route, _)) => Ok(route),
            None if allowed => Err(Refusal::new(Code::UnknownApiVersion)),
            None => Err(self.method_not_allowed()),
        }
    }

    fn method_not_allowed(&self) -> Refusal {
        Refusal::method_not_allowed(Methods::allow_value(self.routes.iter().map(|route| &route.methods)))
    }
}

mod change;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
