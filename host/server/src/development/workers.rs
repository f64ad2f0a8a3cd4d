//! The service workers of the project, as the admin API has them. Their histories are not kept, so that only the last
//! state is shown and nothing is copied.

use super::Console;
use crate::admin::{ApiJson, ApiPath, ApiQuery, Page, PageQuery, Problem, bad_input};
use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use elias_api::{
    Code, Error, WorkerAnswer, WorkerCondition, WorkerFilter, WorkerHealth, WorkerMessage, WorkerState, WorkerStatus,
    WorkerStopRequest, WorkerTurn, of_path_segment,
};
use elias_local_workers::{RunningWorkers, StoreError};
use elias_platform::{call_local_worker, worker_refusal};
use elias_workers::WorkerKey;
use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;

pub(super) fn routes() -> Router<Console> {
    let all = "/tenants/{tenant}/components/{component}/environments/{environment}/workers";
    let of_one = |path: &str| format!("{all}/{{class}}/{{name}}{path}");
    Router::new()
        .route(all, get(list))
        .route(&of_one(""), get(show))
        .route(&of_one("/state"), get(state))
        .route(&of_one("/history"), get(history))
        .route(&of_one("/messages"), post(send))
        .route(&of_one("/start"), post(start))
        .route(&of_one("/stop"), post(stop))
        .route(&of_one("/restart"), post(restart))
}

/// The path of a worker; what is before it was looked at already.
#[derive(Debug, Deserialize)]
struct WorkerPath {
    class: String,
    name: String,
}

impl WorkerPath {
    fn key(&self) -> Result<WorkerKey, Problem> {
        let key = WorkerKey::new(of_path_segment(&self.class), of_path_segment(&self.name));
        match key.problem() {
            Some(problem) => Err(bad_input(&problem)),
            None => Ok(key),
        }
    }
}

/// The turn whose state is shown.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct StateQuery {
    at: Option<u64>,
}

