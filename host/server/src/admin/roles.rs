//! The routes of the admin API for the roles that a tenant defines.

use super::etag::with_etag;
use super::extract::{ApiJson, ApiPath, ApiQuery, Authenticated, IfMatch, NamedPage, Page, PageQuery};
use super::problem::{PROBLEM, Problem, ProblemDocument, refused};
use axum::Json;
use axum::extract::State;
use axum::response::Response;
use elias_api::{RoleDefinition, RoleSettings};
use elias_names::{RoleName, TenantId};
use elias_platform::Platform;
use elias_platform::access::Permission;
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Platform> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(show, set, delete))
}

/// List the custom roles of a tenant by name.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/roles",
    operation_id = "roles_list",
    tag = "access",
    params(("tenant" = TenantId, Path, description = "The name of the tenant."), PageQuery),
    responses(
        (status = 200, description = "A page of roles.", body = NamedPage<RoleDefinition>),
        (status = "default", description = refused!(), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn list(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(tenant): ApiPath<TenantId>,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<NamedPage<RoleDefinition>>, Problem> {
    let limit = page.limit()?;
    let mut scope = platform.read(&session, Permission::Access, &tenant, None).await?;
    let page = Page::new(scope.roles(page.after(), limit).await?, limit, |role| role.name.to_string());
    drop(scope);
    Ok(Json(page.named(&platform, &tenant, |role| &role.changed_by).await?))
}

/// Show a custom role.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/roles/{role}",
    operation_id = "roles_show",
    tag = "access",
    params(
        ("tenant" = TenantId, Path, description = "The name of the tenant."),
        ("role" = RoleName, Path, description = "The name of the role."),
    ),
    responses(
        (status = 200, description = "The role, with its revision as `ETag`.", body = RoleDefinition),
        (status = "default", description = refused!(404 "not-found"), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn show(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath((tenant, role)): ApiPath<(TenantId, RoleName)>,
) -> Result<Response, Problem> {
    let found = platform.role(&session, &tenant, &role).await?;
    Ok(with_etag(found.revision, found))
}

/// Create or replace a custom role.
///
/// Its policies must fit the Cedar schema that `elias roles schema` prints. `If-Match` with the revision refuses the
/// change if the role was changed meanwhile.
#[utoipa::path(
    put,
    path = "/tenants/{tenant}/roles/{role}",
    operation_id = "roles_set",
    tag = "access",
    params(
        ("tenant" = TenantId, Path, description = "The name of the tenant."),
        ("role" = RoleName, Path, description = "The name of the role."),
    ),
    request_body = RoleSettings,
    responses(
        (status = 200, description = "The role was created or changed.", body = RoleDefinition),
        (
            status = "default",
            description = refused!(
                400 "bad-name", 404 "not-found", 409 "wrong-state", 412 "stale", 413 "too-large",
                429 "quota-exceeded",
            ),
            body = ProblemDocument,
            content_type = PROBLEM,
        ),
    ),
)]
async fn set(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    IfMatch(revision): IfMatch,
    ApiPath((tenant, role)): ApiPath<(TenantId, RoleName)>,
    ApiJson(settings): ApiJson<RoleSettings>,
) -> Result<Response, Problem> {
    let set = platform.set_role(&session, &tenant, &role, &settings, revision).await?;
    Ok(with_etag(set.revision, set))
}

/// Delete a custom role.
///
/// Tokens with this role have no permissions from now on.
#[utoipa::path(
    delete,
    path = "/tenants/{tenant}/roles/{role}",
    operation_id = "roles_delete",
    tag = "access",
    params(
        ("tenant" = TenantId, Path, description = "The name of the tenant."),
        ("role" = RoleName, Path, description = "The name of the role."),
    ),
    responses(
        (status = 204, description = "The role was deleted."),
        (status = "default", description = refused!(404 "not-found"), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn delete(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath((tenant, role)): ApiPath<(TenantId, RoleName)>,
) -> Result<StatusCode, Problem> {
    platform.delete_role(&session, &tenant, &role).await?;
    Ok(StatusCode::NO_CONTENT)
}
