//! The npm packages in versions, and which of them a tenant takes.

use super::extract::{Asking, JsonOf, PathOf};
use super::problem::{Problem, ProblemDocument};
use axum::Json;
use axum::extract::State;
use elias_platform::Platform;
use elias_platform::name::{ComponentName, TenantId};
use elias_platform::packages::{PackagePolicies, PackagePolicy, PackageReport};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Platform> {
    OpenApiRouter::new().routes(routes!(policies, set_policy)).routes(routes!(of_version))
}

/// Which npm packages a tenant's versions may have in them.
#[utoipa::path(get, operation_id = "packages_policies", path = "/tenants/{tenant}/packages", tag = "tenants", params(("tenant" = TenantId, Path)), responses(
    (status = 200, description = "It is so", body = PackagePolicies), (status = "default", description = "It is refused", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn policies(
    State(platform): State<Platform>,
    Asking(session): Asking,
    PathOf(tenant): PathOf<TenantId>,
) -> Result<Json<PackagePolicies>, Problem> {
    Ok(Json(platform.package_policies(&session, &tenant).await?))
}

/// Sets the tenant's own policy. That of the host holds all the same.
#[utoipa::path(put, operation_id = "packages_set_policy", path = "/tenants/{tenant}/packages", tag = "tenants", params(("tenant" = TenantId, Path)), request_body = PackagePolicy, responses(
    (status = 200, description = "It is so", body = PackagePolicies), (status = "default", description = "It is refused", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn set_policy(
    State(platform): State<Platform>,
    Asking(session): Asking,
    PathOf(tenant): PathOf<TenantId>,
    JsonOf(policy): JsonOf<PackagePolicy>,
) -> Result<Json<PackagePolicies>, Problem> {
    Ok(Json(platform.set_package_policy(&session, &tenant, &policy).await?))
}

/// The npm packages in a version, with what the host's advisories say of them now.
#[utoipa::path(get, operation_id = "packages_of_version", path = "/tenants/{tenant}/components/{component}/versions/{number}/packages", tag = "versions",
    params(("tenant" = TenantId, Path), ("component" = ComponentName, Path), ("number" = u32, Path)), responses(
    (status = 200, description = "It is so", body = PackageReport), (status = "default", description = "It is refused", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn of_version(
    State(platform): State<Platform>,
    Asking(session): Asking,
    PathOf((tenant, component, number)): PathOf<(TenantId, ComponentName, u32)>,
) -> Result<Json<PackageReport>, Problem> {
    Ok(Json(platform.packages(&session, &tenant, &component, number).await?))
}
