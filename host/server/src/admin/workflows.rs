//! Workflows: jobs with durable steps, listed and shown.

use super::extract::{ApiPath, ApiQuery, Authenticated, Page, PageQuery};
use super::problem::{PROBLEM, Problem, ProblemDocument, refused};
use axum::Json;
use axum::extract::State;
use elias_api::{JobFilter, WorkflowDetails, WorkflowRecord};
use elias_names::TenantId;
use elias_platform::Platform;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Platform> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(show))
}

/// List the workflows of a tenant, newest first: jobs, ticks and deliveries whose handlers have done steps.
///
/// Unfinished ones, and ended ones whose records are kept. `state` is that of the job: a workflow that sleeps, waits or
/// is to be retried is `waiting`.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/workflows",
    operation_id = "workflows_list",
    tag = "workflows",
    params(("tenant" = TenantId, Path, description = "The name of the tenant."), JobFilter, PageQuery),
    responses(
        (status = 200, description = "A page of workflows.", body = Page<WorkflowRecord>),
        (status = "default", description = refused!(), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn list(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(tenant): ApiPath<TenantId>,
    ApiQuery(filter): ApiQuery<JobFilter>,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<Page<WorkflowRecord>>, Problem> {
    let limit = page.limit()?;
    let filter = JobFilter { before: page.after.or(filter.before), ..filter };
    let found = platform.workflows(&session, &tenant, &filter, limit).await?;
    Ok(Json(Page::new(found, limit, |workflow| workflow.id.clone())))
}

/// Show a workflow with its steps.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/workflows/{job}",
    operation_id = "workflows_show",
    tag = "workflows",
    params(
        ("tenant" = TenantId, Path, description = "The name of the tenant."),
        ("job" = String, Path, description = "The id of the job."),
    ),
    responses(
        (status = 200, description = "The workflow.", body = WorkflowDetails),
        (status = "default", description = refused!(404 "not-found"), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn show(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath((tenant, id)): ApiPath<(TenantId, String)>,
) -> Result<Json<WorkflowDetails>, Problem> {
    Ok(Json(platform.workflow(&session, &tenant, &id).await?))
}
