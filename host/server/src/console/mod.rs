//! The web console: its files, and sessions of browsers. What it shows and changes it has from the admin API, as every
//! other client.
//!
//! | path | |
//! |---|---|
//! | `/console/` | the application, also for each of its pages |
//! | `/console/editor` | the document of the editor's frame |
//! | `/console/session` | GET: whose session it is; POST: sign in with a token; DELETE: sign out |
//! | `/console/sign-in`, `/console/callback` | sign in at the identity provider |
//! | `/console/csp-reports` | POST: what browsers refused by the policies; GET: how often, for platform admins |

mod files;
mod reports;
mod session;
mod sign_in;

use axum::extract::DefaultBodyLimit;
use axum::response::{Redirect, Response};
use axum::routing::get;
use axum::{Extension, Router};
use elias_platform::Platform;
use http::HeaderMap;
use http::request::Parts;
use std::sync::Arc;

/// The path of the application.
const HOME: &str = "/console/";
/// Bytes of a body: a token, or reports of a browser.
const BODY_BYTES_MAX: usize = 64 << 10;

/// The response with a file of the application, where that is below another path, `base`: a development server's.
pub(crate) fn respond_below(base: &str, path: &str, request: &HeaderMap) -> Response {
    files::respond_below(base, path, request)
}

/// The web console of a platform.
pub(crate) fn router(platform: Platform) -> Router {
    let file = |parts: Parts| async move {
        files::respond(parts.uri.path().strip_prefix(HOME).unwrap_or_default(), &parts.headers)
    };
    Router::new()
        .route("/console", get(async || Redirect::permanent(HOME)))
        .route(HOME, get(file))
        .route("/console/{*path}", get(file))
        .route("/console/session", get(session::show).post(session::open).delete(session::close))
        .route("/console/sign-in", get(sign_in::begin))
        .route("/console/callback", get(sign_in::end))
        .route("/console/csp-reports", get(reports::show).post(reports::take))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(Extension(Arc::new(reports::CspReports::default())))
        .with_state(platform)
}
