//! The transparency log, public, in the form of C2SP tlog-tiles (<https://c2sp.org/tlog-tiles>).

use super::extract::ApiPath;
use super::problem::{PROBLEM, Problem, ProblemDocument, refused};
use axum::extract::State;
use axum::response::IntoResponse;
use elias_platform::Platform;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Platform> {
    OpenApiRouter::new().routes(routes!(key)).routes(routes!(checkpoint)).routes(routes!(tile))
}

/// Show the key that verifies the log's checkpoints.
#[utoipa::path(
    get,
    path = "/log/key",
    operation_id = "log_key",
    tag = "log",
    security(()),
    responses(
        (status = 200, description = "The verifier key, in the text form of signed notes.",
            body = String, content_type = "text/plain"),
    ),
)]
async fn key(State(platform): State<Platform>) -> String {
    platform.log_key() + "\n"
}

/// Show the current checkpoint of the log.
#[utoipa::path(
    get,
    path = "/log/checkpoint",
    operation_id = "log_checkpoint",
    tag = "log",
    security(()),
    responses(
        (status = 200, description = "The checkpoint, a signed note.", body = String, content_type = "text/plain"),
        (status = "default", description = refused!(), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn checkpoint(State(platform): State<Platform>) -> Result<impl IntoResponse, Problem> {
    let headers = [(CONTENT_TYPE, "text/plain; charset=utf-8"), (CACHE_CONTROL, "no-store")];
    Ok((headers, platform.log_checkpoint().await?))
}

/// Show a tile of the log.
///
/// Paths are `tile/LEVEL/INDEX` and `tile/entries/INDEX`; a partial tile ends with `.p/WIDTH`.
#[utoipa::path(
    get,
    path = "/log/tile/{*path}",
    operation_id = "log_tile",
    tag = "log",
    security(()),
    params(("path" = String, Path, description = "The path of the tile, such as `0/000` or `entries/000.p/12`.")),
    responses(
        (status = 200, description = "The tile.", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = "default", description = refused!(404 "not-found"), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn tile(State(platform): State<Platform>, ApiPath(path): ApiPath<String>) -> Result<impl IntoResponse, Problem> {
    // A tile never changes.
    let headers = [(CONTENT_TYPE, "application/octet-stream"), (CACHE_CONTROL, "public, max-age=31536000, immutable")];
    Ok((headers, platform.log_tile(&format!("tile/{path}")).await?))
}
