//! The table `[gateway]` of elias.toml: reads and checks the routes and their rules.

use crate::assets::AssetRules;
use crate::auth::AuthRules;
use crate::cache::CacheRules;
use crate::cors::Cors;
use crate::encoding::Compression;
use crate::headers::HeaderRules;
use crate::host::HostRule;
use crate::idempotency::IdempotencyRules;
use crate::methods::Methods;
use crate::middleware::{MiddlewareRules, middleware};
use crate::path;
use crate::rate_limit::{RateLimit, rate_limits};
use crate::response_transform::{ResponseTransform, response_transform};
use crate::rule::{ConfigError, Rule, parse_rule, parse_table};
use crate::validate::Validation;
use crate::version::VersionRule;
use crate::worker::{WorkerRules, has_use_for};
use elias_names::ComponentName;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// The most routes of a service.
pub const MAX_ROUTES: usize = 256;

/// The most different rate limits of a service, each of which has callers of its own.
pub const MAX_LIMITERS: usize = 32;

/// The most different tables `auth.jwt` of a service, each of which has keys of its own.
pub const MAX_ISSUERS: usize = 4;

/// The most bytes of schemas of a service, as JSON texts.
pub const MAX_SERVICE_SCHEMA_BYTES: usize = 512 * 1024;

/// The most different programs `response-transform` of a service.
pub const MAX_TRANSFORMS: usize = 16;

/// The checked table `[gateway]` of one version.
#[derive(Debug, Clone)]
pub struct GatewayConfig {
    /// At least one, in the order of the file.
    pub routes: Vec<RouteConfig>,
}

/// A route: the requests that take it, and its rules.
#[derive(Debug, Clone)]
pub struct RouteConfig {
    /// The hosts; none for the service's own.
    pub host: Option<HostRule>,
    /// The patterns, one or two of them.
    pub paths: Vec<Box<str>>,
    /// The methods.
    pub methods: Methods,
    /// The API version.
    pub version: Option<VersionRule>,
    /// The service worker that responds in the place of the component's `fetch`.
    pub worker: Option<Arc<WorkerRules>>,
    /// The rules: the route's own, else those at the top.
    pub rules: RuleSet,
}

/// The rules of a route. Routes that take one from the top hold the same one.
#[derive(Debug, Clone, Default)]
pub struct RuleSet {
    /// `cors`
    pub cors: Option<Arc<Cors>>,
    /// `rate-limit`
    pub rate_limits: Vec<Arc<RateLimit>>,
    /// `auth`
    pub auth: Option<Arc<AuthRules>>,
    /// `validate`
    pub validate: Option<Arc<Validation>>,
    /// `headers`
    pub headers: Option<Arc<HeaderRules>>,
    /// `compress`
    pub compress: Option<Arc<Compression>>,
    /// `assets`
    pub assets: Option<Arc<AssetRules>>,
    /// `cache`
    pub cache: Option<Arc<CacheRules>>,
    /// `idempotency`
    pub idempotency: Option<Arc<IdempotencyRules>>,
    /// `middleware`
    pub middleware: Option<Arc<MiddlewareRules>>,
    /// `response-transform`
    pub response_transform: Option<Arc<ResponseTransform>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct GatewayTable {
    routes: Option<Value>,
    cors: Option<Value>,
    rate_limit: Option<Value>,
    auth: Option<Value>,
    validate: Option<Value>,
    headers: Option<Value>,
    compress: Option<Value>,
    assets: Option<Value>,
    cache: Option<Value>,
    idempotency: Option<Value>,
    middleware: Option<Value>,
    response_transform: Option<Value>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RouteTable {
    host: Option<String>,
    path: Option<String>,
    #[serde(default)]
    methods: Option<Vec<String>>,
    version: Option<Value>,
    worker: Option<Value>,
    cors: Option<Value>,
    rate_limit: Option<Value>,
    auth: Option<Value>,
    validate: Option<Value>,
    headers: Option<Value>,
    compress: Option<Value>,
    assets: Option<Value>,
    cache: Option<Value>,
    idempotency: Option<Value>,
    middleware: Option<Value>,
    response_transform: Option<Value>,
}

impl Default for GatewayConfig {
    /// One route, for all requests and without rules.
    fn default() -> Self {
        let paths = default_paths();
        let (methods, rules) = (Methods::ALL, RuleSet::default());
        Self { routes: vec![RouteConfig { host: None, paths, methods, version: None, worker: None, rules }] }
    }
}

impl<'de> Deserialize<'de> for GatewayConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Self::parse(&value).map_err(serde::de::Error::custom)
    }
}

