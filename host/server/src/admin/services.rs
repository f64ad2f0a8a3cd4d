//! Services: deployments, rollouts, secrets.

use super::extract::{ApiJson, ApiPath, ApiQuery, Authenticated, IfMatch, NamedPage, Page, PageQuery};
use super::problem::{PROBLEM, Problem, ProblemDocument, refused};
use axum::Json;
use axum::extract::State;
use elias_api::{DeployRequest, Deployment, RolloutAction, ServiceStatus};
use elias_delivery::rollout::FlagRule;
use elias_names::{ComponentName, Environment, ServiceId, TenantId};
use elias_platform::Platform;
use elias_platform::access::Permission;
use http::StatusCode;
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Platform> {
    OpenApiRouter::new()
        .routes(routes!(status))
        .routes(routes!(deployments, deploy))
        .routes(routes!(rollback))
        .routes(routes!(change_rollout))
        .routes(routes!(set_targeting_rules))
        .routes(routes!(stop))
        .routes(routes!(start))
        .routes(routes!(purge))
        .routes(routes!(secrets))
        .routes(routes!(set_secret, delete_secret))
}

/// The refusals of a request that gives a version traffic.
pub(super) const NOT_DEPLOYED: &str = refused!(
    404 "not-found", 409 "wrong-state", 412 "stale", 413 "too-large", 422 "not-allowed", 422 "above-ceiling",
    422 "smoke-failed", 422 "artifact-missing", 422 "missing-configuration", 422 "not-in-log", 422 "compile-timeout",
    422 "bad-configuration", 422 "capability-unavailable", 503 "overloaded",
);

/// The path of a service.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
pub(super) struct ServicePath {
    /// The name of the tenant.
    tenant: TenantId,
    /// The name of the component.
    component: ComponentName,
    /// The environment.
    environment: Environment,
}

impl From<ServicePath> for ServiceId {
    fn from(path: ServicePath) -> Self {
        Self { tenant: path.tenant, component: path.component, environment: path.environment }
    }
}

/// A filter for services.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct StatusQuery {
    /// Only services of this component; absent for all.
    component: Option<ComponentName>,
}

