//! A tenant's organizations and users.

use super::etag::with_etag;
use super::extract::{ApiJson, ApiPath, ApiQuery, Authenticated, IfMatch, Page, PageQuery};
use super::problem::{PROBLEM, Problem, ProblemDocument, refused};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use elias_api::{Organization, OrganizationSettings, User, UserSettings};
use elias_names::TenantId;
use elias_platform::Platform;
use elias_platform::access::Permission;
use http::StatusCode;
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Platform> {
    OpenApiRouter::new()
        .routes(routes!(organizations, create_organization))
        .routes(routes!(organization, set_organization, delete_organization))
        .routes(routes!(users, create_user))
        .routes(routes!(user, set_user, delete_user))
}

/// List the organizations of a tenant by id.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/organizations",
    operation_id = "members_organizations",
    tag = "access",
    params(("tenant" = TenantId, Path, description = "The name of the tenant."), PageQuery),
    responses(
        (status = 200, description = "A page of organizations.", body = Page<Organization>),
        (status = "default", description = refused!(), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn organizations(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(tenant): ApiPath<TenantId>,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<Page<Organization>>, Problem> {
    let limit = page.limit()?;
    let mut scope = platform.read(&session, Permission::Access, &tenant, None).await?;
    Ok(Json(Page::new(scope.organizations(page.after(), limit).await?, limit, |found| found.id.clone())))
}

/// The organization to create.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct NewOrganization {
    /// The id; generated if it is null or absent.
    #[serde(default)]
    id: Option<String>,
    /// The settings.
    settings: OrganizationSettings,
}

/// Create an organization.
#[utoipa::path(
    post,
    path = "/tenants/{tenant}/organizations",
    operation_id = "members_create_organization",
    tag = "access",
    params(("tenant" = TenantId, Path, description = "The name of the tenant.")),
    request_body = NewOrganization,
    responses(
        (status = 201, description = "The organization was created.", body = Organization),
        (
            status = "default",
            description = refused!(404 "not-found", 409 "already-there", 429 "quota-exceeded"),
            body = ProblemDocument,
            content_type = PROBLEM,
        ),
    ),
)]
async fn create_organization(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(tenant): ApiPath<TenantId>,
    ApiJson(new): ApiJson<NewOrganization>,
) -> Result<Response, Problem> {
    let made = platform.create_organization(&session, &tenant, new.id, &new.settings).await?;
    Ok((StatusCode::CREATED, with_etag(made.revision, made)).into_response())
}

/// Show an organization.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/organizations/{organization}",
    operation_id = "members_organization",
    tag = "access",
    params(
        ("tenant" = TenantId, Path, description = "The name of the tenant."),
        ("organization" = String, Path, description = "The id of the organization."),
    ),
    responses(
        (status = 200, description = "The organization, with its revision as `ETag`.", body = Organization),
        (status = "default", description = refused!(404 "not-found"), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn organization(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath((tenant, id)): ApiPath<(TenantId, String)>,
) -> Result<Response, Problem> {
    let mut scope = platform.read(&session, Permission::Access, &tenant, None).await?;
    let found = scope.organization(&id).await?;
    Ok(with_etag(found.revision, found))
}

/// Replace the settings of an organization.
///
/// Users of a disabled organization are refused. `If-Match` with the revision refuses the change if the
/// organization was changed meanwhile.
#[utoipa::path(
    put,
    path = "/tenants/{tenant}/organizations/{organization}",
    operation_id = "members_set_organization",
    tag = "access",
    params(
        ("tenant" = TenantId, Path, description = "The name of the tenant."),
        ("organization" = String, Path, description = "The id of the organization."),
    ),
    request_body = OrganizationSettings,
    responses(
        (status = 200, description = "The organization was changed.", body = Organization),
        (
            status = "default",
            description = refused!(404 "not-found", 412 "stale"),
            body = ProblemDocument,
            content_type = PROBLEM,
        ),
    ),
)]
async fn set_organization(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    IfMatch(revision): IfMatch,
    ApiPath((tenant, id)): ApiPath<(TenantId, String)>,
    ApiJson(settings): ApiJson<OrganizationSettings>,
) -> Result<Response, Problem> {
    let set = platform.set_organization(&session, &tenant, &id, &settings, revision).await?;
    Ok(with_etag(set.revision, set))
}