impl GatewayConfig {
    /// Checks that a component which exports these classes of workers has those that the routes name.
    ///
    /// # Errors
    /// The first class that is not there, with the place of its route.
    pub fn check_worker_classes(&self, classes: &[String]) -> Result<(), ConfigError> {
        for (number, route) in self.routes.iter().enumerate() {
            let class = route.worker.as_ref().map(|worker| worker.class());
            if let Some(class) = class.filter(|class| !classes.iter().any(|known| known == class)) {
                let message = format!("the component exports no worker class {}", class.escape_debug());
                return Err(ConfigError::new(&format!("gateway.routes[{number}].worker"), message));
            }
        }
        Ok(())
    }

    /// The rules of the first route that serves files, whose folder all routes serve that do; `None` if none does.
    #[must_use]
    pub fn assets(&self) -> Option<&AssetRules> {
        self.routes.iter().find_map(|route| route.rules.assets.as_deref())
    }

    /// Reads and checks the table `[gateway]`, so that no rule can fail when requests come.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place.
    pub fn parse(value: &Value) -> Result<Self, ConfigError> {
        let top: GatewayTable = parse_table(value, "gateway")?;
        let rules = RuleSet::default().with(
            [
                &top.cors,
                &top.rate_limit,
                &top.auth,
                &top.validate,
                &top.headers,
                &top.compress,
                &top.assets,
                &top.cache,
                &top.idempotency,
                &top.middleware,
                &top.response_transform,
            ],
            "gateway",
        )?;
        let tables = match &top.routes {
            None => &[],
            Some(Value::Array(tables)) => tables.as_slice(),
            Some(_) => {
                return Err(ConfigError::new("gateway.routes", "must be an array of tables: write [[gateway.routes]]"));
            }
        };
        if tables.len() > MAX_ROUTES {
            let message = format!("{} routes are too many: a service has at most {MAX_ROUTES}", tables.len());
            return Err(ConfigError::new("gateway.routes", message));
        }
        let mut routes = Vec::with_capacity(tables.len().max(1));
        for (i, value) in tables.iter().enumerate() {
            routes.push(RouteConfig::parse(value, &rules, &format!("gateway.routes[{i}]"))?);
        }
        if routes.is_empty() {
            routes = Self::default().routes;
            routes.iter_mut().for_each(|route| route.rules = rules.clone());
        }
        for (i, route) in routes.iter().enumerate() {
            let at = if tables.is_empty() { "gateway".to_owned() } else { format!("gateway.routes[{i}]") };
            route.rules.check_together(&at)?;
            route.check_worker(&at)?;
            route.check_worker_headers(&at, &routes)?;
        }
        let config = Self { routes };
        config.check_totals()?;
        Ok(config)
    }

    /// The components that are middleware of some route, each once.
    #[must_use]
    pub fn middleware(&self) -> BTreeSet<&ComponentName> {
        let rules = self.routes.iter().filter_map(|route| route.rules.middleware.as_ref());
        rules.flat_map(|rules| rules.steps()).map(|step| &step.component).collect()
    }

