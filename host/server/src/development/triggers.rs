//! Schedules, jobs, events and subscriptions of the project, the database and the log, as the admin API has them.

use super::Console;
use crate::admin::{ApiEvents, ApiJson, ApiPath, ApiQuery, Page, PageQuery, Problem, Resumption, bad_input, follow};
use crate::source::JobChange;
use axum::extract::State;
use axum::response::sse::{Event, Sse};
use axum::routing::{get, post};
use axum::{Json, Router};
use elias_api::{
    DatabaseQuery, DatabaseResult, EnqueueRequest, EnqueuedJob, Error, EventRecord, FollowedLine, JobFilter, JobRecord,
    JobState, JobTrigger, PublishedEvents, ScheduleDetails, ScheduleRecord, StepRecord, SubscriptionRecord,
};
use futures::Stream;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;

const SERVICE: &str = "/tenants/{tenant}/components/{component}/environments/{environment}";

pub(super) fn routes() -> Router<Console> {
    let of_service = |path: &str| format!("{SERVICE}{path}");
    Router::new()
        .route("/tenants/{tenant}/schedules", get(schedules))
        .route(&of_service("/schedules/{name}"), get(schedule))
        .route(&of_service("/schedules/{name}/run"), post(run_schedule))
        .route("/tenants/{tenant}/jobs", get(jobs))
        .route("/tenants/{tenant}/dead-letters", get(dead_letters))
        .route("/tenants/{tenant}/jobs/{name}", get(job))
        .route("/tenants/{tenant}/jobs/{name}/steps", get(steps))
        .route("/tenants/{tenant}/jobs/{name}/cancel", post(cancel))
        .route("/tenants/{tenant}/jobs/{name}/retry", post(retry))
        .route("/tenants/{tenant}/jobs/{name}/discard", post(discard))
        .route(&of_service("/jobs"), post(enqueue))
        .route("/tenants/{tenant}/events", get(events).post(publish))
        .route("/tenants/{tenant}/subscriptions", get(subscriptions))
        .route(&of_service("/database/query"), post(query))
        .route(&of_service("/logs"), get(logs))
}

/// The last part of a path that names something; what is before it was looked at already.
#[derive(Debug, Deserialize)]
struct Named {
    name: String,
}

