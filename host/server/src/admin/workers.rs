//! Service workers: listed, shown, sent messages, started, stopped, restarted, copied, and their history.

use super::extract::{ApiJson, ApiPath, ApiQuery, Authenticated, Page, PageQuery, Traceparent, bad_input};
use super::problem::{PROBLEM, Problem, ProblemDocument, refused};
use super::services::ServicePath;
use axum::Json;
use axum::extract::State;
use elias_api::{
    WorkerAnswer, WorkerFilter, WorkerForkRequest, WorkerId, WorkerMessage, WorkerState, WorkerStatus,
    WorkerStopRequest, WorkerTurn, of_path_segment,
};
use elias_names::{ComponentName, Environment, ServiceId, TenantId};
use elias_platform::Platform;
use elias_workers::WorkerKey;
use http::StatusCode;
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Platform> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show))
        .routes(routes!(state))
        .routes(routes!(history))
        .routes(routes!(send))
        .routes(routes!(start))
        .routes(routes!(stop))
        .routes(routes!(restart))
        .routes(routes!(fork))
}

/// The path of a service worker.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
struct WorkerPath {
    /// The name of the tenant.
    tenant: TenantId,
    /// The name of the component.
    component: ComponentName,
    /// The environment.
    environment: Environment,
    /// The class, percent-encoded. `.` and `..`, which no path can have, are written as `~.` and `~..`, and `~.` as
    /// `~~.`.
    class: String,
    /// The name, likewise: any text of 1 to 256 characters.
    name: String,
}

impl WorkerPath {
    fn split(self) -> (ServiceId, WorkerKey) {
        let Self { tenant, component, environment, class, name } = self;
        let key = WorkerKey::new(of_path_segment(&class), of_path_segment(&name));
        (ServiceId { tenant, component, environment }, key)
    }
}

/// The place of a worker in a list.
fn cursor(worker: &WorkerStatus) -> String {
    serde_json::json!([worker.class, worker.name]).to_string()
}

/// The worker at this place.
fn at_cursor(cursor: &str) -> Result<WorkerKey, Problem> {
    let (class, name): (String, String) = serde_json::from_str(cursor)
        .map_err(|_| bad_input("`after` must be the value of `next` of the previous page"))?;
    let key = WorkerKey::new(class, name);
    match key.problem() {
        Some(problem) => Err(bad_input(&format!("`after`: {problem}"))),
        None => Ok(key),
    }
}

