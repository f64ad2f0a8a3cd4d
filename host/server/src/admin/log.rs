//! The transparency log, for everyone, as C2SP tlog-tiles says (<https://c2sp.org/tlog-tiles>).

use super::extract::PathOf;
use super::problem::{Problem, ProblemDocument};
use axum::extract::State;
use axum::response::IntoResponse;
use elias_platform::Platform;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Platform> {
    OpenApiRouter::new().routes(routes!(key)).routes(routes!(checkpoint)).routes(routes!(tile))
}

/// The verifier key of the log's checkpoints, in the text form of signed notes.
#[utoipa::path(get, operation_id = "log_key", path = "/log/key", tag = "log", security(()), responses((status = 200, description = "It is so", body = String, content_type = "text/plain")))]
async fn key(State(platform): State<Platform>) -> String {
    platform.log_key() + "\n"
}

/// The log's signed head.
#[utoipa::path(get, operation_id = "log_checkpoint", path = "/log/checkpoint", tag = "log", security(()), responses(
    (status = 200, description = "It is so", body = String, content_type = "text/plain"),
    (status = "default", description = "It is refused", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn checkpoint(State(platform): State<Platform>) -> Result<impl IntoResponse, Problem> {
    let headers = [(CONTENT_TYPE, "text/plain; charset=utf-8"), (CACHE_CONTROL, "no-store")];
    Ok((headers, platform.log_checkpoint().await?))
}

/// A tile: `tile/LEVEL/INDEX` or `tile/entries/INDEX`, partial ones with `.p/WIDTH`.
#[utoipa::path(get, operation_id = "log_tile", path = "/log/tile/{*path}", tag = "log", security(()), params(("path" = String, Path)), responses(
    (status = 200, description = "It is so", body = Vec<u8>, content_type = "application/octet-stream"),
    (status = "default", description = "It is refused", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn tile(State(platform): State<Platform>, PathOf(path): PathOf<String>) -> Result<impl IntoResponse, Problem> {
    // A tile never changes.
    let headers = [(CONTENT_TYPE, "application/octet-stream"), (CACHE_CONTROL, "public, max-age=31536000, immutable")];
    Ok((headers, platform.log_tile(&format!("tile/{path}")).await?))
}
