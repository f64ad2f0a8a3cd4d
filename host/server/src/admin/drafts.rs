//! The routes of the admin API for drafts.

use super::etag::with_etag;
use super::extract::{ApiJson, ApiPath, ApiQuery, Authenticated, IfMatch, NamedPage, Page, PageQuery};
use super::problem::{PROBLEM, Problem, ProblemDocument, refused};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use elias_api::{Code, Draft, DraftBuild, DraftBuildRequest, DraftConflict, DraftContent, DraftSummary};
use elias_names::{ComponentName, TenantId};
use elias_platform::{DraftSave, Platform};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Platform> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(show, save, delete)).routes(routes!(build))
}

/// List the drafts of a tenant by name.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/drafts",
    operation_id = "drafts_list",
    tag = "drafts",
    params(("tenant" = TenantId, Path, description = "The name of the tenant."), PageQuery),
    responses(
        (status = 200, description = "A page of drafts, without their files.", body = NamedPage<DraftSummary>),
        (status = "default", description = refused!(), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn list(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(tenant): ApiPath<TenantId>,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<NamedPage<DraftSummary>>, Problem> {
    let drafts = platform.drafts(&session, &tenant).await?;
    let page = Page::of_list(drafts, &page, |draft| draft.draft.to_string())?;
    Ok(Json(page.named(&platform, &tenant, |draft| &draft.changed_by).await?))
}

/// Show a draft with its files.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/drafts/{draft}",
    operation_id = "drafts_show",
    tag = "drafts",
    params(
        ("tenant" = TenantId, Path, description = "The name of the tenant."),
        ("draft" = ComponentName, Path, description = "The name of the draft."),
    ),
    responses(
        (status = 200, description = "The draft, with its revision as `ETag`.", body = Draft),
        (status = "default", description = refused!(404 "not-found"), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn show(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath((tenant, draft)): ApiPath<(TenantId, ComponentName)>,
) -> Result<Response, Problem> {
    let found = platform.draft(&session, &tenant, &draft).await?;
    Ok(with_etag(found.revision, found))
}

/// Save all files of a draft, or create one.
///
/// A draft that exists is saved only with `If-Match` and its revision. If somebody else has saved it since, the
/// response has the draft as it is now.
#[utoipa::path(
    put,
    path = "/tenants/{tenant}/drafts/{draft}",
    operation_id = "drafts_save",
    tag = "drafts",
    params(
        ("tenant" = TenantId, Path, description = "The name of the tenant."),
        ("draft" = ComponentName, Path, description = "The name of the draft."),
    ),
    request_body = DraftContent,
    responses(
        (status = 200, description = "The draft was saved.", body = Draft),
        (
            status = 412,
            description = "The draft was saved by somebody else, or exists and `If-Match` is absent: `stale`.",
            body = DraftConflict,
            content_type = PROBLEM,
        ),
        (
            status = "default",
            description = refused!(
                404 "not-found", 413 "too-large", 429 "quota-exceeded", 503 "builds-unavailable",
            ),
            body = ProblemDocument,
            content_type = PROBLEM,
        ),
    ),
)]
async fn save(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    IfMatch(revision): IfMatch,
    ApiPath((tenant, draft)): ApiPath<(TenantId, ComponentName)>,
    ApiJson(content): ApiJson<DraftContent>,
) -> Result<Response, Problem> {
    Ok(match platform.save_draft(&session, &tenant, &draft, content, revision).await? {
        DraftSave::Saved(saved) => with_etag(saved.revision, saved),
        DraftSave::Conflict(current) => conflict(current),
    })
}

/// The refusal of a save, with the draft to merge with.
fn conflict(current: Draft) -> Response {
    let code = Code::Stale;
    let detail = format!(
        "the draft {} is at revision {}: merge with `current`, and save with its revision as `If-Match`",
        current.draft, current.revision
    );
    let document = DraftConflict {
        r#type: format!("urn:elias:error:{code}"),
        title: code.title().to_owned(),
        status: code.status(),
        code: code.to_string(),
        detail,
        current,
    };
    (StatusCode::PRECONDITION_FAILED, [(CONTENT_TYPE, PROBLEM)], Json(document)).into_response()
}

/// Delete a draft.
///
/// Versions that were built of it stay. `If-Match` with the revision refuses it if the draft was saved meanwhile.
#[utoipa::path(
    delete,
    path = "/tenants/{tenant}/drafts/{draft}",
    operation_id = "drafts_delete",
    tag = "drafts",
    params(
        ("tenant" = TenantId, Path, description = "The name of the tenant."),
        ("draft" = ComponentName, Path, description = "The name of the draft."),
    ),
    responses(
        (status = 204, description = "The draft was deleted."),
        (
            status = "default",
            description = refused!(404 "not-found", 412 "stale"),
            body = ProblemDocument,
            content_type = PROBLEM,
        ),
    ),
)]
async fn delete(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    IfMatch(revision): IfMatch,
    ApiPath((tenant, draft)): ApiPath<(TenantId, ComponentName)>,
) -> Result<StatusCode, Problem> {
    platform.delete_draft(&session, &tenant, &draft, revision).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Build a draft on the server, and create a version of it.
///
/// Errors in the sources, and reasons why the platform does not accept the version, are in `diagnostics`. The version
/// gets no traffic until it is deployed.
#[utoipa::path(
    post,
    path = "/tenants/{tenant}/drafts/{draft}/builds",
    operation_id = "drafts_build",
    tag = "drafts",
    params(
        ("tenant" = TenantId, Path, description = "The name of the tenant."),
        ("draft" = ComponentName, Path, description = "The name of the draft."),
    ),
    request_body = DraftBuildRequest,
    responses(
        (status = 200, description = "The build has ended.", body = DraftBuild),
        (
            status = "default",
            description = refused!(
                404 "not-found", 412 "stale", 422 "build-limit", 429 "quota-exceeded", 503 "builds-unavailable",
                503 "overloaded",
            ),
            body = ProblemDocument,
            content_type = PROBLEM,
        ),
    ),
)]
async fn build(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath((tenant, draft)): ApiPath<(TenantId, ComponentName)>,
    ApiJson(request): ApiJson<DraftBuildRequest>,
) -> Result<Json<DraftBuild>, Problem> {
    Ok(Json(platform.build_draft(&session, &tenant, &draft, &request).await?))
}
