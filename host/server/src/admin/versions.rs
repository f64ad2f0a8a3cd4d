//! Artifacts, components and versions.

use super::extract::{ApiJson, ApiPath, ApiQuery, Authenticated, NamedPage, Page, PageQuery};
use super::problem::{PROBLEM, Problem, ProblemDocument, refused};
use axum::Json;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, State};
use elias_api::{Component, Diff, Error, Specification, UploadedVersion, Version};
use elias_names::{ComponentName, Digest, TenantId};
use elias_platform::Platform;
use elias_platform::access::Permission;
use http::StatusCode;
use serde::Serialize;
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Platform> {
    // The platform counts an artifact's bytes itself.
    let artifacts = OpenApiRouter::new().routes(routes!(put_artifact, has_artifact)).layer(DefaultBodyLimit::disable());
    OpenApiRouter::new()
        .merge(artifacts)
        .routes(routes!(components))
        .routes(routes!(list, create))
        .routes(routes!(show, delete))
        .routes(routes!(diff))
        .routes(routes!(specification))
        .routes(routes!(openapi))
}

/// A stored artifact.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct StoredArtifact {
    /// The SHA-256 of the artifact, as 64 lower-case hexadecimal digits.
    digest: Digest,
    /// The size in bytes.
    bytes: u64,
}

/// Store an artifact: a component, or a file of a version.
#[utoipa::path(
    put,
    path = "/tenants/{tenant}/artifacts/{digest}",
    operation_id = "versions_put_artifact",
    tag = "versions",
    params(
        ("tenant" = TenantId, Path, description = "The name of the tenant."),
        ("digest" = Digest, Path, description = "The SHA-256 of the artifact, as 64 lower-case hexadecimal digits."),
    ),
    request_body(content_type = "application/octet-stream"),
    responses(
        (status = 200, description = "The artifact was stored.", body = StoredArtifact),
        (
            status = "default",
            description = refused!(404 "not-found", 413 "too-large", 422 "digest-mismatch", 429 "quota-exceeded"),
            body = ProblemDocument,
            content_type = PROBLEM,
        ),
    ),
)]
async fn put_artifact(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath((tenant, digest)): ApiPath<(TenantId, Digest)>,
    body: Body,
) -> Result<Json<StoredArtifact>, Problem> {
    let bytes = platform.put_artifact(&session, &tenant, &digest, body.into_data_stream()).await?;
    Ok(Json(StoredArtifact { digest, bytes }))
}