async fn list(
    State(console): State<Console>,
    ApiQuery(filter): ApiQuery<WorkerFilter>,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<Page<WorkerStatus>>, Problem> {
    let limit = page.limit()?;
    let after = match page.after() {
        "" => None,
        after => {
            let key = serde_json::from_str::<(String, String)>(after);
            let (class, name) =
                key.map_err(|_| bad_input("`after` must be the value of `next` of the previous page"))?;
            Some(WorkerKey::new(class, name))
        }
    };
    let workers = workers(&console)?;
    let filter = elias_local_workers::WorkerFilter {
        class: filter.class,
        tag: filter.tag,
        health: filter.health.map(|health| match health {
            WorkerHealth::Unknown => elias_local_workers::WorkerHealth::Unknown,
            WorkerHealth::Healthy => elias_local_workers::WorkerHealth::Healthy,
            WorkerHealth::Unhealthy => elias_local_workers::WorkerHealth::Unhealthy,
        }),
    };
    let found = workers.list_matching(&filter, after, limit as usize).await.map_err(unreadable)?;
    let mut all = Vec::with_capacity(found.len());
    for one in found {
        all.push(shown(&workers, one).await?);
    }
    Ok(Json(Page::new(all, limit, |worker| serde_json::json!([worker.class, worker.name]).to_string())))
}

async fn show(
    State(console): State<Console>,
    ApiPath(path): ApiPath<WorkerPath>,
) -> Result<Json<WorkerStatus>, Problem> {
    let workers = workers(&console)?;
    Ok(Json(existing(&workers, &path.key()?).await?))
}

async fn state(
    State(console): State<Console>,
    ApiPath(path): ApiPath<WorkerPath>,
    ApiQuery(query): ApiQuery<StateQuery>,
) -> Result<Json<WorkerState>, Problem> {
    let (workers, key) = (workers(&console)?, path.key()?);
    let worker = existing(&workers, &key).await?;
    if query.at.is_some_and(|turn| turn != worker.turns) {
        return Err(Error::new(Code::NotFound, "a development server keeps the state of the last turn alone").into());
    }
    let state = workers.state(&key).await.map_err(worker_refusal)?;
    let state = elias_workers::value::to_json(&state);
    let state = state.map_err(|error| Error::new(Code::WorkerFailed, format!("the state cannot be read: {error}")))?;
    Ok(Json(WorkerState { turn: query.at, state }))
}

/// The commits that are kept: none but the last state.
async fn history(
    State(console): State<Console>,
    ApiPath(path): ApiPath<WorkerPath>,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<Page<WorkerTurn>>, Problem> {
    let running = workers(&console)?;
    existing(&running, &path.key()?).await?;
    Ok(Json(Page::of_ordered(Vec::new(), &page, |turn: &WorkerTurn| turn.turn.to_string())?))
}

async fn send(
    State(console): State<Console>,
    ApiPath(path): ApiPath<WorkerPath>,
    ApiJson(message): ApiJson<WorkerMessage>,
) -> Result<Json<WorkerAnswer>, Problem> {
    let (workers, key) = (workers(&console)?, path.key()?);
    Ok(Json(WorkerAnswer { answer: call_local_worker(&workers, key, message.split()?).await? }))
}

async fn start(
    State(console): State<Console>,
    ApiPath(path): ApiPath<WorkerPath>,
) -> Result<Json<WorkerStatus>, Problem> {
    let (workers, key) = (workers(&console)?, path.key()?);
    workers.start_worker(key.clone()).await.map_err(worker_refusal)?;
    Ok(Json(existing(&workers, &key).await?))
}

async fn stop(
    State(console): State<Console>,
    ApiPath(path): ApiPath<WorkerPath>,
    ApiJson(request): ApiJson<WorkerStopRequest>,
) -> Result<StatusCode, Problem> {
    let (workers, key) = (workers(&console)?, path.key()?);
    existing(&workers, &key).await?;
    workers.stop_worker(&key, reason(request)?).await.map_err(worker_refusal)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn restart(
    State(console): State<Console>,
    ApiPath(path): ApiPath<WorkerPath>,
    ApiJson(request): ApiJson<WorkerStopRequest>,
) -> Result<Json<WorkerStatus>, Problem> {
    let (workers, key) = (workers(&console)?, path.key()?);
    existing(&workers, &key).await?;
    workers.restart_worker(&key, reason(request)?).await.map_err(worker_refusal)?;
    Ok(Json(existing(&workers, &key).await?))
}

fn reason(request: WorkerStopRequest) -> Result<Value, Error> {
    request.check()?;
    Ok(Value::from(request.reason.unwrap_or_else(|| "stopped by developer".to_owned())))
}

fn workers(console: &Console) -> Result<Arc<RunningWorkers>, Error> {
    let workers = console.0.source.workers().cloned();
    workers.ok_or_else(|| Error::new(Code::WorkersUnavailable, "this server runs no workers"))
}

async fn existing(workers: &RunningWorkers, key: &WorkerKey) -> Result<WorkerStatus, Error> {
    let found = workers.status(key).await.map_err(unreadable)?;
    let found = found.ok_or_else(|| Error::not_found(format_args!("the worker {key}")))?;
    shown(workers, found).await
}

/// A worker as the API has it.
async fn shown(workers: &RunningWorkers, here: elias_local_workers::WorkerStatus) -> Result<WorkerStatus, Error> {
    use elias_local_workers::WorkerCondition as Here;
    use elias_local_workers::WorkerHealth as Health;
    let stored = workers.stored(&here.key).await.map_err(unreadable)?;
    Ok(WorkerStatus {
        class: here.key.class,
        name: here.key.name,
        condition: match here.condition {
            Here::Asleep => WorkerCondition::Asleep,
            Here::Idle => WorkerCondition::Idle,
            Here::Running => WorkerCondition::Running,
            Here::Waiting => WorkerCondition::Waiting,
        },
        turns: here.turns,
        messages: here.messages as u64,
        dropped: here.dropped,
        next_due: here.next_due,
        heap_bytes: stored.as_ref().map_or(0, |stored| stored.heap_bytes),
        version: None,
        kept_from: stored.map(|stored| stored.turns),
        updated_at: None,
        upgrade_error: here.upgrade_error,
        rolled_back: None,
        health: match here.health {
            Health::Unknown => WorkerHealth::Unknown,
            Health::Healthy => WorkerHealth::Healthy,
            Health::Unhealthy => WorkerHealth::Unhealthy,
        },
        health_error: here.health_error,
        tags: here.tags,
        given_up: here.given_up,
    })
}

fn unreadable(error: StoreError) -> Error {
    Error::new(Code::WorkersUnavailable, error.to_string())
}
