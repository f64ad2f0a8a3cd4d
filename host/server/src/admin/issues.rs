//! The routes of the admin API for issues, which are groups of failures.

use super::etag::with_etag;
use super::extract::{ApiJson, ApiPath, ApiQuery, Authenticated, IfMatch, Page, PageQuery};
use super::problem::{PROBLEM, Problem, ProblemDocument, refused};
use axum::Json;
use axum::extract::State;
use axum::response::Response;
use elias_api::{Issue, IssueChange, IssueFilter, IssueTotals};
use elias_names::TenantId;
use elias_platform::Platform;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Platform> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(totals)).routes(routes!(show, change))
}

/// List the issues of a tenant, the one that occurred last first.
///
/// An issue is a group of failed executions of a service with the same error code, message and place; ids and numbers
/// in messages do not count. A tenant has at most 1,000; those that did not occur for 90 days are deleted.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/issues",
    operation_id = "issues_list",
    tag = "issues",
    params(("tenant" = TenantId, Path, description = "The name of the tenant."), IssueFilter, PageQuery),
    responses(
        (status = 200, description = "A page of issues.", body = Page<Issue>),
        (status = "default", description = refused!(), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn list(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(tenant): ApiPath<TenantId>,
    ApiQuery(filter): ApiQuery<IssueFilter>,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<Page<Issue>>, Problem> {
    let limit = page.limit()?;
    let found = platform.issues(&session, &tenant, &filter, page.after.as_deref(), limit).await?;
    Ok(Json(Page::new(found, limit, Platform::issue_cursor)))
}

/// Show the numbers of failures of a tenant.
///
/// Failures beyond what is recorded in a second, and those of more issues than a tenant has, are in no issue.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/issues/totals",
    operation_id = "issues_totals",
    tag = "issues",
    params(("tenant" = TenantId, Path, description = "The name of the tenant.")),
    responses(
        (status = 200, description = "The numbers.", body = IssueTotals),
        (status = "default", description = refused!(), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn totals(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(tenant): ApiPath<TenantId>,
) -> Result<Json<IssueTotals>, Problem> {
    Ok(Json(platform.issue_totals(&session, &tenant).await?))
}

/// Show an issue, with the source around its place.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/issues/{issue}",
    operation_id = "issues_show",
    tag = "issues",
    params(
        ("tenant" = TenantId, Path, description = "The name of the tenant."),
        ("issue" = String, Path, description = "The id of the issue."),
    ),
    responses(
        (status = 200, description = "The issue, with its revision as `ETag`.", body = Issue),
        (status = "default", description = refused!(404 "not-found"), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn show(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath((tenant, id)): ApiPath<(TenantId, String)>,
) -> Result<Response, Problem> {
    let issue = platform.issue(&session, &tenant, &id).await?;
    Ok(with_etag(issue.revision, issue))
}

/// Resolve, ignore, reopen or assign an issue.
///
/// A resolved issue is `regressed` when it occurs in a later version than `version`. An ignored one is `new` again
/// after `for_count` further occurrences or from the time `until` on, whichever comes first. `If-Match` with the
/// revision refuses the change if the issue was changed meanwhile.
#[utoipa::path(
    patch,
    path = "/tenants/{tenant}/issues/{issue}",
    operation_id = "issues_change",
    tag = "issues",
    params(
        ("tenant" = TenantId, Path, description = "The name of the tenant."),
        ("issue" = String, Path, description = "The id of the issue."),
    ),
    request_body = IssueChange,
    responses(
        (status = 200, description = "The issue was changed.", body = Issue),
        (
            status = "default",
            description = refused!(404 "not-found", 412 "stale"),
            body = ProblemDocument,
            content_type = PROBLEM,
        ),
    ),
)]
async fn change(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    IfMatch(revision): IfMatch,
    ApiPath((tenant, id)): ApiPath<(TenantId, String)>,
    ApiJson(change): ApiJson<IssueChange>,
) -> Result<Response, Problem> {
    let issue = platform.change_issue(&session, &tenant, &id, &change, revision).await?;
    Ok(with_etag(issue.revision, issue))
}
