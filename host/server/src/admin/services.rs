//! What serves: deployments, rollouts, secrets, logs.

use super::extract::{Asking, IfMatch, JsonOf, NamedPage, Page, PageQuery, PathOf, QueryOf};
use super::problem::{Problem, ProblemDocument};
use axum::Json;
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use elias_platform::access::Permission;
use elias_platform::name::{ComponentName, Environment, ServiceId, TenantId};
use elias_platform::rollout::FlagRule;
use elias_platform::store::Deployment;
use elias_platform::{DeployRequest, Error, FollowedLine, Platform, RolloutAction, ServiceStatus};
use futures::Stream;
use http::StatusCode;
use serde::Deserialize;
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::MissedTickBehavior;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Platform> {
    OpenApiRouter::new()
        .routes(routes!(status))
        .routes(routes!(deployments, deploy))
        .routes(routes!(rollback))
        .routes(routes!(steer))
        .routes(routes!(set_flags))
        .routes(routes!(stop))
        .routes(routes!(start))
        .routes(routes!(purge))
        .routes(routes!(secrets))
        .routes(routes!(set_secret, delete_secret))
        .routes(routes!(logs))
}

/// The path of a service.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
pub(super) struct ServicePath {
    /// Whose.
    tenant: TenantId,
    /// Which component.
    component: ComponentName,
    /// Where.
    environment: Environment,
}

impl From<ServicePath> for ServiceId {
    fn from(path: ServicePath) -> Self {
        Self { tenant: path.tenant, component: path.component, environment: path.environment }
    }
}

/// Which services are wanted.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct StatusQuery {
    /// Those of this component only.
    component: Option<ComponentName>,
}

