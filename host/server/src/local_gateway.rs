//! The gateway before the only component of a server: the routes and rules of its elias.toml, without a platform.
//!
//! A route is refused if it needs what only a platform has: credentials and the keys that they are checked with, a
//! store for idempotency keys, or other components as middleware. Without them the route would be open to everyone, or
//! do twice what it promises to do once. The rule `cache` is accepted, but responses are not cached: a client cannot
//! tell that from an empty cache. Routes to service workers lead to those of the server ([`AppSource::with_workers`]).
//!
//! [`AppSource::with_workers`]: crate::AppSource::with_workers

use elias_contract::hexadecimal;
use elias_delivery::clock::Clock;
use elias_gateway::assets::AssetError;
use elias_gateway::config::RuleSet;
use elias_gateway::{
    AdmittedRequest, AssetEntry, AssetTable, Client, GatewayConfig, HostRule, LocalReply, Now, RouteError, Router,
    Rules, SharedState,
};
use http::request::Parts;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// The routes of one component, with their rules and files.
pub struct LocalGateway {
    router: Router<Arc<Rules>>,
    files: HashMap<[u8; 32], LocalFile>,
    /// What goes on when the rules are read again, such as rate limits.
    shared: Arc<SharedState>,
    clock: Clock,
}

/// A file that a route serves, as it was read.
#[derive(Debug, Clone)]
pub(crate) struct LocalFile {
    pub(crate) path: PathBuf,
    state: FileState,
}

/// By which a file is known to be the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileState {
    bytes: u64,
    modified: Option<SystemTime>,
}

/// Why the rules of a component cannot be applied.
#[derive(Debug, thiserror::Error)]
pub enum LocalGatewayError {
    /// A rule needs a platform.
    #[error("[gateway] `{key}` of the route {route} needs a platform")]
    NeedsPlatform {
        /// The key of the rule.
        key: &'static str,
        /// The first path of the route.
        route: String,
    },
    /// Two routes take the same requests.
    #[error(transparent)]
    Route(Box<RouteError>),
    /// A file cannot be served.
    #[error(transparent)]
    Asset(#[from] AssetError),
    /// A file cannot be read.
    #[error("cannot read {}: {error}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
}

impl LocalGateway {
    /// The rules of a component, for every host. `files` are what its routes serve, by the path from the folder on,
    /// such as `/css/main.css`. Of the rules `before` these the rate limits go on, and files that are the same are not
    /// read again.
    ///
    /// # Errors
    /// [`LocalGatewayError`].
    pub fn new(
        config: &GatewayConfig,
        files: &BTreeMap<String, PathBuf>,
        before: Option<&Self>,
    ) -> Result<Self, LocalGatewayError> {
        for route in &config.routes {
            if let Some(key) = needs_platform(&route.rules) {
                let route = route.paths.first().map_or_else(|| "/".to_owned(), ToString::to_string);
                return Err(LocalGatewayError::NeedsPlatform { key, route });
            }
        }
        let known: HashMap<&Path, (&[u8; 32], &FileState)> = before
            .iter()
            .flat_map(|before| &before.files)
            .map(|(digest, file)| (file.path.as_path(), (digest, &file.state)))
            .collect();
        let mut entries = Vec::with_capacity(files.len());
        let mut by_digest = HashMap::with_capacity(files.len());
        for (path, file) in files {
            let failed = |error| LocalGatewayError::Io { path: file.clone(), error };
            let mut opened = File::open(file).map_err(failed)?;
            let state = FileState::of(&opened.metadata().map_err(failed)?);
            let digest = match known.get(file.as_path()) {
                Some((digest, same)) if **same == state => **digest,
                _ => digest_of(&mut opened).map_err(failed)?,
            };
            let sha256 = hexadecimal(&digest);
            let (content_type, encodings) = (None, Vec::new());
            entries.push(AssetEntry { path: path.clone(), sha256, bytes: state.bytes, content_type, encodings });
            by_digest.insert(digest, LocalFile { path: file.clone(), state });
        }
        let assets = Arc::new(AssetTable::new(&entries)?);
        let shared = before.map(|before| Arc::clone(&before.shared)).unwrap_or_default();
        let clock = before.map_or_else(Clock::start, |before| before.clock.clone());
        let service = Arc::from("the component");
        let mut router = Router::default();
        for (route, rules) in config.routes.iter().zip(Rules::prepare(config, &shared, None, Some(&assets))) {
            let added = router.add(&service, &[HostRule::Any], route, &rules);
            added.map_err(|error| LocalGatewayError::Route(Box::new(error)))?;
        }
        Ok(Self { router, files: by_digest, shared, clock })
    }

    /// Finds a request's route, and has it meet the route's rules.
    ///
    /// # Errors
    /// The gateway's response in the component's place.
    pub(crate) fn route(&self, parts: &Parts, client: Client) -> Result<(Arc<Rules>, AdmittedRequest), LocalReply> {
        let found = self.router.find_parts(parts).map_err(|mut refusal| {
            self.router.nearest(parts).find(|rules| rules.add_cors_headers(&parts.headers, &mut refusal));
            refusal
        })?;
        let unix_seconds = self.clock.now().unix_ms() / 1_000;
        let now = Now { monotonic: self.clock.elapsed(), unix_seconds };
        let admitted = found.value.admit(parts, &found.matched, client, now)?;
        Ok((Arc::clone(found.value), admitted))
    }