    /// Checks the limits that hold for all routes of the service together.
    fn check_totals(&self) -> Result<(), ConfigError> {
        let mut limits = HashSet::new();
        let mut issuers = HashSet::new();
        let mut schemas = HashMap::new();
        let mut programs = HashSet::new();
        for rules in self.routes.iter().map(|route| &route.rules) {
            limits.extend(rules.rate_limits.iter());
            issuers.extend(rules.auth.as_ref().and_then(|auth| auth.jwt()));
            programs.extend(rules.response_transform.as_ref().map(|transform| transform.text()));
            schemas.extend(rules.validate.as_ref().map(|rules| (Arc::as_ptr(rules), rules.schema_bytes())));
        }
        let schema_bytes: usize = schemas.values().sum();
        let wrong = |message: String| Err(ConfigError::new("gateway", message));
        if limits.len() > MAX_LIMITERS {
            return wrong(format!("the routes have {} different rate limits, at most {MAX_LIMITERS} go", limits.len()));
        }
        if issuers.len() > MAX_ISSUERS {
            return wrong(format!(
                "the routes have {} different tables auth.jwt, at most {MAX_ISSUERS} go",
                issuers.len()
            ));
        }
        if programs.len() > MAX_TRANSFORMS {
            let count = programs.len();
            return wrong(format!(
                "the routes have {count} different `response-transform`, at most {MAX_TRANSFORMS} go"
            ));
        }
        if schema_bytes > MAX_SERVICE_SCHEMA_BYTES {
            return wrong(format!("the schemas have {schema_bytes} bytes, at most {MAX_SERVICE_SCHEMA_BYTES} go"));
        }
        Ok(())
    }
}

fn default_paths() -> Vec<Box<str>> {
    vec!["/".into(), "/{*rest}".into()]
}

impl RouteConfig {
    fn parse(value: &Value, inherited: &RuleSet, at: &str) -> Result<Self, ConfigError> {
        let route: RouteTable = parse_table(value, at)?;
        let wrong = |key: &'static str| move |message: String| ConfigError::new(&format!("{at}.{key}"), message);
        let host = route.host.as_deref().map(HostRule::parse).transpose().map_err(wrong("host"))?;
        let paths = match route.path {
            Some(path) => {
                path::check_pattern(&path).map_err(wrong("path"))?;
                vec![path.into_boxed_str()]
            }
            None => default_paths(),
        };
        let methods = match route.methods {
            Some(names) if names.is_empty() => {
                return Err(wrong("methods")("is empty: leave it out to allow every method".into()));
            }
            Some(names) => Methods::parse(&names).map_err(wrong("methods"))?,
            None => Methods::ALL,
        };
        let version = match &route.version {
            Some(value) => Some(parse_rule::<VersionRule>(value, &format!("{at}.version"))?),
            None => None,
        };
        let rules = inherited.clone().with(
            [
                &route.cors,
                &route.rate_limit,
                &route.auth,
                &route.validate,
                &route.headers,
                &route.compress,
                &route.assets,
                &route.cache,
                &route.idempotency,
                &route.middleware,
                &route.response_transform,
            ],
            at,
        )?;
        let worker = match &route.worker {
            Some(value) => Some(Arc::new(parse_rule::<WorkerRules>(value, &format!("{at}.worker"))?)),
            None => None,
        };
        Ok(Self { host, paths, methods, version, worker, rules })
    }

    /// Checks that no middleware of the service sets a header that the worker's name is made of. It is made before they
    /// are called, of what the client wrote.
    fn check_worker_headers(&self, at: &str, routes: &[Self]) -> Result<(), ConfigError> {
        let Some(worker) = &self.worker else { return Ok(()) };
        let mut set =
            routes.iter().filter_map(|route| route.rules.middleware.as_ref()).flat_map(|all| all.set_headers());
        match set.find(|name| worker.name_headers().any(|header| header == *name)) {
            Some(name) => {
                let message = format!("has {name}, which `middleware` sets: the name is made before that");
                Err(ConfigError::new(&format!("{at}.worker.name"), message))
            }
            None => Ok(()),
        }
    }