/// List the services of a tenant and their state on this host.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/services",
    operation_id = "services_status",
    tag = "services",
    params(("tenant" = TenantId, Path, description = "The name of the tenant."), StatusQuery),
    responses(
        (status = 200, description = "The services.", body = Page<ServiceStatus>),
        (status = "default", description = refused!(), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn status(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(tenant): ApiPath<TenantId>,
    ApiQuery(query): ApiQuery<StatusQuery>,
) -> Result<Json<Page<ServiceStatus>>, Problem> {
    Ok(Json(Page { items: platform.status(&session, &tenant, query.component.as_ref())?, next: None }))
}

/// List the deployments of a service, newest first.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/components/{component}/environments/{environment}/deployments",
    operation_id = "services_deployments",
    tag = "services",
    params(ServicePath, PageQuery),
    responses(
        (status = 200, description = "A page of deployments.", body = NamedPage<Deployment>),
        (status = "default", description = refused!(), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn deployments(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(path): ApiPath<ServicePath>,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<NamedPage<Deployment>>, Problem> {
    let (id, limit) = (ServiceId::from(path), page.limit()?);
    let mut scope = platform.read(&session, Permission::Read, &id.tenant, &id).await?;
    let found = scope.deployments(&id, page.after.as_deref(), limit).await?;
    drop(scope);
    let page = Page::new(found, limit, |deployment| deployment.id.clone());
    Ok(Json(page.named(&platform, &id.tenant, |deployment| &deployment.created_by).await?))
}

/// Deploy a version: give it all traffic at once, or step by step with `rollout`.
///
/// `If-Match` with the revision refuses the deployment if the service was changed meanwhile.
#[utoipa::path(
    post,
    path = "/tenants/{tenant}/components/{component}/environments/{environment}/deployments",
    operation_id = "services_deploy",
    tag = "services",
    params(ServicePath),
    request_body = DeployRequest,
    responses(
        (status = 201, description = "The deployment was created.", body = Deployment),
        (
            status = "default",
            description = NOT_DEPLOYED,
            body = ProblemDocument,
            content_type = PROBLEM,
        ),
    ),
)]
async fn deploy(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    IfMatch(revision): IfMatch,
    ApiPath(path): ApiPath<ServicePath>,
    ApiJson(request): ApiJson<DeployRequest>,
) -> Result<(StatusCode, Json<Deployment>), Problem> {
    let request = DeployRequest { revision: request.revision.or(revision), ..request };
    Ok((StatusCode::CREATED, Json(platform.deploy(&session, &path.into(), &request).await?)))
}

/// The target of a rollback.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
struct RollbackRequest {
    /// The number of the version to serve again; null or absent for the version that served before.
    to: Option<u32>,
    /// Whether service workers that the present deployment moved to its version go back to what they were before it;
    /// what they did since is lost. Otherwise they take their state along to the version that serves again. It requires
    /// that the present deployment replaced that version. Workers that a canary moved always go back.
    restore_workers: bool,
}

/// Roll back to a version that was deployed before.
#[utoipa::path(
    post,
    path = "/tenants/{tenant}/components/{component}/environments/{environment}/rollback",
    operation_id = "services_rollback",
    tag = "services",
    params(ServicePath),
    request_body = RollbackRequest,
    responses(
        (status = 201, description = "The service was rolled back.", body = Deployment),
        (
            status = "default",
            description = refused!(
                404 "not-found", 409 "wrong-state", 412 "stale", 422 "artifact-missing", 422 "missing-configuration",
                422 "not-in-log", 422 "compile-timeout", 422 "bad-configuration", 422 "capability-unavailable",
                503 "overloaded",
            ),
            body = ProblemDocument,
            content_type = PROBLEM,
        ),
    ),
)]
async fn rollback(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(path): ApiPath<ServicePath>,
    ApiJson(request): ApiJson<RollbackRequest>,
) -> Result<(StatusCode, Json<Deployment>), Problem> {
    let RollbackRequest { to, restore_workers } = request;
    Ok((StatusCode::CREATED, Json(platform.rollback(&session, &path.into(), to, restore_workers).await?)))
}

/// A change of a rollout.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct SteerRequest {
    /// The action.
    action: RolloutAction,
    /// The reason, for the history of deployments and the audit trail; empty if absent.
    #[serde(default)]
    reason: String,
}

