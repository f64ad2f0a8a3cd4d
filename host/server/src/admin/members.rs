//! A tenant's organizations and users.

use super::extract::{Asking, IfMatch, JsonOf, Page, PageQuery, PathOf, QueryOf};
use super::problem::{Problem, ProblemDocument};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use elias_platform::access::Permission;
use elias_platform::name::TenantId;
use elias_platform::store::{Organization, User};
use elias_platform::{OrganizationSettings, Platform, UserSettings};
use http::StatusCode;
use http::header::ETAG;
use serde::{Deserialize, Serialize};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Platform> {
    OpenApiRouter::new()
        .routes(routes!(organizations, create_organization))
        .routes(routes!(organization, set_organization, delete_organization))
        .routes(routes!(users, create_user))
        .routes(routes!(user, set_user, delete_user))
}

/// A record, with its revision as the ETag.
fn tagged(revision: u64, record: impl Serialize) -> Response {
    ([(ETAG, format!("\"{revision}\""))], Json(record)).into_response()
}

/// A tenant's organizations, by id.
#[utoipa::path(get, operation_id = "members_organizations", path = "/tenants/{tenant}/organizations", tag = "access", params(("tenant" = TenantId, Path), PageQuery), responses(
    (status = 200, description = "It is so", body = Page<Organization>), (status = "default", description = "It is refused", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn organizations(
    State(platform): State<Platform>,
    Asking(session): Asking,
    PathOf(tenant): PathOf<TenantId>,
    QueryOf(page): QueryOf<PageQuery>,
) -> Result<Json<Page<Organization>>, Problem> {
    let limit = page.limit()?;
    let mut scope = platform.read(&session, Permission::Access, &tenant, None).await?;
    Ok(Json(Page::new(scope.organizations(page.after(), limit).await?, limit, |found| found.id.clone())))
}

/// An organization that is to be.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct NewOrganization {
    /// Its id; without one it gets one.
    #[serde(default)]
    id: Option<String>,
    /// What it is to be.
    settings: OrganizationSettings,
}

