//! An HTTP gateway without input and output: routing, authentication, rate limits, validation, middleware, CORS,
//! headers, compression, transformations, static files, caching rules and idempotency keys for the components of a
//! host.
//!
//! [`GatewayConfig`] is the table `[gateway]` of a version's elias.toml, checked: its routes, and the rules of each.
//! [`Router`] has the routes of all services, and finds the route of a request. [`Rules`] are the rules of one route,
//! and apply them to a request and its response.
//!
//! The crate only decides: it has no store, no socket and no component, and reads no file and no clock. The
//! configuration is checked and prepared when a version is deployed, so that only a request can be wrong later.
//!
//! ```
//! use elias_gateway::{Client, GatewayConfig, HostRule, LocalReply, Now, Router, Rules, SharedState};
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! // When a version is deployed.
//! let config = GatewayConfig::parse(&serde_json::json!({
//!     "rate-limit": { "requests": 2, "per-seconds": 60 },
//!     "headers": { "cache-control": "no-cache" },
//!     "routes": [
//!         { "path": "/orders/{id}", "methods": ["GET"] },
//!         { "path": "/health", "rate-limit": false },
//!     ],
//! }))?;
//! let shared = SharedState::default();
//! let rules = Rules::prepare(&config, &shared, None, None);
//! let mut router = Router::default();
//! let service = Arc::from("shop in production");
//! for (route, rules) in config.routes.iter().zip(&rules) {
//!     router.add(&service, &[HostRule::parse("shop.example.com")?], route, rules)?;
//! }
//!
//! // When a request comes.
//! let (request, ()) = http::Request::get("http://shop.example.com/orders/7").body(())?.into_parts();
//! let client = Client { ip: [192, 0, 2, 1].into(), has_body: false };
//! let now = Now { monotonic: Duration::from_secs(5), unix_seconds: 1_800_000_000 };
//! let found = router.find_parts(&request).expect("a route");
//! assert_eq!(found.matched.params.get("id"), Some("7"));
//! let admitted = found.value.admit(&request, &found.matched, client, now).expect("within the limit");
//!
//! // The component responds.
//! let (mut response, ()) = http::Response::new(()).into_parts();
//! found.value.finish(&admitted, &mut response, None);
//! assert_eq!(response.headers["cache-control"], "no-cache");
//! assert_eq!(response.headers["ratelimit"], "\"default\";r=1;t=30");
//!
//! // Two more, of which one is too many.
//! assert!(found.value.admit(&request, &found.matched, client, now).is_ok());
//! match found.value.admit(&request, &found.matched, client, now) {
//!     Err(LocalReply::Refusal(refusal)) => assert_eq!(refusal.status(), 429),
//!     other => panic!("{other:?}"),
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod assets;
pub mod auth;
mod bounded;
pub mod cache;
pub mod clock;
pub mod config;
pub mod cors;
pub mod encoding;
mod field;
pub mod headers;
pub mod host;
pub mod idempotency;
#[cfg(test)]
mod interleavings;
pub mod methods;
pub mod middleware;
pub mod path;
pub mod problem;
pub mod rate_limit;
pub mod response_transform;
pub mod router;
pub mod rule;
pub mod rules;
mod sync;
pub mod trace;
pub mod validate;
pub mod version;
pub mod worker;

pub use assets::{AssetEntry, AssetResponse, AssetTable};
pub use auth::{ApiKeys, AuthMethod, Identity, JwtVerifier};
pub use cache::{CacheRules, Freshness, StoredHeaders};
pub use clock::Now;
pub use config::{GatewayConfig, RouteConfig};
pub use encoding::Coding;
pub use host::HostRule;
pub use idempotency::{IdempotencyKey, IdempotencyRules};
pub use middleware::{Middleware, MiddlewareRules};
pub use problem::{Code, Refusal};
pub use response_transform::ResponseTransform;
pub use router::{FoundRoute, RouteError, RouteMatch, Router};
pub use rule::ConfigError;
pub use rules::{AdmittedRequest, Client, LocalReply, Rules, SharedState, UnidentifiedRequest};
pub use trace::TraceContext;