/// Delete an organization that has no users.
///
/// Its id cannot be used again.
#[utoipa::path(
    delete,
    path = "/tenants/{tenant}/organizations/{organization}",
    operation_id = "members_delete_organization",
    tag = "access",
    params(
        ("tenant" = TenantId, Path, description = "The name of the tenant."),
        ("organization" = String, Path, description = "The id of the organization."),
    ),
    responses(
        (status = 204, description = "The organization was deleted."),
        (
            status = "default",
            description = refused!(404 "not-found", 409 "in-use"),
            body = ProblemDocument,
            content_type = PROBLEM,
        ),
    ),
)]
async fn delete_organization(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath((tenant, id)): ApiPath<(TenantId, String)>,
) -> Result<StatusCode, Problem> {
    platform.delete_organization(&session, &tenant, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A filter for users.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct UserQuery {
    /// Only users of the organization with this id; absent for all users.
    organization: Option<String>,
}

/// List the users of a tenant by id.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/users",
    operation_id = "members_users",
    tag = "access",
    params(("tenant" = TenantId, Path, description = "The name of the tenant."), UserQuery, PageQuery),
    responses(
        (status = 200, description = "A page of users.", body = Page<User>),
        (status = "default", description = refused!(), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn users(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(tenant): ApiPath<TenantId>,
    ApiQuery(query): ApiQuery<UserQuery>,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<Page<User>>, Problem> {
    let limit = page.limit()?;
    let mut scope = platform.read(&session, Permission::Access, &tenant, None).await?;
    let found = scope.users(query.organization.as_deref(), page.after(), limit).await?;
    Ok(Json(Page::new(found, limit, |found| found.id.clone())))
}

/// The user to create.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct NewUser {
    /// The id; generated if it is null or absent. For a user of the identity provider it is the subject (`sub`).
    #[serde(default)]
    id: Option<String>,
    /// The settings.
    settings: UserSettings,
}

/// Create a user.
#[utoipa::path(
    post,
    path = "/tenants/{tenant}/users",
    operation_id = "members_create_user",
    tag = "access",
    params(("tenant" = TenantId, Path, description = "The name of the tenant.")),
    request_body = NewUser,
    responses(
        (status = 201, description = "The user was created.", body = User),
        (
            status = "default",
            description = refused!(404 "not-found", 409 "already-there", 429 "quota-exceeded"),
            body = ProblemDocument,
            content_type = PROBLEM,
        ),
    ),
)]
async fn create_user(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(tenant): ApiPath<TenantId>,
    ApiJson(new): ApiJson<NewUser>,
) -> Result<Response, Problem> {
    let made = platform.create_user(&session, &tenant, new.id, &new.settings).await?;
    Ok((StatusCode::CREATED, with_etag(made.revision, made)).into_response())
}

/// Show a user.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/users/{user}",
    operation_id = "members_user",
    tag = "access",
    params(
        ("tenant" = TenantId, Path, description = "The name of the tenant."),
        ("user" = String, Path, description = "The id of the user."),
    ),
    responses(
        (status = 200, description = "The user, with its revision as `ETag`.", body = User),
        (status = "default", description = refused!(404 "not-found"), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn user(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath((tenant, id)): ApiPath<(TenantId, String)>,
) -> Result<Response, Problem> {
    let mut scope = platform.read(&session, Permission::Access, &tenant, None).await?;
    let found = scope.user(&id).await?;
    Ok(with_etag(found.revision, found))
}

/// Replace the settings of a user.
///
/// Tokens of a disabled user are refused. `If-Match` with the revision refuses the change if the user was
/// changed meanwhile.
#[utoipa::path(
    put,
    path = "/tenants/{tenant}/users/{user}",
    operation_id = "members_set_user",
    tag = "access",
    params(
        ("tenant" = TenantId, Path, description = "The name of the tenant."),
        ("user" = String, Path, description = "The id of the user."),
    ),
    request_body = UserSettings,
    responses(
        (status = 200, description = "The user was changed.", body = User),
        (
            status = "default",
            description = refused!(404 "not-found", 412 "stale"),
            body = ProblemDocument,
            content_type = PROBLEM,
        ),
    ),
)]
async fn set_user(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    IfMatch(revision): IfMatch,
    ApiPath((tenant, id)): ApiPath<(TenantId, String)>,
    ApiJson(settings): ApiJson<UserSettings>,
) -> Result<Response, Problem> {
    let set = platform.set_user(&session, &tenant, &id, &settings, revision).await?;
    Ok(with_etag(set.revision, set))
}

/// Delete a user.
///
/// The user's tokens are refused from now on. The id cannot be used again.
#[utoipa::path(
    delete,
    path = "/tenants/{tenant}/users/{user}",
    operation_id = "members_delete_user",
    tag = "access",
    params(
        ("tenant" = TenantId, Path, description = "The name of the tenant."),
        ("user" = String, Path, description = "The id of the user."),
    ),
    responses(
        (status = 204, description = "The user was deleted."),
        (status = "default", description = refused!(404 "not-found"), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn delete_user(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath((tenant, id)): ApiPath<(TenantId, String)>,
) -> Result<StatusCode, Problem> {
    platform.delete_user(&session, &tenant, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