/// Makes an organization.
#[utoipa::path(post, operation_id = "members_create_organization", path = "/tenants/{tenant}/organizations", tag = "access", params(("tenant" = TenantId, Path)), request_body = NewOrganization, responses(
    (status = 201, description = "It is made", body = Organization), (status = "default", description = "It is refused", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn create_organization(
    State(platform): State<Platform>,
    Asking(session): Asking,
    PathOf(tenant): PathOf<TenantId>,
    JsonOf(new): JsonOf<NewOrganization>,
) -> Result<Response, Problem> {
    let made = platform.create_organization(&session, &tenant, new.id, &new.settings).await?;
    Ok((StatusCode::CREATED, tagged(made.revision, made)).into_response())
}

/// An organization.
#[utoipa::path(get, operation_id = "members_organization", path = "/tenants/{tenant}/organizations/{organization}", tag = "access",
    params(("tenant" = TenantId, Path), ("organization" = String, Path)), responses(
    (status = 200, description = "It is so", body = Organization), (status = "default", description = "It is refused", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn organization(
    State(platform): State<Platform>,
    Asking(session): Asking,
    PathOf((tenant, id)): PathOf<(TenantId, String)>,
) -> Result<Response, Problem> {
    let mut scope = platform.read(&session, Permission::Access, &tenant, None).await?;
    let found = scope.organization(&id).await?;
    Ok(tagged(found.revision, found))
}

/// Changes an organization. Users of one that is disabled are refused from then on.
#[utoipa::path(put, operation_id = "members_set_organization", path = "/tenants/{tenant}/organizations/{organization}", tag = "access",
    params(("tenant" = TenantId, Path), ("organization" = String, Path)), request_body = OrganizationSettings, responses(
    (status = 200, description = "It is so", body = Organization), (status = "default", description = "It is refused", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn set_organization(
    State(platform): State<Platform>,
    Asking(session): Asking,
    IfMatch(revision): IfMatch,
    PathOf((tenant, id)): PathOf<(TenantId, String)>,
    JsonOf(settings): JsonOf<OrganizationSettings>,
) -> Result<Response, Problem> {
    let set = platform.set_organization(&session, &tenant, &id, &settings, revision).await?;
    Ok(tagged(set.revision, set))
}

/// Deletes an organization that has no users. Its id stays taken.
#[utoipa::path(delete, operation_id = "members_delete_organization", path = "/tenants/{tenant}/organizations/{organization}", tag = "access",
    params(("tenant" = TenantId, Path), ("organization" = String, Path)), responses(
    (status = 204, description = "It is done"), (status = "default", description = "It is refused", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn delete_organization(
    State(platform): State<Platform>,
    Asking(session): Asking,
    PathOf((tenant, id)): PathOf<(TenantId, String)>,
) -> Result<StatusCode, Problem> {
    platform.delete_organization(&session, &tenant, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Which users.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct UserQuery {
    /// Of this organization only.
    organization: Option<String>,
}

/// A tenant's users, by id.
#[utoipa::path(get, operation_id = "members_users", path = "/tenants/{tenant}/users", tag = "access", params(("tenant" = TenantId, Path), UserQuery, PageQuery), responses(
    (status = 200, description = "It is so", body = Page<User>), (status = "default", description = "It is refused", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn users(
    State(platform): State<Platform>,
    Asking(session): Asking,
    PathOf(tenant): PathOf<TenantId>,
    QueryOf(query): QueryOf<UserQuery>,
    QueryOf(page): QueryOf<PageQuery>,
) -> Result<Json<Page<User>>, Problem> {
    let limit = page.limit()?;
    let mut scope = platform.read(&session, Permission::Access, &tenant, None).await?;
    let found = scope.users(query.organization.as_deref(), page.after(), limit).await?;
    Ok(Json(Page::new(found, limit, |found| found.id.clone())))
}

/// A user who is to be.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct NewUser {
    /// The id, which is the subject for a user of the identity provider; without one the user gets one.
    #[serde(default)]
    id: Option<String>,
    /// What the user is to be.
    settings: UserSettings,
}

/// Makes a user.
#[utoipa::path(post, operation_id = "members_create_user", path = "/tenants/{tenant}/users", tag = "access", params(("tenant" = TenantId, Path)), request_body = NewUser, responses(
    (status = 201, description = "It is made", body = User), (status = "default", description = "It is refused", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn create_user(
    State(platform): State<Platform>,
    Asking(session): Asking,
    PathOf(tenant): PathOf<TenantId>,
    JsonOf(new): JsonOf<NewUser>,
) -> Result<Response, Problem> {
    let made = platform.create_user(&session, &tenant, new.id, &new.settings).await?;
    Ok((StatusCode::CREATED, tagged(made.revision, made)).into_response())
}

/// A user.
#[utoipa::path(get, operation_id = "members_user", path = "/tenants/{tenant}/users/{user}", tag = "access",
    params(("tenant" = TenantId, Path), ("user" = String, Path)), responses(
    (status = 200, description = "It is so", body = User), (status = "default", description = "It is refused", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn user(
    State(platform): State<Platform>,
    Asking(session): Asking,
    PathOf((tenant, id)): PathOf<(TenantId, String)>,
) -> Result<Response, Problem> {
    let mut scope = platform.read(&session, Permission::Access, &tenant, None).await?;
    let found = scope.user(&id).await?;
    Ok(tagged(found.revision, found))
}

/// Changes a user. Tokens of one who is disabled are refused from then on.
#[utoipa::path(put, operation_id = "members_set_user", path = "/tenants/{tenant}/users/{user}", tag = "access",
    params(("tenant" = TenantId, Path), ("user" = String, Path)), request_body = UserSettings, responses(
    (status = 200, description = "It is so", body = User), (status = "default", description = "It is refused", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn set_user(
    State(platform): State<Platform>,
    Asking(session): Asking,
    IfMatch(revision): IfMatch,
    PathOf((tenant, id)): PathOf<(TenantId, String)>,
    JsonOf(settings): JsonOf<UserSettings>,
) -> Result<Response, Problem> {
    let set = platform.set_user(&session, &tenant, &id, &settings, revision).await?;
    Ok(tagged(set.revision, set))
}

/// Deletes a user, whose tokens are refused from then on. The id stays taken.
#[utoipa::path(delete, operation_id = "members_delete_user", path = "/tenants/{tenant}/users/{user}", tag = "access",
    params(("tenant" = TenantId, Path), ("user" = String, Path)), responses(
    (status = 204, description = "It is done"), (status = "default", description = "It is refused", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn delete_user(
    State(platform): State<Platform>,
    Asking(session): Asking,
    PathOf((tenant, id)): PathOf<(TenantId, String)>,
) -> Result<StatusCode, Problem> {
    platform.delete_user(&session, &tenant, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
