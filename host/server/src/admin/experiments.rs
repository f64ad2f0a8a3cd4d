//! Experiments: started, compared, ended.

use super::extract::{ApiJson, ApiPath, Authenticated, IfMatch};
use super::problem::{PROBLEM, Problem, ProblemDocument, refused};
use super::services::{NOT_DEPLOYED, ServicePath};
use axum::Json;
use axum::extract::State;
use elias_api::ExperimentReport;
use elias_delivery::experiment::{Experiment, ExperimentPlan};
use elias_platform::Platform;
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Platform> {
    OpenApiRouter::new().routes(routes!(compare, set_experiment, end_experiment))
}

/// Compare the variants of an experiment, on all hosts together.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/components/{component}/environments/{environment}/stages",
    operation_id = "stages_compare",
    tag = "stages",
    params(ServicePath),
    responses(
        (status = 200, description = "The comparison.", body = ExperimentReport),
        (status = "default", description = refused!(409 "wrong-state"), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn compare(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(path): ApiPath<ServicePath>,
) -> Result<Json<ExperimentReport>, Problem> {
    Ok(Json(platform.compare(&session, &path.into()).await?))
}

/// Start an experiment: distribute the requests of a service over variants.
///
/// Variants that are not in the request are removed. The first variant must be the version that serves. `If-Match` with
/// the revision refuses the change if the service was changed meanwhile.
#[utoipa::path(
    put,
    path = "/tenants/{tenant}/components/{component}/environments/{environment}/stages",
    operation_id = "stages_set",
    tag = "stages",
    params(ServicePath),
    request_body = ExperimentPlan,
    responses(
        (status = 200, description = "The experiment was started.", body = Experiment),
        (
            status = "default",
            description = NOT_DEPLOYED,
            body = ProblemDocument,
            content_type = PROBLEM,
        ),
    ),
)]
async fn set_experiment(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    IfMatch(revision): IfMatch,
    ApiPath(path): ApiPath<ServicePath>,
    ApiJson(plan): ApiJson<ExperimentPlan>,
) -> Result<Json<Experiment>, Problem> {
    Ok(Json(platform.set_experiment(&session, &path.into(), plan, revision).await?))
}

/// End an experiment.
///
/// The version that serves gets all requests again.
#[utoipa::path(
    delete,
    path = "/tenants/{tenant}/components/{component}/environments/{environment}/stages",
    operation_id = "stages_end",
    tag = "stages",
    params(ServicePath),
    responses(
        (status = 204, description = "The experiment was ended."),
        (
            status = "default",
            description = refused!(409 "wrong-state", 412 "stale"),
            body = ProblemDocument,
            content_type = PROBLEM,
        ),
    ),
)]
async fn end_experiment(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    IfMatch(revision): IfMatch,
    ApiPath(path): ApiPath<ServicePath>,
) -> Result<StatusCode, Problem> {
    platform.end_experiment(&session, &path.into(), revision).await?;
    Ok(StatusCode::NO_CONTENT)
}
