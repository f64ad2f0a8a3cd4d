//! Everything of the platform in one archive.

use super::extract::Asking;
use super::problem::{Problem, ProblemDocument};
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use elias_platform::Platform;
use http::header::CONTENT_TYPE;
use tokio_util::io::ReaderStream;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Platform> {
    OpenApiRouter::new().routes(routes!(backup))
}

/// Everything of the platform in one tar archive: store, artifacts, keys. As secret as the data directory.
#[utoipa::path(get, path = "/backup", tag = "host", responses(
    (status = 200, content_type = "application/x-tar"), (status = "default", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn backup(State(platform): State<Platform>, Asking(session): Asking) -> Result<Response, Problem> {
    let archive = tokio::fs::File::from_std(platform.backup(&session).await?);
    let body = Body::from_stream(ReaderStream::new(archive));
    Ok(([(CONTENT_TYPE, "application/x-tar")], body).into_response())
}