    /// Checks that a route to a worker has what names the worker, and no rule that is about responses of the component.
    fn check_worker(&self, at: &str) -> Result<(), ConfigError> {
        let Some(worker) = &self.worker else { return Ok(()) };
        let wrong = |key: &str, message: String| Err(ConfigError::new(&format!("{at}.{key}"), message));
        if let Some(parameter) = self.paths.iter().find_map(|path| worker.missing_parameter(path)) {
            return wrong("worker.name", format!("`path` has no parameter {{{parameter}}}"));
        }
        if worker.needs_identity() && self.rules.auth.is_none() {
            return wrong("worker.name", "`{identity}` needs the table `auth` beside it".to_owned());
        }
        if !has_use_for(&self.methods, worker) {
            return wrong(
                "methods",
                "must have POST, PUT or, for `worker.method`, `worker.sockets` and `worker.events`, GET".to_owned(),
            );
        }
        let RuleSet { assets, cache, idempotency, .. } = &self.rules;
        let others = [("assets", assets.is_some()), ("cache", cache.is_some()), ("idempotency", idempotency.is_some())];
        match others.into_iter().find(|(_, is_there)| *is_there) {
            Some((key, _)) => wrong(key, "must not stand beside `worker`: write `false`".to_owned()),
            None => Ok(()),
        }
    }
}

impl RuleSet {
    /// Whether there is no rule.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self {
            cors,
            rate_limits,
            auth,
            validate,
            headers,
            compress,
            assets,
            cache,
            idempotency,
            middleware,
            response_transform,
        } = self;
        cors.is_none()
            && rate_limits.is_empty()
            && auth.is_none()
            && validate.is_none()
            && headers.is_none()
            && compress.is_none()
            && assets.is_none()
            && cache.is_none()
            && idempotency.is_none()
            && middleware.is_none()
            && response_transform.is_none()
    }

    /// These, with the tables that stand here in their places.
    fn with(mut self, tables: [&Option<Value>; 11], at: &str) -> Result<Self, ConfigError> {
        let [cors, rate_limit, auth, validate, headers, compress, assets, cache, idempotency, steps, program] = tables;
        replace(&mut self.cors, cors, at, "cors")?;
        replace(&mut self.auth, auth, at, "auth")?;
        replace(&mut self.validate, validate, at, "validate")?;
        replace(&mut self.headers, headers, at, "headers")?;
        replace(&mut self.compress, compress, at, "compress")?;
        replace(&mut self.assets, assets, at, "assets")?;
        replace(&mut self.cache, cache, at, "cache")?;
        replace(&mut self.idempotency, idempotency, at, "idempotency")?;
        if let Some(value) = rate_limit {
            self.rate_limits = rate_limits(value, &format!("{at}.rate-limit"))?;
        }
        if let Some(value) = steps {
            self.middleware = middleware(value, &format!("{at}.middleware"))?.map(Arc::new);
        }
        if let Some(value) = program {
            self.response_transform = response_transform(value, &format!("{at}.response-transform"))?.map(Arc::new);
        }
        Ok(self)
    }

    fn check_together(&self, at: &str) -> Result<(), ConfigError> {
        let at = format!("{at}.rate-limit");
        if self.auth.is_none() && self.rate_limits.iter().any(|limit| limit.needs_identity()) {
            return Err(ConfigError::new(&at, "`by = \"identity\"` needs the table `auth` beside it"));
        }
        Ok(())
    }
}

/// Puts a rule in the place of the inherited one; `false` takes that away.
fn replace<R: Rule>(place: &mut Option<Arc<R>>, value: &Option<Value>, at: &str, key: &str) -> Result<(), ConfigError> {
    match value {
        None => {}
        Some(Value::Bool(false)) => *place = None,
        Some(value) => *place = Some(Arc::new(parse_rule(value, &format!("{at}.{key}"))?)),
    }
    Ok(())
}

#[cfg(test)]
mod tests;
