//! Artifacts, components and versions.

use super::extract::{Asking, JsonOf, NamedPage, Page, PageQuery, PathOf, QueryOf};
use super::problem::{Problem, ProblemDocument};
use axum::Json;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, State};
use elias_platform::access::Permission;
use elias_platform::name::{ComponentName, Digest, TenantId};
use elias_platform::store::{Component, Version};
use elias_platform::{Diff, Error, Platform, UploadedVersion};
use http::StatusCode;
use serde::Serialize;
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
}

/// An artifact that was stored.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct StoredArtifact {
    /// Its SHA-256.
    digest: Digest,
    /// How many bytes it has.
    bytes: u64,
}

/// Stores an artifact: a component, or a file of a version.
#[utoipa::path(put, operation_id = "versions_put_artifact", path = "/tenants/{tenant}/artifacts/{digest}", tag = "versions",
    params(("tenant" = TenantId, Path), ("digest" = Digest, Path)),
    request_body(content_type = "application/octet-stream"), responses(
    (status = 200, description = "It is so", body = StoredArtifact), (status = "default", description = "It is refused", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn put_artifact(
    State(platform): State<Platform>,
    Asking(session): Asking,
    PathOf((tenant, digest)): PathOf<(TenantId, Digest)>,
    body: Body,
) -> Result<Json<StoredArtifact>, Problem> {
    let bytes = platform.put_artifact(&session, &tenant, &digest, body.into_data_stream()).await?;
    Ok(Json(StoredArtifact { digest, bytes }))
}

/// Whether an artifact need not be sent.
#[utoipa::path(head, operation_id = "versions_has_artifact", path = "/tenants/{tenant}/artifacts/{digest}", tag = "versions",
    params(("tenant" = TenantId, Path), ("digest" = Digest, Path)),
    responses((status = 204, description = "It is there"), (status = 404, description = "It is not"),
        (status = "default", description = "It is refused")))]
async fn has_artifact(
    State(platform): State<Platform>,
    Asking(session): Asking,
    PathOf((tenant, digest)): PathOf<(TenantId, Digest)>,
) -> Result<StatusCode, Problem> {
    session.require(Permission::Read, &tenant, None)?;
    // Only whether the tenant itself stored it: that another one did is nobody else's affair.
    if platform.store().read(&tenant).await?.has_artifact(&digest).await? && platform.artifacts().has(&digest).await? {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(Error::not_found(format_args!("artifact {digest} of {tenant}")).into())
}

/// A tenant's components, by name.
#[utoipa::path(get, operation_id = "versions_components", path = "/tenants/{tenant}/components", tag = "versions", params(("tenant" = TenantId, Path), PageQuery), responses(
    (status = 200, description = "It is so", body = Page<Component>), (status = "default", description = "It is refused", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn components(
    State(platform): State<Platform>,
    Asking(session): Asking,
    PathOf(tenant): PathOf<TenantId>,
    QueryOf(page): QueryOf<PageQuery>,
) -> Result<Json<Page<Component>>, Problem> {
    let limit = page.limit()?;
    let mut scope = platform.read(&session, Permission::Read, &tenant, None).await?;
    let found = scope.components(page.after(), limit).await?;
    let mut page = Page::new(found, limit, |component| component.component.to_string());
    // Who may read some components sees those.
    page.items.retain(|found| session.require(Permission::Read, &tenant, Some(&found.component)).is_ok());
    Ok(Json(page))
}

/// A component's versions, newest first.
#[utoipa::path(get, operation_id = "versions_list", path = "/tenants/{tenant}/components/{component}/versions", tag = "versions",
    params(("tenant" = TenantId, Path), ("component" = ComponentName, Path), PageQuery), responses(
    (status = 200, description = "It is so", body = NamedPage<Version>), (status = "default", description = "It is refused", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn list(
    State(platform): State<Platform>,
    Asking(session): Asking,
    PathOf((tenant, component)): PathOf<(TenantId, ComponentName)>,
    QueryOf(page): QueryOf<PageQuery>,
) -> Result<Json<NamedPage<Version>>, Problem> {
    let (limit, before) = (page.limit()?, page.before_number()?);
    let mut scope = platform.read(&session, Permission::Read, &tenant, Some(&component)).await?;
    let versions = scope.versions(&component, before, limit).await?;
    drop(scope);
    let page = Page::new(versions, limit, |version| version.number.to_string());
    Ok(Json(page.named(&platform, &tenant, |version| &version.created_by).await?))
}

/// Accepts a version, whose artifacts were stored before. It serves nothing yet.
#[utoipa::path(post, operation_id = "versions_create", path = "/tenants/{tenant}/components/{component}/versions", tag = "versions",
    params(("tenant" = TenantId, Path), ("component" = ComponentName, Path)), request_body = UploadedVersion, responses(
    (status = 201, description = "It is made", body = Version), (status = "default", description = "It is refused", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn create(
    State(platform): State<Platform>,
    Asking(session): Asking,
    PathOf((tenant, component)): PathOf<(TenantId, ComponentName)>,
    JsonOf(uploaded): JsonOf<UploadedVersion>,
) -> Result<(StatusCode, Json<Version>), Problem> {
    Ok((StatusCode::CREATED, Json(platform.create_version(&session, &tenant, &component, &uploaded).await?)))
}

/// A version.
#[utoipa::path(get, operation_id = "versions_show", path = "/tenants/{tenant}/components/{component}/versions/{number}", tag = "versions",
    params(("tenant" = TenantId, Path), ("component" = ComponentName, Path), ("number" = u32, Path)), responses(
    (status = 200, description = "It is so", body = Version), (status = "default", description = "It is refused", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn show(
    State(platform): State<Platform>,
    Asking(session): Asking,
    PathOf((tenant, component, number)): PathOf<(TenantId, ComponentName, u32)>,
) -> Result<Json<Version>, Problem> {
    let mut scope = platform.read(&session, Permission::Read, &tenant, Some(&component)).await?;
    Ok(Json(scope.version(&component, number).await?))
}

/// Deletes a version that serves nowhere.
#[utoipa::path(delete, operation_id = "versions_delete", path = "/tenants/{tenant}/components/{component}/versions/{number}", tag = "versions",
    params(("tenant" = TenantId, Path), ("component" = ComponentName, Path), ("number" = u32, Path)), responses(
    (status = 204, description = "It is done"), (status = "default", description = "It is refused", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn delete(
    State(platform): State<Platform>,
    Asking(session): Asking,
    PathOf((tenant, component, number)): PathOf<(TenantId, ComponentName, u32)>,
) -> Result<StatusCode, Problem> {
    let mut scope = platform.write(&session, Permission::Delete, &tenant, Some(&component)).await?;
    scope.delete_version(&component, number, &session.actor()).await?;
    scope.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// How two versions differ.
#[utoipa::path(get, operation_id = "versions_diff", path = "/tenants/{tenant}/components/{component}/versions/{number}/diff/{other}", tag = "versions",
    params(("tenant" = TenantId, Path), ("component" = ComponentName, Path), ("number" = u32, Path), ("other" = u32, Path)), responses(
    (status = 200, description = "It is so", body = Diff), (status = "default", description = "It is refused", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn diff(
    State(platform): State<Platform>,
    Asking(session): Asking,
    PathOf((tenant, component, number, other)): PathOf<(TenantId, ComponentName, u32, u32)>,
) -> Result<Json<Diff>, Problem> {
    Ok(Json(platform.diff(&session, &tenant, &component, number, other).await?))
}
