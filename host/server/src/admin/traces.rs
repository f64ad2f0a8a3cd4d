//! Traces: the list of them, and one with its spans.

use super::extract::{ApiPath, ApiQuery, Authenticated, Page, PageQuery};
use super::problem::{PROBLEM, Problem, ProblemDocument, refused};
use axum::Json;
use axum::extract::State;
use elias_api::{Trace, TraceFilter, TraceSummary};
use elias_names::TenantId;
use elias_platform::Platform;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Platform> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(show))
}

/// List the traces of a tenant, newest first.
///
/// A share of all traces is kept, and of the others the executions that failed or were slow.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/traces",
    operation_id = "traces_list",
    tag = "traces",
    params(("tenant" = TenantId, Path, description = "The name of the tenant."), TraceFilter, PageQuery),
    responses(
        (status = 200, description = "A page of traces.", body = Page<TraceSummary>),
        (status = "default", description = refused!(), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn list(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(tenant): ApiPath<TenantId>,
    ApiQuery(filter): ApiQuery<TraceFilter>,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<Page<TraceSummary>>, Problem> {
    let limit = page.limit()?;
    let found = platform.traces(&session, &tenant, &filter, page.after.as_deref(), limit).await?;
    Ok(Json(Page::new(found, limit, |trace| trace.last.clone())))
}

/// Show a trace with the spans of all services that the user may read.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/traces/{trace}",
    operation_id = "traces_show",
    tag = "traces",
    params(
        ("tenant" = TenantId, Path, description = "The name of the tenant."),
        ("trace" = String, Path, description = "The id of the trace, 32 hexadecimal digits, or a `traceparent`."),
    ),
    responses(
        (status = 200, description = "The trace.", body = Trace),
        (status = "default", description = refused!(404 "not-found"), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn show(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath((tenant, trace)): ApiPath<(TenantId, String)>,
) -> Result<Json<Trace>, Problem> {
    Ok(Json(platform.trace(&session, &tenant, &trace).await?))
}
