//! What ran.

use super::extract::{Asking, Page, PageQuery, PathOf, QueryOf};
use super::problem::{Problem, ProblemDocument};
use axum::Json;
use axum::extract::State;
use elias_platform::access::{About, Permission};
use elias_platform::name::TenantId;
use elias_platform::store::{ExecutionFilter, ExecutionRecord};
use elias_platform::{Error, Platform, RunningExecution, RunningFilter};
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Platform> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(running)).routes(routes!(show)).routes(routes!(cancel))
}

fn service_of(execution: &ExecutionRecord) -> About<'_> {
    About::Service(&execution.component, execution.environment)
}

/// A tenant's executions, newest first. Of busy components a part is recorded, and all failures up to a bound.
#[utoipa::path(get, operation_id = "executions_list", path = "/tenants/{tenant}/executions", tag = "executions", params(("tenant" = TenantId, Path), ExecutionFilter, PageQuery), responses(
    (status = 200, description = "It is so", body = Page<ExecutionRecord>), (status = "default", description = "It is refused", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn list(
    State(platform): State<Platform>,
    Asking(session): Asking,
    PathOf(tenant): PathOf<TenantId>,
    QueryOf(filter): QueryOf<ExecutionFilter>,
    QueryOf(page): QueryOf<PageQuery>,
) -> Result<Json<Page<ExecutionRecord>>, Problem> {
    let limit = page.limit()?;
    let mut scope = platform.read(&session, Permission::Read, &tenant, filter.component.as_ref()).await?;
    let filter = ExecutionFilter { before: page.after.or(filter.before), ..filter };
    let found = scope.executions(&filter, limit).await?;
    let mut page = Page::new(found, limit, |execution| execution.id.clone());
    // Who may read some components sees those.
    page.items.retain(|execution| session.require(Permission::Read, &tenant, service_of(execution)).is_ok());
    Ok(Json(page))
}

/// A tenant's executions under way on this host, the longest-running first.
#[utoipa::path(get, operation_id = "executions_running", path = "/tenants/{tenant}/executions/running", tag = "executions",
    params(("tenant" = TenantId, Path), RunningFilter, PageQuery), responses(
    (status = 200, description = "What runs now", body = Page<RunningExecution>), (status = "default", description = "It is refused", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn running(
    State(platform): State<Platform>,
    Asking(session): Asking,
    PathOf(tenant): PathOf<TenantId>,
    QueryOf(filter): QueryOf<RunningFilter>,
    QueryOf(page): QueryOf<PageQuery>,
) -> Result<Json<Page<RunningExecution>>, Problem> {
    let limit = page.limit()?;
    let found = platform.running(&session, &tenant, &filter, (page.after(), limit))?;
    Ok(Json(Page::new(found, limit, |execution| execution.id.clone())))
}

/// An execution that was recorded and is kept.
#[utoipa::path(get, operation_id = "executions_show", path = "/tenants/{tenant}/executions/{execution}", tag = "executions",
    params(("tenant" = TenantId, Path), ("execution" = String, Path)), responses(
    (status = 200, description = "It is so", body = ExecutionRecord), (status = "default", description = "It is refused", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn show(
    State(platform): State<Platform>,
    Asking(session): Asking,
    PathOf((tenant, id)): PathOf<(TenantId, String)>,
) -> Result<Json<ExecutionRecord>, Problem> {
    let mut scope = platform.read(&session, Permission::Read, &tenant, None).await?;
    let found = scope.execution(&id).await?;
    let found = found.filter(|execution| session.require(Permission::Read, &tenant, service_of(execution)).is_ok());
    Ok(Json(found.ok_or_else(|| Error::not_found("such execution, or it is not kept"))?))
}

/// Ends an execution that is under way on this host.
#[utoipa::path(post, operation_id = "executions_cancel", path = "/tenants/{tenant}/executions/{execution}/cancel", tag = "executions",
    params(("tenant" = TenantId, Path), ("execution" = String, Path)), responses(
    (status = 204, description = "It is done"), (status = "default", description = "It is refused", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn cancel(
    State(platform): State<Platform>,
    Asking(session): Asking,
    PathOf((tenant, id)): PathOf<(TenantId, String)>,
) -> Result<StatusCode, Problem> {
    platform.cancel(&session, &tenant, &id)?;
    Ok(StatusCode::NO_CONTENT)
}
