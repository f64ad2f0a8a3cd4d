//! The console of a development server, at `/__elias/`: the web console over an API of its own, for one project.
//!
//! | path | |
//! |---|---|
//! | `/__elias/` | the application, also for each of its pages |
//! | `/__elias/session` | who uses it: nobody signs in |
//! | `/__elias/api/v1/...` | what the admin API has and a project too, by the same paths and in the same form |
//! | `/__elias/api/project` | the project: what is served, and why not the newest version |
//! | `/__elias/api/requests` | the last requests to the component; each can be sent again |
//!
//! Who may use it: `guard`, also for `elias trigger`, which like live reload has a path of its own (`features`).

mod executions;
mod guard;
mod replay;
mod requests;
mod triggers;
mod workers;

pub(crate) use guard::check_client;
pub use replay::reachable;
pub(crate) use requests::RequestCapture;

use crate::admin::{ApiPath, ApiQuery, Page, PageQuery, Problem};
use crate::console;
use crate::source::{AppSource, ProjectControl};
use axum::extract::{Request as AxumRequest, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{Redirect, Response};
use axum::routing::{any, get, post};
use axum::{Json, Router};
use elias_api::{Code, Error};
use elias_names::Environment;
use http::header::CACHE_CONTROL;
use http::request::Parts;
use http::{HeaderValue, Request, StatusCode};
use http_body::Body;
use requests::{RequestRing, RequestSummary};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;

/// The path of the application.
const HOME: &str = "/__elias/";

/// The tenant and the environment of the records.
const TENANT: &str = "default";
const ENVIRONMENT: Environment = Environment::Dev;

/// The last time that a JavaScript date can have, in milliseconds since 1970: nobody's session ends.
const DATE_MAX: i64 = 8_640_000_000_000_000;

/// The console of a development server.
pub(crate) struct Development {
    requests: Arc<RequestRing>,
    router: Router,
}

/// What the handlers of the console share.
#[derive(Clone)]
struct Console(Arc<Shared>);

struct Shared {
    source: AppSource,
    project: Arc<dyn ProjectControl>,
    requests: Arc<RequestRing>,
    /// Where the server listens.
    address: SocketAddr,
    /// Names this run of the server.
    run: String,
}

/// Whether a request is for the console. Paths that the server has beside it are looked at before.
pub(crate) fn is_requested<B>(request: &Request<B>) -> bool {
    let path = request.uri().path();
    path == HOME.trim_end_matches('/') || path.starts_with(HOME)
}

impl Development {
    /// The console of a server that listens on `address`.
    pub(crate) fn new(source: AppSource, project: &Arc<dyn ProjectControl>, address: SocketAddr) -> Self {
        let requests = Arc::<RequestRing>::default();
        let run = format!("{:016x}", rand::random::<u64>());
        let shared = Shared { source, project: Arc::clone(project), requests: Arc::clone(&requests), address, run };
        Self { requests, router: router(Console(Arc::new(shared))) }
    }

    /// Captures a request that begins.
    pub(crate) fn capture<B: Body>(&self, request: &Request<B>) -> Box<RequestCapture> {
        RequestCapture::begin(&self.requests, request)
    }

    /// Responds to the requests for the console.
    pub(crate) fn router(&self) -> &Router {
        &self.router
    }
}

fn router(console: Console) -> Router {
    let file = |parts: Parts| async move { respond_with_file(&parts) };
    let records = triggers::routes()
        .merge(workers::routes())
        .merge(executions::routes())
        .layer(from_fn_with_state(console.clone(), of_the_project));
    Router::new()
        .route("/__elias", get(async || Redirect::permanent(HOME)))
        .route(HOME, get(file))
        .route("/__elias/{*path}", get(file))
        .route("/__elias/session", get(session))
        .route("/__elias/api/{*path}", any(missing))
        .route("/__elias/api/project", get(project))
        .route("/__elias/api/requests", get(list_requests).delete(clear_requests))
        .route("/__elias/api/requests/{id}", get(show_request))
        .route("/__elias/api/requests/{id}/replay", post(replay::replay))
        .nest("/__elias/api/v1", records)
        .method_not_allowed_fallback(async || {
            Problem::from(Error::new(Code::MethodNotAllowed, "this path does not support this method"))
        })
        .layer(from_fn(uncached))
        .layer(from_fn(guard::guard))
        .with_state(console)
}

/// The file of the console at a path, with the application for each of its pages.
fn respond_with_file(parts: &Parts) -> Response {
    console::respond_below(HOME, parts.uri.path().strip_prefix(HOME).unwrap_or_default(), &parts.headers)
}

/// The response to requests for what a project does not have, or a development server does not do.
async fn missing() -> Problem {
    Error::new(Code::NotFound, "a development server does not have this path").into()
}

/// Marks responses as those of one moment, unless they say otherwise as files do.
async fn uncached(request: AxumRequest, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Passes on requests for records of the project: of its tenant, its component and its environment.
async fn of_the_project(State(console): State<Console>, request: AxumRequest, next: Next) -> Result<Response, Problem> {
    let component = console.0.project.component();
    let wanted = [("tenants", TENANT), ("components", component.as_str()), ("environments", ENVIRONMENT.as_str())];
    let mut parts = request.uri().path().split('/').filter(|part| !part.is_empty());
    for (kind, name) in wanted {
        if parts.next() != Some(kind) {
            break; // a list of the tenant, or a record by its id
        }
        let found = parts.next().unwrap_or_default();
        if found != name {
            let message = format!("{kind}/{}: this server has {kind}/{name} alone", found.escape_debug());
            return Err(Error::new(Code::NotFound, message).into());
        }
    }
    Ok(next.run(request).await)
}

/// Who uses the console: in the form of the web console's `/console/session`.
async fn session(State(console): State<Console>) -> Json<Value> {
    let component = console.0.project.component();
    Json(json!({
        "principal": {
            "session": null,
            "name": "developer",
            "tenant": TENANT,
            "role": "admin",
            "ceiling": "admin",
            "components": [component],
            "expires_at": DATE_MAX,
        },
        "has_identity_provider": false,
        "version": env!("CARGO_PKG_VERSION"),
    }))
}

/// The project, and what is served.
async fn project(State(console): State<Console>) -> Json<Value> {
    let Shared { source, project, address, .. } = &*console.0;
    let current = source.changes().borrow().clone();
    let app = current.app.as_ref();
    let manifest = app.and_then(elias_host::App::manifest);
    Json(json!({
        "tenant": TENANT,
        "component": project.component(),
        "environment": ENVIRONMENT,
        "address": address.to_string(),
        "served": app.map(|app| json!({ "name": app.name(), "version": app.version(), "digest": app.digest() })),
        "handlers": manifest.map(|manifest| manifest.handlers.clone()).unwrap_or_default(),
        "workers": manifest.map(|manifest| manifest.workers.clone()).unwrap_or_default(),
        "problem": current.reason.as_deref(),
    }))
}

/// Lists the last requests, the newest first.
async fn list_requests(
    State(console): State<Console>,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<Page<RequestSummary>>, Problem> {
    let all = console.0.requests.list().iter().map(|request| request.summary()).collect();
    Ok(Json(Page::of_ordered(all, &page, |request: &RequestSummary| request.id.clone())?))
}

/// Shows a request with the beginning of its body and of its response's.
async fn show_request(State(console): State<Console>, ApiPath(id): ApiPath<String>) -> Result<Json<Value>, Problem> {
    let found = console.0.requests.find(&id).ok_or_else(|| no_request(&id))?;
    Ok(Json(found.details()))
}

/// Forgets the requests.
async fn clear_requests(State(console): State<Console>) -> StatusCode {
    console.0.requests.clear();
    StatusCode::NO_CONTENT
}

fn no_request(id: &str) -> Error {
    Error::not_found(format_args!("the request `{}`", id.escape_debug()))
}
