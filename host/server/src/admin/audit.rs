//! The audit trail of a tenant, by pages or as lines.

use super::extract::{ApiPath, ApiQuery, Authenticated, NamedPage, Page, PageQuery};
use super::problem::{PROBLEM, Problem, ProblemDocument, refused};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use elias_api::{AuditEntry, AuditFilter, AuditFormat};
use elias_names::TenantId;
use elias_platform::Platform;
use elias_platform::access::Permission;
use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_TYPE};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The media type of JSON Lines.
const LINES: &str = "application/x-ndjson";

pub(super) fn routes() -> OpenApiRouter<Platform> {
    OpenApiRouter::new().routes(routes!(audit))
}

/// List the audit trail, newest entry first, or export it.
///
/// With `format=lines` or `Accept: application/x-ndjson` the response has all entries, oldest first, an object on each
/// line; `limit` and `after` do not count then. It breaks off if the token loses the permission meanwhile.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/audit",
    operation_id = "tenants_audit",
    tag = "tenants",
    params(("tenant" = TenantId, Path, description = "The name of the tenant."), AuditFilter, PageQuery),
    responses(
        (
            status = 200,
            description = "A page of the audit trail, or all of it.",
            content((NamedPage<AuditEntry> = "application/json"), (String = "application/x-ndjson")),
        ),
        (status = "default", description = refused!(), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn audit(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(tenant): ApiPath<TenantId>,
    ApiQuery(filter): ApiQuery<AuditFilter>,
    ApiQuery(page): ApiQuery<PageQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let limit = page.limit()?;
    let since_ms = filter.since.unwrap_or(0);
    let accepts_lines = || headers.get(ACCEPT).is_some_and(|accepted| accepted == LINES);
    if filter.format.map_or_else(accepts_lines, |format| format == AuditFormat::Lines) {
        let lines = platform.audit_lines(session, tenant, since_ms).await?;
        return Ok(([(CONTENT_TYPE, LINES)], Body::from_stream(lines)).into_response());
    }
    let mut scope = platform.read(&session, Permission::Audit, &tenant, None).await?;
    let entries = scope.audit_entries(page.after.as_deref(), since_ms, limit).await?;
    drop(scope);
    let page = Page::new(entries, limit, |entry: &AuditEntry| entry.id.clone());
    Ok(Json(page.named(&platform, &tenant, |entry| &entry.actor.name).await?).into_response())
}