/// Promote, pause, resume or abort a rollout.
#[utoipa::path(
    post,
    path = "/tenants/{tenant}/components/{component}/environments/{environment}/rollout",
    operation_id = "services_steer",
    tag = "services",
    params(ServicePath),
    request_body = SteerRequest,
    responses(
        (status = 204, description = "The rollout was changed."),
        (
            status = "default",
            description = refused!(409 "wrong-state", 412 "stale"),
            body = ProblemDocument,
            content_type = PROBLEM,
        ),
    ),
)]
async fn change_rollout(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(path): ApiPath<ServicePath>,
    ApiJson(request): ApiJson<SteerRequest>,
) -> Result<StatusCode, Problem> {
    platform.change_rollout(&session, &path.into(), request.action, &request.reason).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The targeting rules of a service.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Flags {
    /// The rules; the first that matches a request decides.
    rules: Vec<FlagRule>,
}

/// Replace the targeting rules of a service.
///
/// A request that matches a rule gets the version of the rule, whatever a rollout or an experiment would choose.
/// `If-Match` with the revision refuses the change if the service was changed meanwhile.
#[utoipa::path(
    put,
    path = "/tenants/{tenant}/components/{component}/environments/{environment}/flags",
    operation_id = "services_set_flags",
    tag = "services",
    params(ServicePath),
    request_body = Flags,
    responses(
        (status = 204, description = "The targeting rules were replaced."),
        (
            status = "default",
            description = refused!(
                404 "not-found", 412 "stale", 422 "artifact-missing", 422 "missing-configuration", 422 "not-in-log",
                422 "compile-timeout", 422 "bad-configuration", 422 "capability-unavailable", 503 "overloaded",
            ),
            body = ProblemDocument,
            content_type = PROBLEM,
        ),
    ),
)]
async fn set_targeting_rules(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    IfMatch(revision): IfMatch,
    ApiPath(path): ApiPath<ServicePath>,
    ApiJson(flags): ApiJson<Flags>,
) -> Result<StatusCode, Problem> {
    platform.set_targeting_rules(&session, &path.into(), flags.rules, revision).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Stop a service.
///
/// Its requests get 503.
#[utoipa::path(
    post,
    path = "/tenants/{tenant}/components/{component}/environments/{environment}/stop",
    operation_id = "services_stop",
    tag = "services",
    params(ServicePath),
    responses(
        (status = 204, description = "The service was stopped."),
        (
            status = "default",
            description = refused!(404 "not-found", 412 "stale"),
            body = ProblemDocument,
            content_type = PROBLEM,
        ),
    ),
)]
async fn stop(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(path): ApiPath<ServicePath>,
) -> Result<StatusCode, Problem> {
    platform.stop(&session, &path.into()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Purge the cached responses of a service on this host.
#[utoipa::path(
    post,
    path = "/tenants/{tenant}/components/{component}/environments/{environment}/purge",
    operation_id = "services_purge",
    tag = "services",
    params(ServicePath),
    responses(
        (status = 204, description = "The cached responses were purged."),
        (status = "default", description = refused!(404 "not-found"), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn purge(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(path): ApiPath<ServicePath>,
) -> Result<StatusCode, Problem> {
    platform.purge_cache(&session, &path.into()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Start a service that was stopped by a user or by its circuit breaker.
#[utoipa::path(
    post,
    path = "/tenants/{tenant}/components/{component}/environments/{environment}/start",
    operation_id = "services_start",
    tag = "services",
    params(ServicePath),
    responses(
        (status = 204, description = "The service was started."),
        (
            status = "default",
            description = refused!(404 "not-found", 412 "stale"),
            body = ProblemDocument,
            content_type = PROBLEM,
        ),
    ),
)]
async fn start(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(path): ApiPath<ServicePath>,
) -> Result<StatusCode, Problem> {
    platform.start(&session, &path.into()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List the names of the secrets of a service.
///
/// Nobody can read their values.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/components/{component}/environments/{environment}/secrets",
    operation_id = "services_secrets",
    tag = "services",
    params(ServicePath),
    responses(
        (status = 200, description = "The names of the secrets.", body = Page<String>),
        (status = "default", description = refused!(), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn secrets(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(path): ApiPath<ServicePath>,
) -> Result<Json<Page<String>>, Problem> {
    Ok(Json(Page { items: platform.secret_names(&session, &path.into()).await?, next: None }))
}

/// The path of a secret.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
struct SecretPath {
    /// The name of the tenant.
    tenant: TenantId,
    /// The name of the component.
    component: ComponentName,
    /// The environment.
    environment: Environment,
    /// The name of the secret: letters, digits and underscores, as in environment variables.
    name: String,
}

impl SecretPath {
    fn split(self) -> (ServiceId, String) {
        (ServiceId { tenant: self.tenant, component: self.component, environment: self.environment }, self.name)
    }
}

/// The value of a secret.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct SecretValue {
    /// The value. It is stored encrypted and no response contains it.
    value: String,
}

/// Set a secret of a service.
///
/// The service is reloaded with it at once.
#[utoipa::path(
    put,
    path = "/tenants/{tenant}/components/{component}/environments/{environment}/secrets/{name}",
    operation_id = "services_set_secret",
    tag = "services",
    params(SecretPath),
    request_body = SecretValue,
    responses(
        (status = 204, description = "The secret was set."),
        (
            status = "default",
            description = refused!(413 "too-large", 429 "quota-exceeded"),
            body = ProblemDocument,
            content_type = PROBLEM,
        ),
    ),
)]
async fn set_secret(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(path): ApiPath<SecretPath>,
    ApiJson(secret): ApiJson<SecretValue>,
) -> Result<StatusCode, Problem> {
    let (id, name) = path.split();
    platform.set_secret(&session, &id, &name, &secret.value).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Delete a secret of a service.
#[utoipa::path(
    delete,
    path = "/tenants/{tenant}/components/{component}/environments/{environment}/secrets/{name}",
    operation_id = "services_delete_secret",
    tag = "services",
    params(SecretPath),
    responses(
        (status = 204, description = "The secret was deleted."),
        (status = "default", description = refused!(404 "not-found"), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn delete_secret(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(path): ApiPath<SecretPath>,
) -> Result<StatusCode, Problem> {
    let (id, name) = path.split();
    platform.delete_secret(&session, &id, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}