    /// The file with this SHA-256.
    pub(crate) fn file(&self, digest: &[u8; 32]) -> Option<&LocalFile> {
        self.files.get(digest)
    }
}

impl LocalFile {
    /// Whether the file is the one that was read.
    pub(crate) fn is_same(&self, metadata: &Metadata) -> bool {
        FileState::of(metadata) == self.state
    }
}

impl FileState {
    fn of(metadata: &Metadata) -> Self {
        Self { bytes: metadata.len(), modified: metadata.modified().ok() }
    }
}

/// The key of a rule that only a platform can apply.
fn needs_platform(rules: &RuleSet) -> Option<&'static str> {
    match rules {
        RuleSet { auth: Some(_), .. } => Some("auth"),
        RuleSet { idempotency: Some(_), .. } => Some("idempotency"),
        RuleSet { middleware: Some(_), .. } => Some("middleware"),
        _ => None,
    }
}

/// The SHA-256 of a file, of which no more than a piece is in memory.
fn digest_of(file: &mut File) -> io::Result<[u8; 32]> {
    let mut hasher = Sha256::new();
    io::copy(file, &mut hasher)?;
    Ok(hasher.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn gateway(table: Value, before: Option<&LocalGateway>) -> Result<LocalGateway, LocalGatewayError> {
        LocalGateway::new(&GatewayConfig::parse(&table).expect("a table"), &BTreeMap::new(), before)
    }

    fn ask(gateway: &LocalGateway, host: &str, path: &str) -> Result<(), u16> {
        let request = http::Request::get(format!("http://{host}{path}")).body(()).expect("a request");
        let client = Client { ip: [192, 0, 2, 1].into(), has_body: false };
        match gateway.route(&request.into_parts().0, client) {
            Ok(_) => Ok(()),
            Err(LocalReply::Response(response)) => Err(response.status().as_u16()),
            Err(LocalReply::Refusal(refusal)) => Err(refusal.status().as_u16()),
        }
    }

    #[test]
    fn routes_are_for_every_host_and_rate_limits_go_on() {
        let limited = json!({ "rate-limit": { "requests": 2, "per-seconds": 3600 }, "routes": [
            { "path": "/a", "methods": ["GET"] }, { "path": "/b", "host": "b.test", "rate-limit": false },
        ] });
        let first = gateway(limited.clone(), None).expect("rules");
        assert_eq!((ask(&first, "127.0.0.1:8787", "/a"), ask(&first, "any.test", "/c")), (Ok(()), Err(404)));
        assert_eq!((ask(&first, "b.test", "/b"), ask(&first, "any.test", "/b")), (Ok(()), Err(404)));
        let second = gateway(limited, Some(&first)).expect("rules");
        assert_eq!((ask(&second, "localhost", "/a"), ask(&second, "localhost", "/a")), (Ok(()), Err(429)));
    }

    #[test]
    fn what_needs_a_platform_is_refused_with_its_key_and_route() {
        let issuer = json!({ "jwks": "https://a.test", "issuer": "i", "audience": "a" });
        for (key, rule) in [
            ("auth", json!({ "jwt": issuer })),
            ("auth", json!({ "api-key": {} })),
            ("idempotency", json!({})),
            ("middleware", json!([{ "component": "auth" }])),
        ] {
            let refused = gateway(json!({ "routes": [{ "path": "/open" }, { "path": "/a", key: rule }] }), None);
            let message = refused.err().expect(key).to_string();
            assert!(message.contains(&format!("`{key}`")) && message.contains("/a"), "{message}");
        }
        let others = json!({ "cache": {}, "compress": {}, "headers": {}, "response-transform": "." });
        assert!(gateway(others, None).is_ok());
        let worker = json!({ "class": "Cart", "name": "{user}", "sockets": true });
        assert!(gateway(json!({ "routes": [{ "path": "/carts/{user}", "worker": worker }] }), None).is_ok());
    }

    #[test]
    fn files_are_known_by_their_content_and_read_again_when_they_change() {
        let file = std::env::temp_dir().join(format!("elias-local-gateway-{}", std::process::id()));
        std::fs::write(&file, "one").expect("written");
        let files = BTreeMap::from([("/a.txt".to_owned(), file.clone())]);
        let config = GatewayConfig::parse(&json!({ "assets": { "folder": "public" } })).expect("a table");
        let first = LocalGateway::new(&config, &files, None).expect("rules");
        let digest = |gateway: &LocalGateway| *gateway.files.keys().next().expect("a file");
        assert_eq!(digest(&first)[..], Sha256::digest("one")[..]);
        std::fs::write(&file, "another").expect("written");
        let second = LocalGateway::new(&config, &files, Some(&first)).expect("rules");
        assert_eq!(digest(&second)[..], Sha256::digest("another")[..]);
        let metadata = std::fs::metadata(&file).expect("a file");
        assert!(second.file(&digest(&second)).expect("it").is_same(&metadata));
        assert!(!first.file(&digest(&first)).expect("it").is_same(&metadata));
        std::fs::remove_file(&file).expect("removed");
        assert!(LocalGateway::new(&config, &files, Some(&second)).is_err());
    }
}
