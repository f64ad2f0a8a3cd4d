//! The host itself: whether it is in order, and everything of it in one archive.

use super::extract::{Asking, Page};
use super::problem::{Problem, ProblemDocument};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use elias_platform::{Finding, METRICS_TYPE, Platform};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use tokio_util::io::ReaderStream;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Platform> {
    OpenApiRouter::new().routes(routes!(doctor)).routes(routes!(backup)).routes(routes!(metrics))
}

/// Whether the platform is in order: store, log, disk, artifacts, services.
#[utoipa::path(get, operation_id = "host_doctor", path = "/doctor", tag = "host", responses(
    (status = 200, description = "It is so", body = Page<Finding>),
    (status = "default", description = "It is refused", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn doctor(State(platform): State<Platform>, Asking(session): Asking) -> Result<Json<Page<Finding>>, Problem> {
    Ok(Json(Page { items: platform.examine(&session).await?, next: None }))
}

/// The figures of this host, for Prometheus; a token of the tenant `system` with the role `viewer` will do.
#[utoipa::path(get, operation_id = "host_metrics", path = "/metrics", tag = "host", responses(
    (status = 200, description = "It is so", body = String, content_type = "application/openmetrics-text"),
    (status = "default", description = "It is refused", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn metrics(State(platform): State<Platform>, Asking(session): Asking) -> Result<Response, Problem> {
    Ok(([(CONTENT_TYPE, METRICS_TYPE)], platform.metrics(&session).await?).into_response())
}

/// Everything of the platform in one tar archive: store, artifacts, keys. As secret as the data directory.
#[utoipa::path(get, operation_id = "host_backup", path = "/backup", tag = "host", responses(
    (status = 200, description = "It is so", content_type = "application/x-tar"), (status = "default", description = "It is refused", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn backup(State(platform): State<Platform>, Asking(session): Asking) -> Result<Response, Problem> {
    let archive = platform.backup(&session).await?;
    // By its length the client knows whether it has the whole.
    let bytes = archive.metadata().map_err(elias_platform::Error::from)?.len();
    let body = Body::from_stream(ReaderStream::new(tokio::fs::File::from_std(archive)));
    let headers = [(CONTENT_TYPE, "application/x-tar".to_owned()), (CONTENT_LENGTH, bytes.to_string())];
    Ok((headers, body).into_response())
}