async fn schedules(
    State(console): State<Console>,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<Page<ScheduleRecord>>, Problem> {
    let all = console.0.project.schedules();
    Ok(Json(Page::of_ordered(all, &page, |schedule: &ScheduleRecord| schedule.name.clone())?))
}

async fn schedule(
    State(console): State<Console>,
    ApiPath(Named { name }): ApiPath<Named>,
) -> Result<Json<ScheduleDetails>, Problem> {
    Ok(Json(console.0.project.schedule(&name)?))
}

async fn run_schedule(
    State(console): State<Console>,
    ApiPath(Named { name }): ApiPath<Named>,
) -> Result<(StatusCode, Json<EnqueuedJob>), Problem> {
    let id = console.0.project.run_schedule(&name)?;
    Ok((StatusCode::ACCEPTED, Json(EnqueuedJob { id, existing: false })))
}

/// The page of the jobs that a filter selects, the newest first.
fn page_of(all: Vec<JobRecord>, filter: &JobFilter, page: &PageQuery) -> Result<Json<Page<JobRecord>>, Problem> {
    let mut found = all;
    if let Some(before) = &filter.before {
        let at = found.iter().position(|job| job.id == *before).map_or(found.len(), |at| at + 1);
        found.drain(..at);
    }
    found.retain(|job| {
        let is_delivery = matches!(job.queue.trigger, JobTrigger::Event | JobTrigger::Webhook);
        filter.component.as_ref().is_none_or(|component| *component == job.queue.component)
            && filter.environment.is_none_or(|environment| environment == job.queue.environment)
            && filter.trigger.is_none_or(|trigger| trigger == job.queue.trigger)
            && filter.name.as_ref().is_none_or(|name| *name == job.queue.name)
            && filter.state.is_none_or(|state| state == job.state)
            && (is_delivery || !filter.deliveries)
    });
    Ok(Json(Page::of_ordered(found, page, |job: &JobRecord| job.id.clone())?))
}

async fn jobs(
    State(console): State<Console>,
    ApiQuery(filter): ApiQuery<JobFilter>,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<Page<JobRecord>>, Problem> {
    page_of(console.0.project.jobs(), &filter, &page)
}

async fn dead_letters(
    State(console): State<Console>,
    ApiQuery(filter): ApiQuery<JobFilter>,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<Page<JobRecord>>, Problem> {
    let filter = JobFilter { deliveries: true, state: Some(JobState::Dead), ..filter };
    page_of(console.0.project.jobs(), &filter, &page)
}

async fn job(
    State(console): State<Console>,
    ApiPath(Named { name: id }): ApiPath<Named>,
) -> Result<Json<JobRecord>, Problem> {
    let found = console.0.project.jobs().into_iter().find(|job| job.id == id);
    Ok(Json(found.ok_or_else(|| Error::not_found(format_args!("the job `{}`", id.escape_debug())))?))
}

/// The steps of a job, which are not kept in memory for anybody but the job itself: none.
async fn steps(ApiQuery(page): ApiQuery<PageQuery>) -> Result<Json<Page<StepRecord>>, Problem> {
    Ok(Json(Page::of_ordered(Vec::new(), &page, |step: &StepRecord| step.position.to_string())?))
}

async fn cancel(State(console): State<Console>, ApiPath(job): ApiPath<Named>) -> Result<StatusCode, Problem> {
    change(&console, &job, JobChange::Cancel)
}

async fn retry(State(console): State<Console>, ApiPath(job): ApiPath<Named>) -> Result<StatusCode, Problem> {
    change(&console, &job, JobChange::Retry)
}

async fn discard(State(console): State<Console>, ApiPath(job): ApiPath<Named>) -> Result<StatusCode, Problem> {
    change(&console, &job, JobChange::Discard)
}

fn change(console: &Console, job: &Named, change: JobChange) -> Result<StatusCode, Problem> {
    console.0.project.change_job(&job.name, change)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn enqueue(
    State(console): State<Console>,
    ApiJson(request): ApiJson<EnqueueRequest>,
) -> Result<(StatusCode, Json<EnqueuedJob>), Problem> {
    Ok((StatusCode::ACCEPTED, Json(console.0.project.enqueue_job(request)?)))
}

async fn events(
    State(console): State<Console>,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<Page<EventRecord>>, Problem> {
    let limit = page.limit()?;
    let after = if page.after().is_empty() { Ok(0) } else { page.after().parse::<u64>() };
    let after = after.map_err(|_| bad_input("`after` must be the position of an event"))?;
    let mut found = console.0.project.events();
    found.retain(|event| event.position > after);
    found.truncate(limit as usize);
    Ok(Json(Page::new(found, limit, |event| event.position.to_string())))
}

async fn publish(
    State(console): State<Console>,
    ApiEvents(events): ApiEvents,
) -> Result<(StatusCode, Json<PublishedEvents>), Problem> {
    let ids = events.into_iter().map(|event| console.0.project.publish(event)).collect::<Result<_, _>>()?;
    Ok((StatusCode::ACCEPTED, Json(PublishedEvents { ids })))
}

async fn subscriptions(
    State(console): State<Console>,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<Page<SubscriptionRecord>>, Problem> {
    let all = console.0.project.subscriptions();
    Ok(Json(Page::of_ordered(all, &page, |subscription: &SubscriptionRecord| subscription.name.clone())?))
}

async fn query(
    State(console): State<Console>,
    ApiJson(query): ApiJson<DatabaseQuery>,
) -> Result<Json<DatabaseResult>, Problem> {
    Ok(Json(console.0.project.query(query).await?))
}

/// The log as it is written, in the form of the admin API. A client that is new gets what is kept of it first.
async fn logs(
    State(console): State<Console>,
    headers: HeaderMap,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let resumption = Resumption::of_request(&headers, &console.0.run);
    let follower = console.0.project.follow_log(resumption.position());
    let event = |line: Arc<FollowedLine>| {
        let text = serde_json::to_string(&*line).unwrap_or_default();
        ready(Some(Event::default().event("line").data(text)))
    };
    // Nobody loses the permission to read it.
    follow(console.0.run.clone(), follower, resumption, event, || ready(Ok(())))
}
