//! Implementations side by side: put there, compared, ended.

use super::extract::{Asking, IfMatch, JsonOf, PathOf};
use super::problem::{Problem, ProblemDocument};
use super::services::ServicePath;
use axum::Json;
use axum::extract::State;
use elias_platform::stages::{StagePlan, Stages};
use elias_platform::{Platform, StageReport};
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Platform> {
    OpenApiRouter::new().routes(routes!(compare, set_stages, end_stages))
}

/// How implementations that are side by side do, on all hosts together.
#[utoipa::path(get, operation_id = "stages_compare", path = "/tenants/{tenant}/components/{component}/environments/{environment}/stages", tag = "stages",
    params(ServicePath), responses(
    (status = 200, description = "It is so", body = StageReport), (status = "default", description = "It is refused", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn compare(
    State(platform): State<Platform>,
    Asking(session): Asking,
    PathOf(path): PathOf<ServicePath>,
) -> Result<Json<StageReport>, Problem> {
    Ok(Json(platform.compare(&session, &path.into()).await?))
}

/// Puts implementations side by side: these, and no others. The first is the version that serves. `If-Match` with the service's revision refuses
/// if somebody else was faster.
#[utoipa::path(put, operation_id = "stages_set", path = "/tenants/{tenant}/components/{component}/environments/{environment}/stages", tag = "stages",
    params(ServicePath), request_body = StagePlan, responses(
    (status = 200, description = "It is done", body = Stages), (status = "default", description = "It is refused", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn set_stages(
    State(platform): State<Platform>,
    Asking(session): Asking,
    IfMatch(revision): IfMatch,
    PathOf(path): PathOf<ServicePath>,
    JsonOf(plan): JsonOf<StagePlan>,
) -> Result<Json<Stages>, Problem> {
    Ok(Json(platform.set_stages(&session, &path.into(), plan, revision).await?))
}

/// Leaves the version that serves alone again.
#[utoipa::path(delete, operation_id = "stages_end", path = "/tenants/{tenant}/components/{component}/environments/{environment}/stages", tag = "stages",
    params(ServicePath), responses(
    (status = 204, description = "It is done"), (status = "default", description = "It is refused", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn end_stages(
    State(platform): State<Platform>,
    Asking(session): Asking,
    IfMatch(revision): IfMatch,
    PathOf(path): PathOf<ServicePath>,
) -> Result<StatusCode, Problem> {
    platform.end_stages(&session, &path.into(), revision).await?;
    Ok(StatusCode::NO_CONTENT)
}
