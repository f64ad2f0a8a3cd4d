//! Executions: recorded and running.

use super::extract::{Authenticated, Page, PageQuery, PathOf, QueryOf};
use super::problem::{PROBLEM, Problem, ProblemDocument, refused};
use axum::Json;
use axum::extract::State;
use elias_api::{Code, Error, ExecutionFilter, ExecutionRecord, RunningExecution, RunningFilter};
use elias_names::TenantId;
use elias_platform::Platform;
use elias_platform::access::{About, Permission};
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Platform> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(running)).routes(routes!(show)).routes(routes!(cancel))
}

fn service_of(execution: &ExecutionRecord) -> About<'_> {
    About::Service(&execution.component, execution.environment)
}

fn not_recorded(id: &str) -> Error {
    let message =
        format!("execution `{id}` is not recorded: it is still running, was not sampled, or was deleted by age");
    Error::new(Code::NotFound, message)
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
    PathOf(tenant): PathOf<TenantId>,
    QueryOf(filter): QueryOf<ExecutionFilter>,
    QueryOf(page): QueryOf<PageQuery>,
) -> Result<Json<Page<ExecutionRecord>>, Problem> {
    let limit = page.limit()?;
    let mut scope = platform.read(&session, Permission::Read, &tenant, filter.component.as_ref()).await?;
    let filter = ExecutionFilter { before: page.after.or(filter.before), ..filter };
    let found = scope.executions(&filter, limit).await?;
    let mut page = Page::new(found, limit, |execution| execution.id.clone());
    // A token that is limited to some components lists only these.
    page.items.retain(|execution| session.require(Permission::Read, &tenant, service_of(execution)).is_ok());
    Ok(Json(page))
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
    PathOf(tenant): PathOf<TenantId>,
    QueryOf(filter): QueryOf<RunningFilter>,
    QueryOf(page): QueryOf<PageQuery>,
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
    PathOf((tenant, id)): PathOf<(TenantId, String)>,
) -> Result<Json<ExecutionRecord>, Problem> {
    let mut scope = platform.read(&session, Permission::Read, &tenant, None).await?;
    let found = scope.execution(&id).await?;
    let found = found.filter(|execution| session.require(Permission::Read, &tenant, service_of(execution)).is_ok());
    Ok(Json(found.ok_or_else(|| not_recorded(&id))?))
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
    PathOf((tenant, id)): PathOf<(TenantId, String)>,
) -> Result<StatusCode, Problem> {
    platform.cancel(&session, &tenant, &id)?;
    Ok(StatusCode::NO_CONTENT)
}
