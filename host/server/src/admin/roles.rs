//! The roles that a tenant defines.

use super::extract::{Asking, IfMatch, JsonOf, NamedPage, Page, PageQuery, PathOf, QueryOf};
use super::problem::{Problem, ProblemDocument};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use elias_platform::access::Permission;
use elias_platform::name::{RoleName, TenantId};
use elias_platform::store::RoleDefinition;
use elias_platform::{Platform, RoleSettings};
use http::StatusCode;
use http::header::ETAG;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Platform> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(show, set, delete))
}

/// The roles that a tenant defined, by name.
#[utoipa::path(get, operation_id = "roles_list", path = "/tenants/{tenant}/roles", tag = "access", params(("tenant" = TenantId, Path), PageQuery), responses(
    (status = 200, description = "It is so", body = NamedPage<RoleDefinition>), (status = "default", description = "It is refused", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn list(
    State(platform): State<Platform>,
    Asking(session): Asking,
    PathOf(tenant): PathOf<TenantId>,
    QueryOf(page): QueryOf<PageQuery>,
) -> Result<Json<NamedPage<RoleDefinition>>, Problem> {
    let limit = page.limit()?;
    let mut scope = platform.read(&session, Permission::Access, &tenant, None).await?;
    let page = Page::new(scope.roles(page.after(), limit).await?, limit, |role| role.name.to_string());
    drop(scope);
    Ok(Json(page.named(&platform, &tenant, |role| &role.changed_by).await?))
}

/// A role, with its revision as the ETag.
fn tagged(role: RoleDefinition) -> Response {
    ([(ETAG, format!("\"{}\"", role.revision))], Json(role)).into_response()
}

/// A role that a tenant defined.
#[utoipa::path(get, operation_id = "roles_show", path = "/tenants/{tenant}/roles/{role}", tag = "access",
    params(("tenant" = TenantId, Path), ("role" = RoleName, Path)), responses(
    (status = 200, description = "It is so", body = RoleDefinition), (status = "default", description = "It is refused", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn show(
    State(platform): State<Platform>,
    Asking(session): Asking,
    PathOf((tenant, role)): PathOf<(TenantId, RoleName)>,
) -> Result<Response, Problem> {
    Ok(tagged(platform.role(&session, &tenant, &role).await?))
}

/// Defines a role, or changes it. Its policies are validated against the Cedar schema that `elias roles schema` prints.
#[utoipa::path(put, operation_id = "roles_set", path = "/tenants/{tenant}/roles/{role}", tag = "access",
    params(("tenant" = TenantId, Path), ("role" = RoleName, Path)), request_body = RoleSettings, responses(
    (status = 200, description = "It is so", body = RoleDefinition), (status = "default", description = "It is refused", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn set(
    State(platform): State<Platform>,
    Asking(session): Asking,
    IfMatch(revision): IfMatch,
    PathOf((tenant, role)): PathOf<(TenantId, RoleName)>,
    JsonOf(settings): JsonOf<RoleSettings>,
) -> Result<Response, Problem> {
    Ok(tagged(platform.set_role(&session, &tenant, &role, &settings, revision).await?))
}

/// Deletes a role. Tokens that have it may do nothing from then on.
#[utoipa::path(delete, operation_id = "roles_delete", path = "/tenants/{tenant}/roles/{role}", tag = "access",
    params(("tenant" = TenantId, Path), ("role" = RoleName, Path)), responses(
    (status = 204, description = "It is done"), (status = "default", description = "It is refused", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn delete(
    State(platform): State<Platform>,
    Asking(session): Asking,
    PathOf((tenant, role)): PathOf<(TenantId, RoleName)>,
) -> Result<StatusCode, Problem> {
    platform.delete_role(&session, &tenant, &role).await?;
    Ok(StatusCode::NO_CONTENT)
}
