//! The npm packages in versions, and the policies for them.

use super::extract::{ApiJson, ApiPath, Authenticated};
use super::problem::{PROBLEM, Problem, ProblemDocument, refused};
use axum::Json;
use axum::extract::State;
use elias_advisories::{PackagePolicies, PackagePolicy, PackageReport};
use elias_names::{ComponentName, TenantId};
use elias_platform::Platform;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Platform> {
    OpenApiRouter::new().routes(routes!(policies, set_policy)).routes(routes!(of_version))
}

/// Show the policies for npm packages: the one of the host, and the one of the tenant.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/packages",
    operation_id = "packages_policies",
    tag = "tenants",
    params(("tenant" = TenantId, Path, description = "The name of the tenant.")),
    responses(
        (status = 200, description = "The policies.", body = PackagePolicies),
        (status = "default", description = refused!(404 "not-found"), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn policies(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(tenant): ApiPath<TenantId>,
) -> Result<Json<PackagePolicies>, Problem> {
    Ok(Json(platform.package_policies(&session, &tenant).await?))
}

/// Replace the tenant's own policy for npm packages.
///
/// The policy of the host applies as well.
#[utoipa::path(
    put,
    path = "/tenants/{tenant}/packages",
    operation_id = "packages_set_policy",
    tag = "tenants",
    params(("tenant" = TenantId, Path, description = "The name of the tenant.")),
    request_body = PackagePolicy,
    responses(
        (status = 200, description = "The policy was changed.", body = PackagePolicies),
        (
            status = "default",
            description = refused!(404 "not-found", 412 "stale"),
            body = ProblemDocument,
            content_type = PROBLEM,
        ),
    ),
)]
async fn set_policy(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(tenant): ApiPath<TenantId>,
    ApiJson(policy): ApiJson<PackagePolicy>,
) -> Result<Json<PackagePolicies>, Problem> {
    Ok(Json(platform.set_package_policy(&session, &tenant, &policy).await?))
}

/// List the npm packages of a version, with the host's current advisories about them.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/components/{component}/versions/{number}/packages",
    operation_id = "packages_of_version",
    tag = "versions",
    params(
        ("tenant" = TenantId, Path, description = "The name of the tenant."),
        ("component" = ComponentName, Path, description = "The name of the component."),
        ("number" = u32, Path, description = "The number of the version."),
    ),
    responses(
        (status = 200, description = "The packages.", body = PackageReport),
        (
            status = "default",
            description = refused!(404 "not-found", 413 "too-large", 422 "artifact-missing", 422 "sbom-missing"),
            body = ProblemDocument,
            content_type = PROBLEM,
        ),
    ),
)]
async fn of_version(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath((tenant, component, number)): ApiPath<(TenantId, ComponentName, u32)>,
) -> Result<Json<PackageReport>, Problem> {
    Ok(Json(platform.packages(&session, &tenant, &component, number).await?))
}