/// List the service workers of a service, by class and name.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/components/{component}/environments/{environment}/workers",
    operation_id = "workers_list",
    tag = "workers",
    params(ServicePath, WorkerFilter, PageQuery),
    responses(
        (status = 200, description = "A page of workers.", body = Page<WorkerStatus>),
        (status = "default", description = refused!(), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn list(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(path): ApiPath<ServicePath>,
    ApiQuery(filter): ApiQuery<WorkerFilter>,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<Page<WorkerStatus>>, Problem> {
    let limit = page.limit()?;
    let after = page.after.as_deref().map(at_cursor).transpose()?;
    let found = platform.list_workers(&session, &path.into(), &filter, after, limit).await?;
    Ok(Json(Page::new(found, limit, cursor)))
}

/// Show a service worker.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/components/{component}/environments/{environment}/workers/{class}/{name}",
    operation_id = "workers_show",
    tag = "workers",
    params(WorkerPath),
    responses(
        (status = 200, description = "The worker.", body = WorkerStatus),
        (status = "default", description = refused!(404 "not-found"), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn show(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(path): ApiPath<WorkerPath>,
) -> Result<Json<WorkerStatus>, Problem> {
    let (service, key) = path.split();
    Ok(Json(platform.worker(&session, &service, &key).await?))
}

/// The turn whose state is shown.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct StateQuery {
    /// The number of a committed turn; absent for the last one.
    at: Option<u64>,
}

/// Show the state of a service worker, the last one or that of an earlier turn.
///
/// The worker is not changed. Earlier states can be shown as long as their turns are kept.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/components/{component}/environments/{environment}/workers/{class}/{name}/state",
    operation_id = "workers_state",
    tag = "workers",
    params(WorkerPath, StateQuery),
    responses(
        (status = 200, description = "The state.", body = WorkerState),
        (
            status = "default",
            description = refused!(404 "not-found", 409 "wrong-state", 503 "worker-failed"),
            body = ProblemDocument,
            content_type = PROBLEM,
        ),
    ),
)]
async fn state(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(path): ApiPath<WorkerPath>,
    ApiQuery(query): ApiQuery<StateQuery>,
) -> Result<Json<WorkerState>, Problem> {
    let (service, key) = path.split();
    let state = platform.worker_state(&session, &service, &key, query.at).await?;
    Ok(Json(WorkerState { turn: query.at, state }))
}

/// List the commits of a service worker that are kept, newest first.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/components/{component}/environments/{environment}/workers/{class}/{name}/history",
    operation_id = "workers_history",
    tag = "workers",
    params(WorkerPath, PageQuery),
    responses(
        (status = 200, description = "A page of commits; `after` is the number of a turn.", body = Page<WorkerTurn>),
        (status = "default", description = refused!(404 "not-found"), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn history(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(path): ApiPath<WorkerPath>,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<Page<WorkerTurn>>, Problem> {
    let limit = page.limit()?;
    let before = page.after.as_deref().map(str::parse::<u64>).transpose();
    let before = before.map_err(|_| bad_input("`after` must be the number of a turn"))?;
    let (service, key) = path.split();
    let found = platform.worker_history(&session, &service, &key, before, limit).await?;
    Ok(Json(Page::new(found, limit, |turn| turn.turn.to_string())))
}

/// Send a message to a service worker, or call one of its methods.
///
/// A worker that does not exist is started. The response comes when the turn is committed, and is waited for at most
/// two minutes; the worker handles the message all the same.
#[utoipa::path(
    post,
    path = "/tenants/{tenant}/components/{component}/environments/{environment}/workers/{class}/{name}/messages",
    operation_id = "workers_send",
    tag = "workers",
    params(WorkerPath),
    request_body = WorkerMessage,
    responses(
        (status = 200, description = "The answer of the worker.", body = WorkerAnswer),
        (
            status = "default",
            description = refused!(
                404 "not-found", 413 "too-large", 422 "worker-exception", 429 "quota-exceeded", 503 "worker-failed",
                503 "mailbox-full", 503 "workers-unavailable", 504 "answer-timeout",
            ),
            body = ProblemDocument,
            content_type = PROBLEM,
        ),
    ),
)]
async fn send(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(path): ApiPath<WorkerPath>,
    Traceparent(cause): Traceparent,
    ApiJson(message): ApiJson<WorkerMessage>,
) -> Result<Json<WorkerAnswer>, Problem> {
    let (service, key) = path.split();
    let answer = platform.send_to_worker(&session, &service, key, message, cause).await?;
    Ok(Json(WorkerAnswer { answer }))
}

/// Start a service worker.
///
/// One that exists is left as it is.
#[utoipa::path(
    post,
    path = "/tenants/{tenant}/components/{component}/environments/{environment}/workers/{class}/{name}/start",
    operation_id = "workers_start",
    tag = "workers",
    params(WorkerPath),
    responses(
        (status = 200, description = "The worker runs.", body = WorkerStatus),
        (
            status = "default",
            description = refused!(
                404 "not-found", 422 "worker-exception", 429 "quota-exceeded", 503 "worker-failed", 503 "mailbox-full",
                503 "workers-unavailable",
            ),
            body = ProblemDocument,
            content_type = PROBLEM,
        ),
    ),
)]
async fn start(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(path): ApiPath<WorkerPath>,
) -> Result<Json<WorkerStatus>, Problem> {
    let (service, key) = path.split();
    Ok(Json(platform.start_worker(&session, &service, &key).await?))
}

/// Stop a service worker: its `onStop` is called and what it holds is forgotten.
///
/// A handler that waits is undone, and messages that wait fail. The next message begins a new worker.
#[utoipa::path(
    post,
    path = "/tenants/{tenant}/components/{component}/environments/{environment}/workers/{class}/{name}/stop",
    operation_id = "workers_stop",
    tag = "workers",
    params(WorkerPath),
    request_body = WorkerStopRequest,
    responses(
        (status = 204, description = "The worker was stopped."),
        (
            status = "default",
            description = refused!(404 "not-found", 503 "worker-failed", 503 "workers-unavailable"),
            body = ProblemDocument,
            content_type = PROBLEM,
        ),
    ),
)]
async fn stop(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(path): ApiPath<WorkerPath>,
    ApiJson(request): ApiJson<WorkerStopRequest>,
) -> Result<StatusCode, Problem> {
    let (service, key) = path.split();
    platform.stop_worker(&session, &service, &key, request).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Stop a service worker and start it anew, without what it held.
#[utoipa::path(
    post,
    path = "/tenants/{tenant}/components/{component}/environments/{environment}/workers/{class}/{name}/restart",
    operation_id = "workers_restart",
    tag = "workers",
    params(WorkerPath),
    request_body = WorkerStopRequest,
    responses(
        (status = 200, description = "The new worker runs.", body = WorkerStatus),
        (
            status = "default",
            description = refused!(
                404 "not-found", 422 "worker-exception", 503 "worker-failed", 503 "workers-unavailable",
            ),
            body = ProblemDocument,
            content_type = PROBLEM,
        ),
    ),
)]
async fn restart(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(path): ApiPath<WorkerPath>,
    ApiJson(request): ApiJson<WorkerStopRequest>,
) -> Result<Json<WorkerStatus>, Problem> {
    let (service, key) = path.split();
    Ok(Json(platform.restart_worker(&session, &service, &key, request).await?))
}

/// Copy a service worker as it was after a turn, under another name.
///
/// The copy runs beside it.
#[utoipa::path(
    post,
    path = "/tenants/{tenant}/components/{component}/environments/{environment}/workers/{class}/{name}/fork",
    operation_id = "workers_fork",
    tag = "workers",
    params(WorkerPath),
    request_body = WorkerForkRequest,
    responses(
        (status = 201, description = "The copy was made.", body = WorkerId),
        (
            status = "default",
            description = refused!(
                404 "not-found", 409 "already-there", 409 "wrong-state", 429 "quota-exceeded",
            ),
            body = ProblemDocument,
            content_type = PROBLEM,
        ),
    ),
)]
async fn fork(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(path): ApiPath<WorkerPath>,
    ApiJson(request): ApiJson<WorkerForkRequest>,
) -> Result<(StatusCode, Json<WorkerId>), Problem> {
    let (service, key) = path.split();
    Ok((StatusCode::CREATED, Json(platform.fork_worker(&session, &service, &key, &request).await?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_goes_on_behind_any_name() {
        for (class, name) in [("Cart", "a/b"), ("a\"b", "\0"), ("Cart", "..")] {
            let text = serde_json::json!([class, name]).to_string();
            assert_eq!(at_cursor(&text).expect("a place"), WorkerKey::new(class, name));
        }
        for wrong in ["", "Cart/a", "[]", "[1,2]", "[\"Cart\",\"\"]", "[\"Cart\",\"a\",\"b\"]"] {
            assert!(at_cursor(wrong).is_err(), "{wrong}");
        }
    }
}
