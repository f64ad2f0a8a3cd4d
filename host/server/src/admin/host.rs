//! The host itself: checks, metrics, backup.

use super::confirmed::{looks, while_confirmed};
use super::extract::{Authenticated, Page};
use super::problem::{PROBLEM, Problem, ProblemDocument, refused};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use elias_api::Finding;
use elias_names::TenantId;
use elias_platform::access::{AccessTarget, Permission};
use elias_platform::{METRICS_TYPE, Platform};
use futures::StreamExt;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use tokio_util::io::ReaderStream;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Platform> {
    OpenApiRouter::new().routes(routes!(doctor)).routes(routes!(backup)).routes(routes!(metrics))
}

/// Check the platform: store, log, disk, file modes, artifacts, services.
#[utoipa::path(
    get,
    path = "/doctor",
    operation_id = "host_doctor",
    tag = "host",
    responses(
        (status = 200, description = "The results of the checks.", body = Page<Finding>),
        (status = "default", description = refused!(), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn doctor(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
) -> Result<Json<Page<Finding>>, Problem> {
    Ok(Json(Page { items: platform.examine(&session).await?, next: None }))
}

/// Show the metrics of this host for Prometheus.
///
/// A token of the tenant `system` with the role `viewer` is enough.
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "host_metrics",
    tag = "host",
    responses(
        (status = 200, description = "The metrics, in the OpenMetrics text format.",
            body = String, content_type = "application/openmetrics-text"),
        (status = "default", description = refused!(), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn metrics(State(platform): State<Platform>, Authenticated(session): Authenticated) -> Result<Response, Problem> {
    Ok(([(CONTENT_TYPE, METRICS_TYPE)], platform.metrics(&session).await?).into_response())
}

/// Back up the platform: store, artifacts and keys in one tar archive.
///
/// The archive is as secret as the data directory. The response breaks off within a second of the expiry or revocation
/// of the token.
#[utoipa::path(
    get,
    path = "/backup",
    operation_id = "host_backup",
    tag = "host",
    responses(
        (status = 200, description = "The archive.", content_type = "application/x-tar"),
        (
            status = "default",
            description = refused!(409 "wrong-state", 422 "artifact-missing"),
            body = ProblemDocument,
            content_type = PROBLEM,
        ),
    ),
)]
async fn backup(State(platform): State<Platform>, Authenticated(session): Authenticated) -> Result<Response, Problem> {
    let archive = platform.backup(&session).await?;
    // The length lets the client detect a truncated archive.
    let bytes = archive.metadata().map_err(elias_api::Error::from)?.len();
    let confirm = move || {
        let (platform, session) = (platform.clone(), session.clone());
        async move { platform.confirm(&session, Permission::Backup, &TenantId::system(), AccessTarget::Tenant).await }
    };
    let chunks = while_confirmed(ReaderStream::new(tokio::fs::File::from_std(archive)), looks(), confirm);
    let body = Body::from_stream(chunks.map(|chunk| chunk.map_err(std::io::Error::other).flatten()));
    let headers = [(CONTENT_TYPE, "application/x-tar".to_owned()), (CONTENT_LENGTH, bytes.to_string())];
    Ok((headers, body).into_response())
}
