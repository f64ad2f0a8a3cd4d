//! Executions: recorded and running.

use super::extract::{ApiPath, ApiQuery, Authenticated, Page, PageQuery};
use super::problem::{PROBLEM, Problem, ProblemDocument, refused};
use axum::Json;
use axum::extract::State;
use elias_api::{ExecutionFilter, ExecutionRecord, RunningExecution, RunningFilter};
use elias_names::TenantId;
use elias_platform::Platform;
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Platform> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(running)).routes(routes!(show)).routes(routes!(cancel))
}

/// List the executions of a tenant, newest first.
///
/// For busy components a sample of the successful executions is recorded, and all failures up to a limit.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/executions",
    operation_id = "executions_list",
    tag = "executions",
    params(("tenant" = TenantId, Path, description = "The name of the tenant."), ExecutionFilter, PageQuery),
    responses(
        (status = 200, description = "A page of executions.", body = Page<ExecutionRecord>),
        (status = "default", description = refused!(), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn list(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(tenant): ApiPath<TenantId>,
    ApiQuery(filter): ApiQuery<ExecutionFilter>,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<Page<ExecutionRecord>>, Problem> {
    let limit = page.limit()?;
    let filter = ExecutionFilter { before: page.after.or(filter.before), ..filter };
    let found = platform.executions(&session, &tenant, &filter, limit).await?;
    Ok(Json(Page::new(found, limit, |execution| execution.id.clone())))
}

/// List a tenant's running executions on this host, the longest-running first.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/executions/running",
    operation_id = "executions_running",
    tag = "executions",
    params(("tenant" = TenantId, Path, description = "The name of the tenant."), RunningFilter, PageQuery),
    responses(
        (status = 200, description = "A page of running executions.", body = Page<RunningExecution>),
        (status = "default", description = refused!(), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn running(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(tenant): ApiPath<TenantId>,
    ApiQuery(filter): ApiQuery<RunningFilter>,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<Page<RunningExecution>>, Problem> {
    let limit = page.limit()?;
    let found = platform.running(&session, &tenant, &filter, (page.after(), limit))?;
    Ok(Json(Page::new(found, limit, |execution| execution.id.clone())))
}

/// Show a recorded execution.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/executions/{execution}",
    operation_id = "executions_show",
    tag = "executions",
    params(
        ("tenant" = TenantId, Path, description = "The name of the tenant."),
        ("execution" = String, Path, description = "The id of the execution."),
    ),
    responses(
        (status = 200, description = "The execution.", body = ExecutionRecord),
        (status = "default", description = refused!(404 "not-found"), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn show(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath((tenant, id)): ApiPath<(TenantId, String)>,
) -> Result<Json<ExecutionRecord>, Problem> {
    Ok(Json(platform.execution(&session, &tenant, &id).await?))
}

/// Cancel a running execution on this host.
#[utoipa::path(
    post,
    path = "/tenants/{tenant}/executions/{execution}/cancel",
    operation_id = "executions_cancel",
    tag = "executions",
    params(
        ("tenant" = TenantId, Path, description = "The name of the tenant."),
        ("execution" = String, Path, description = "The id of the execution."),
    ),
    responses(
        (status = 204, description = "The execution was cancelled."),
        (status = "default", description = refused!(404 "not-found"), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn cancel(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath((tenant, id)): ApiPath<(TenantId, String)>,
) -> Result<StatusCode, Problem> {
    platform.cancel(&session, &tenant, &id)?;
    Ok(StatusCode::NO_CONTENT)
}