/// Check whether an artifact is stored already.
#[utoipa::path(
    head,
    path = "/tenants/{tenant}/artifacts/{digest}",
    operation_id = "versions_has_artifact",
    tag = "versions",
    params(
        ("tenant" = TenantId, Path, description = "The name of the tenant."),
        ("digest" = Digest, Path, description = "The SHA-256 of the artifact, as 64 lower-case hexadecimal digits."),
    ),
    responses(
        (status = 204, description = "The artifact is stored."),
        (status = 404, description = "The artifact is not stored: `not-found`."),
        (status = "default", description = refused!()),
    ),
)]
async fn has_artifact(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath((tenant, digest)): ApiPath<(TenantId, Digest)>,
) -> Result<StatusCode, Problem> {
    session.require(Permission::Read, &tenant, None)?;
    // An artifact of another tenant does not count: that it exists must not be visible.
    if platform.store().read(&tenant).await?.has_artifact(&digest).await? && platform.artifacts().has(&digest).await? {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(Error::not_found(format_args!("artifact `{digest}` of tenant `{tenant}`")).into())
}

/// List the components of a tenant by name.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/components",
    operation_id = "versions_components",
    tag = "versions",
    params(("tenant" = TenantId, Path, description = "The name of the tenant."), PageQuery),
    responses(
        (status = 200, description = "A page of components.", body = Page<Component>),
        (status = "default", description = refused!(), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn components(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(tenant): ApiPath<TenantId>,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<Page<Component>>, Problem> {
    let limit = page.limit()?;
    let found = platform.components(&session, &tenant, page.after(), limit).await?;
    Ok(Json(Page::new(found, limit, |component| component.component.to_string())))
}

/// List the versions of a component, newest first.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/components/{component}/versions",
    operation_id = "versions_list",
    tag = "versions",
    params(
        ("tenant" = TenantId, Path, description = "The name of the tenant."),
        ("component" = ComponentName, Path, description = "The name of the component."),
        PageQuery,
    ),
    responses(
        (status = 200, description = "A page of versions.", body = NamedPage<Version>),
        (status = "default", description = refused!(), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn list(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath((tenant, component)): ApiPath<(TenantId, ComponentName)>,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<NamedPage<Version>>, Problem> {
    let (limit, before) = (page.limit()?, page.after_number()?);
    let mut scope = platform.read(&session, Permission::Read, &tenant, Some(&component)).await?;
    let versions = scope.versions(&component, before, limit).await?;
    drop(scope);
    let page = Page::new(versions, limit, |version| version.number.to_string());
    Ok(Json(page.named(&platform, &tenant, |version| &version.created_by).await?))
}

/// Create a version from artifacts that were stored before.
///
/// It gets no traffic until it is deployed.
#[utoipa::path(
    post,
    path = "/tenants/{tenant}/components/{component}/versions",
    operation_id = "versions_create",
    tag = "versions",
    params(
        ("tenant" = TenantId, Path, description = "The name of the tenant."),
        ("component" = ComponentName, Path, description = "The name of the component."),
    ),
    request_body = UploadedVersion,
    responses(
        (status = 201, description = "The version was created.", body = Version),
        (
            status = "default",
            description = refused!(
                404 "not-found", 413 "too-large", 422 "artifact-missing", 422 "not-allowed", 422 "above-ceiling",
                422 "signature-refused", 422 "sbom-missing", 422 "integrity-missing", 422 "integrity-mismatch",
                422 "package-denied", 422 "package-vulnerable", 422 "capability-denied", 429 "quota-exceeded",
                503 "advisories-missing", 422 "bad-component", 422 "component-too-large", 422 "compile-limit",
                422 "foreign-import", 422 "unknown-engine", 422 "unknown-base", 422 "engine-mismatch",
                422 "compile-timeout", 503 "overloaded",
            ),
            body = ProblemDocument,
            content_type = PROBLEM,
        ),
    ),
)]
async fn create(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath((tenant, component)): ApiPath<(TenantId, ComponentName)>,
    ApiJson(uploaded): ApiJson<UploadedVersion>,
) -> Result<(StatusCode, Json<Version>), Problem> {
    Ok((StatusCode::CREATED, Json(platform.create_version(&session, &tenant, &component, &uploaded).await?)))
}

/// Show a version.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/components/{component}/versions/{number}",
    operation_id = "versions_show",
    tag = "versions",
    params(
        ("tenant" = TenantId, Path, description = "The name of the tenant."),
        ("component" = ComponentName, Path, description = "The name of the component."),
        ("number" = u32, Path, description = "The number of the version."),
    ),
    responses(
        (status = 200, description = "The version.", body = Version),
        (status = "default", description = refused!(404 "not-found"), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn show(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath((tenant, component, number)): ApiPath<(TenantId, ComponentName, u32)>,
) -> Result<Json<Version>, Problem> {
    let mut scope = platform.read(&session, Permission::Read, &tenant, Some(&component)).await?;
    Ok(Json(scope.version(&component, number).await?))
}

/// Delete a version that gets no traffic.
///
/// With its last version a component is deleted.
#[utoipa::path(
    delete,
    path = "/tenants/{tenant}/components/{component}/versions/{number}",
    operation_id = "versions_delete",
    tag = "versions",
    params(
        ("tenant" = TenantId, Path, description = "The name of the tenant."),
        ("component" = ComponentName, Path, description = "The name of the component."),
        ("number" = u32, Path, description = "The number of the version."),
    ),
    responses(
        (status = 204, description = "The version was deleted."),
        (
            status = "default",
            description = refused!(404 "not-found", 409 "in-use"),
            body = ProblemDocument,
            content_type = PROBLEM,
        ),
    ),
)]
async fn delete(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath((tenant, component, number)): ApiPath<(TenantId, ComponentName, u32)>,
) -> Result<StatusCode, Problem> {
    platform.delete_version(&session, &tenant, &component, number).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Compare two versions.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/components/{component}/versions/{number}/diff/{other}",
    operation_id = "versions_diff",
    tag = "versions",
    params(
        ("tenant" = TenantId, Path, description = "The name of the tenant."),
        ("component" = ComponentName, Path, description = "The name of the component."),
        ("number" = u32, Path, description = "The number of the first version."),
        ("other" = u32, Path, description = "The number of the second version."),
    ),
    responses(
        (status = 200, description = "The differences.", body = Diff),
        (
            status = "default",
            description = refused!(404 "not-found", 422 "artifact-missing"),
            body = ProblemDocument,
            content_type = PROBLEM,
        ),
    ),
)]
async fn diff(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath((tenant, component, number, other)): ApiPath<(TenantId, ComponentName, u32, u32)>,
) -> Result<Json<Diff>, Problem> {
    Ok(Json(platform.diff(&session, &tenant, &component, number, other).await?))
}

/// Show the specification of a version.
///
/// It lists exports, handlers, triggers, routes, schemas, imports, grants, limits, digests and npm packages.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/components/{component}/versions/{number}/spec",
    operation_id = "versions_specification",
    tag = "versions",
    params(
        ("tenant" = TenantId, Path, description = "The name of the tenant."),
        ("component" = ComponentName, Path, description = "The name of the component."),
        ("number" = u32, Path, description = "The number of the version."),
    ),
    responses(
        (status = 200, description = "The specification.", body = Specification),
        (
            status = "default",
            description = refused!(404 "not-found", 422 "artifact-missing", 422 "sbom-missing", 422 "bad-component"),
            body = ProblemDocument,
            content_type = PROBLEM,
        ),
    ),
)]
async fn specification(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath((tenant, component, number)): ApiPath<(TenantId, ComponentName, u32)>,
) -> Result<Json<Specification>, Problem> {
    Ok(Json(platform.specification(&session, &tenant, &component, number).await?))
}

/// Show the OpenAPI document of a version.
///
/// It describes the endpoints and routes of the component in OpenAPI 3.1.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/components/{component}/versions/{number}/openapi",
    operation_id = "versions_openapi",
    tag = "versions",
    params(
        ("tenant" = TenantId, Path, description = "The name of the tenant."),
        ("component" = ComponentName, Path, description = "The name of the component."),
        ("number" = u32, Path, description = "The number of the version."),
    ),
    responses(
        (status = 200, description = "The OpenAPI document.", body = Value),
        (
            status = "default",
            description = refused!(404 "not-found", 422 "artifact-missing", 422 "sbom-missing", 422 "bad-component"),
            body = ProblemDocument,
            content_type = PROBLEM,
        ),
    ),
)]
async fn openapi(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath((tenant, component, number)): ApiPath<(TenantId, ComponentName, u32)>,
) -> Result<Json<Value>, Problem> {
    Ok(Json(platform.specification(&session, &tenant, &component, number).await?.openapi()))
}
