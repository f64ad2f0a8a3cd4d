//! The routes of the admin API for the feature flags of a tenant.

use super::etag::with_etag;
use super::extract::{ApiJson, ApiPath, ApiQuery, Authenticated, IfMatch, NamedPage, Page, PageQuery};
use super::problem::{PROBLEM, Problem, ProblemDocument, refused};
use axum::Json;
use axum::extract::State;
use axum::response::Response;
use elias_api::{FeatureFlag, FlagRevision};
use elias_delivery::flag::FlagDefinition;
use elias_names::{Environment, TenantId};
use elias_platform::Platform;
use elias_platform::access::Permission;
use http::StatusCode;
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Platform> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(show, set, delete)).routes(routes!(history))
}

/// A flag of a tenant in an environment.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
struct FlagPath {
    /// The name of the tenant.
    tenant: TenantId,
    /// The environment: `dev`, `staging` or `production`.
    environment: Environment,
    /// The name of the flag.
    flag: String,
}

/// List the feature flags of a tenant in an environment by name.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/environments/{environment}/flags",
    operation_id = "flags_list",
    tag = "flags",
    params(
        ("tenant" = TenantId, Path, description = "The name of the tenant."),
        ("environment" = Environment, Path, description = "The environment: `dev`, `staging` or `production`."),
        PageQuery,
    ),
    responses(
        (status = 200, description = "A page of feature flags.", body = NamedPage<FeatureFlag>),
        (status = "default", description = refused!(), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn list(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath((tenant, environment)): ApiPath<(TenantId, Environment)>,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<NamedPage<FeatureFlag>>, Problem> {
    let limit = page.limit()?;
    let mut scope = platform.read(&session, Permission::Read, &tenant, None).await?;
    let page = Page::new(scope.flags(environment, page.after(), limit).await?, limit, |flag| flag.name.clone());
    drop(scope);
    Ok(Json(page.named(&platform, &tenant, |flag| &flag.changed_by).await?))
}

/// Show a feature flag.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/environments/{environment}/flags/{flag}",
    operation_id = "flags_show",
    tag = "flags",
    params(FlagPath),
    responses(
        (status = 200, description = "The flag, with its revision as `ETag`.", body = FeatureFlag),
        (
            status = "default",
            description = refused!(400 "bad-name", 404 "not-found"),
            body = ProblemDocument,
            content_type = PROBLEM,
        ),
    ),
)]
async fn show(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(FlagPath { tenant, environment, flag }): ApiPath<FlagPath>,
) -> Result<Response, Problem> {
    let found = platform.flag(&session, &tenant, environment, &flag).await?;
    Ok(with_etag(found.revision, found))
}

/// Create or replace a feature flag.
///
/// Components see it within seconds, on every host. `If-Match` with the revision refuses the change if the flag was
/// changed meanwhile.
#[utoipa::path(
    put,
    path = "/tenants/{tenant}/environments/{environment}/flags/{flag}",
    operation_id = "flags_set",
    tag = "flags",
    params(FlagPath),
    request_body = FlagDefinition,
    responses(
        (status = 200, description = "The flag was created or changed.", body = FeatureFlag),
        (
            status = "default",
            description = refused!(400 "bad-name", 404 "not-found", 412 "stale", 429 "quota-exceeded"),
            body = ProblemDocument,
            content_type = PROBLEM,
        ),
    ),
)]
async fn set(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    IfMatch(revision): IfMatch,
    ApiPath(FlagPath { tenant, environment, flag }): ApiPath<FlagPath>,
    ApiJson(definition): ApiJson<FlagDefinition>,
) -> Result<Response, Problem> {
    let set = platform.set_flag(&session, &tenant, environment, &flag, &definition, revision).await?;
    Ok(with_etag(set.revision, set))
}

/// Delete a feature flag.
///
/// Components get the default values of their own code. `If-Match` with the revision refuses the change if the flag was
/// changed meanwhile.
#[utoipa::path(
    delete,
    path = "/tenants/{tenant}/environments/{environment}/flags/{flag}",
    operation_id = "flags_delete",
    tag = "flags",
    params(FlagPath),
    responses(
        (status = 204, description = "The flag was deleted."),
        (
            status = "default",
            description = refused!(400 "bad-name", 404 "not-found", 412 "stale"),
            body = ProblemDocument,
            content_type = PROBLEM,
        ),
    ),
)]
async fn delete(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    IfMatch(revision): IfMatch,
    ApiPath(FlagPath { tenant, environment, flag }): ApiPath<FlagPath>,
) -> Result<StatusCode, Problem> {
    platform.delete_flag(&session, &tenant, environment, &flag, revision).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List the revisions of a feature flag, newest first.
///
/// The last 100 are kept, also of a flag that was deleted.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/environments/{environment}/flags/{flag}/history",
    operation_id = "flags_history",
    tag = "flags",
    params(FlagPath, PageQuery),
    responses(
        (status = 200, description = "A page of revisions.", body = NamedPage<FlagRevision>),
        (
            status = "default",
            description = refused!(400 "bad-name", 404 "not-found"),
            body = ProblemDocument,
            content_type = PROBLEM,
        ),
    ),
)]
async fn history(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(FlagPath { tenant, environment, flag }): ApiPath<FlagPath>,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<NamedPage<FlagRevision>>, Problem> {
    let (limit, before) = (page.limit()?, page.after_number()?);
    let revisions = platform.flag_history(&session, &tenant, environment, &flag, before, limit).await?;
    let page = Page::new(revisions, limit, |revision| revision.revision.to_string());
    Ok(Json(page.named(&platform, &tenant, |revision| &revision.changed_by).await?))
}