/// How a tenant's services stand on this host.
#[utoipa::path(get, operation_id = "services_status", path = "/tenants/{tenant}/services", tag = "services", params(("tenant" = TenantId, Path), StatusQuery), responses(
    (status = 200, description = "It is so", body = Page<ServiceStatus>), (status = "default", description = "It is refused", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn status(
    State(platform): State<Platform>,
    Asking(session): Asking,
    PathOf(tenant): PathOf<TenantId>,
    QueryOf(query): QueryOf<StatusQuery>,
) -> Result<Json<Page<ServiceStatus>>, Problem> {
    Ok(Json(Page { items: platform.status(&session, &tenant, query.component.as_ref())?, next: None }))
}

/// A service's deployments, newest first.
#[utoipa::path(get, operation_id = "services_deployments", path = "/tenants/{tenant}/components/{component}/environments/{environment}/deployments", tag = "services",
    params(ServicePath, PageQuery), responses(
    (status = 200, description = "It is so", body = NamedPage<Deployment>), (status = "default", description = "It is refused", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn deployments(
    State(platform): State<Platform>,
    Asking(session): Asking,
    PathOf(path): PathOf<ServicePath>,
    QueryOf(page): QueryOf<PageQuery>,
) -> Result<Json<NamedPage<Deployment>>, Problem> {
    let (id, limit) = (ServiceId::from(path), page.limit()?);
    let mut scope = platform.read(&session, Permission::Read, &id.tenant, &id).await?;
    let found = scope.deployments(&id, page.after.as_deref(), limit).await?;
    drop(scope);
    let page = Page::new(found, limit, |deployment| deployment.id.clone());
    Ok(Json(page.named(&platform, &id.tenant, |deployment| &deployment.created_by).await?))
}

/// Gives a version traffic: all of it at once, or with `rollout` step by step. `If-Match` with the service's revision refuses if somebody else was
/// faster.
#[utoipa::path(post, operation_id = "services_deploy", path = "/tenants/{tenant}/components/{component}/environments/{environment}/deployments", tag = "services",
    params(ServicePath), request_body = DeployRequest, responses(
    (status = 201, description = "It is made", body = Deployment), (status = "default", description = "It is refused", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn deploy(
    State(platform): State<Platform>,
    Asking(session): Asking,
    IfMatch(revision): IfMatch,
    PathOf(path): PathOf<ServicePath>,
    JsonOf(request): JsonOf<DeployRequest>,
) -> Result<(StatusCode, Json<Deployment>), Problem> {
    let request = DeployRequest { revision: request.revision.or(revision), ..request };
    Ok((StatusCode::CREATED, Json(platform.deploy(&session, &path.into(), &request).await?)))
}

/// Where to go back to.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
struct RollbackRequest {
    /// The version; none for the one that served before.
    to: Option<u32>,
}

/// Serves a version that served before.
#[utoipa::path(post, operation_id = "services_rollback", path = "/tenants/{tenant}/components/{component}/environments/{environment}/rollback", tag = "services",
    params(ServicePath), request_body = RollbackRequest, responses(
    (status = 201, description = "It is made", body = Deployment), (status = "default", description = "It is refused", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn rollback(
    State(platform): State<Platform>,
    Asking(session): Asking,
    PathOf(path): PathOf<ServicePath>,
    JsonOf(request): JsonOf<RollbackRequest>,
) -> Result<(StatusCode, Json<Deployment>), Problem> {
    Ok((StatusCode::CREATED, Json(platform.rollback(&session, &path.into(), request.to).await?)))
}

/// What to do with a rollout.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct SteerRequest {
    /// What.
    action: RolloutAction,
    /// Why, for the history.
    #[serde(default)]
    reason: String,
}

/// Steers the rollout that is under way.
#[utoipa::path(post, operation_id = "services_steer", path = "/tenants/{tenant}/components/{component}/environments/{environment}/rollout", tag = "services",
    params(ServicePath), request_body = SteerRequest, responses(
    (status = 204, description = "It is done"), (status = "default", description = "It is refused", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn steer(
    State(platform): State<Platform>,
    Asking(session): Asking,
    PathOf(path): PathOf<ServicePath>,
    JsonOf(request): JsonOf<SteerRequest>,
) -> Result<StatusCode, Problem> {
    platform.steer(&session, &path.into(), request.action, &request.reason).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Who gets a version of their own.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Flags {
    /// The first that fits a caller decides.
    rules: Vec<FlagRule>,
}

/// Gives callers versions of their own, before any rollout: these rules, and no others.
#[utoipa::path(put, operation_id = "services_set_flags", path = "/tenants/{tenant}/components/{component}/environments/{environment}/flags", tag = "services",
    params(ServicePath), request_body = Flags, responses(
    (status = 204, description = "It is done"), (status = "default", description = "It is refused", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn set_flags(
    State(platform): State<Platform>,
    Asking(session): Asking,
    IfMatch(revision): IfMatch,
    PathOf(path): PathOf<ServicePath>,
    JsonOf(flags): JsonOf<Flags>,
) -> Result<StatusCode, Problem> {
    platform.set_flags(&session, &path.into(), flags.rules, revision).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Stops a service: its requests get 503.
#[utoipa::path(post, operation_id = "services_stop", path = "/tenants/{tenant}/components/{component}/environments/{environment}/stop", tag = "services",
    params(ServicePath), responses(
    (status = 204, description = "It is done"), (status = "default", description = "It is refused", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn stop(
    State(platform): State<Platform>,
    Asking(session): Asking,
    PathOf(path): PathOf<ServicePath>,
) -> Result<StatusCode, Problem> {
    platform.stop(&session, &path.into()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Forgets what the host that is asked keeps of a service's answers.
#[utoipa::path(post, operation_id = "services_purge", path = "/tenants/{tenant}/components/{component}/environments/{environment}/purge", tag = "services",
    params(ServicePath), responses(
    (status = 204, description = "It is done"), (status = "default", description = "It is refused", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn purge(
    State(platform): State<Platform>,
    Asking(session): Asking,
    PathOf(path): PathOf<ServicePath>,
) -> Result<StatusCode, Problem> {
    platform.purge_answers(&session, &path.into()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Starts a service that was stopped, by hand or by its supervisor.
#[utoipa::path(post, operation_id = "services_start", path = "/tenants/{tenant}/components/{component}/environments/{environment}/start", tag = "services",
    params(ServicePath), responses(
    (status = 204, description = "It is done"), (status = "default", description = "It is refused", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn start(
    State(platform): State<Platform>,
    Asking(session): Asking,
    PathOf(path): PathOf<ServicePath>,
) -> Result<StatusCode, Problem> {
    platform.start(&session, &path.into()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The names of a service's secrets. Nobody can read their values.
#[utoipa::path(get, operation_id = "services_secrets", path = "/tenants/{tenant}/components/{component}/environments/{environment}/secrets", tag = "services",
    params(ServicePath), responses(
    (status = 200, description = "It is so", body = Page<String>), (status = "default", description = "It is refused", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn secrets(
    State(platform): State<Platform>,
    Asking(session): Asking,
    PathOf(path): PathOf<ServicePath>,
) -> Result<Json<Page<String>>, Problem> {
    Ok(Json(Page { items: platform.secret_names(&session, &path.into()).await?, next: None }))
}

/// The path of a secret.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
struct SecretPath {
    /// Whose.
    tenant: TenantId,
    /// Of which component.
    component: ComponentName,
    /// Where.
    environment: Environment,
    /// Letters, digits and underscores, as a variable of the environment.
    name: String,
}

impl SecretPath {
    fn split(self) -> (ServiceId, String) {
        (ServiceId { tenant: self.tenant, component: self.component, environment: self.environment }, self.name)
    }
}

/// A secret's value.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct SecretValue {
    /// The text.
    value: String,
}

/// Sets a secret. What serves gets it with its next load, which is at once.
#[utoipa::path(put, operation_id = "services_set_secret", path = "/tenants/{tenant}/components/{component}/environments/{environment}/secrets/{name}", tag = "services",
    params(SecretPath), request_body = SecretValue, responses(
    (status = 204, description = "It is done"), (status = "default", description = "It is refused", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn set_secret(
    State(platform): State<Platform>,
    Asking(session): Asking,
    PathOf(path): PathOf<SecretPath>,
    JsonOf(secret): JsonOf<SecretValue>,
) -> Result<StatusCode, Problem> {
    let (id, name) = path.split();
    platform.set_secret(&session, &id, &name, &secret.value).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Deletes a secret.
#[utoipa::path(delete, operation_id = "services_delete_secret", path = "/tenants/{tenant}/components/{component}/environments/{environment}/secrets/{name}", tag = "services",
    params(SecretPath), responses(
    (status = 204, description = "It is done"), (status = "default", description = "It is refused", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn delete_secret(
    State(platform): State<Platform>,
    Asking(session): Asking,
    PathOf(path): PathOf<SecretPath>,
) -> Result<StatusCode, Problem> {
    let (id, name) = path.split();
    platform.delete_secret(&session, &id, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What a service logs on this host from now on, as server-sent events: `line` events with a JSON object each, and
/// `lost` with how many were missed by a slow reader. It ends within a second of the token's end, its revocation or a
/// change of its role, with an event `end` that has the code and the reason.
#[utoipa::path(get, operation_id = "services_logs", path = "/tenants/{tenant}/components/{component}/environments/{environment}/logs", tag = "services",
    params(ServicePath), responses(
    (status = 200, description = "It is so", body = FollowedLine, content_type = "text/event-stream"), (status = "default", description = "It is refused", body = ProblemDocument, content_type = "application/problem+json"),
))]
async fn logs(
    State(platform): State<Platform>,
    Asking(session): Asking,
    PathOf(path): PathOf<ServicePath>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let id = ServiceId::from(path);
    let lines = platform.follow_log(&session, &id)?;
    let mut looks = tokio::time::interval(CONFIRM_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let events = futures::stream::unfold(Some((lines, looks)), move |state| {
        let (platform, session, id) = (platform.clone(), session.clone(), id.clone());
        async move {
            let (mut lines, mut looks) = state?;
            let event = loop {
                tokio::select! {
                    // A log that never rests must not keep its reader from being looked at.
                    biased;
                    _ = looks.tick() => {
                        if let Err(error) = platform.confirm(&session, Permission::Read, &id.tenant, &id).await {
                            return Some((Ok(end_event(&error)), None));
                        }
                    }
                    line = lines.recv() => break match line {
                        Ok(line) => Event::default().event("line").data(serde_json::to_string(&line).unwrap_or_default()),
                        Err(RecvError::Lagged(lost)) => Event::default().event("lost").data(lost.to_string()),
                        Err(RecvError::Closed) => return None,
                    },
                }
            };
            Some((Ok(event), Some((lines, looks))))
        }
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

/// How often it is looked whether who follows a log still may.
const CONFIRM_EVERY: Duration = Duration::from_millis(500);

/// The last event of a stream whose reader may read no more.
fn end_event(error: &Error) -> Event {
    let reason = serde_json::json!({ "code": error.code().as_str(), "detail": error.to_string() });
    Event::default().event("end").data(reason.to_string())
}
