//! Events, subscriptions to them, and dead letters: deliveries that failed for good.

use super::etag::with_etag;
use super::extract::{
    ApiEvents, ApiJson, ApiPath, ApiQuery, Authenticated, IfMatch, Page, PageQuery, Traceparent, bad_input,
};
use super::jobs::{change_selected, page_of};
use super::problem::{PROBLEM, Problem, ProblemDocument, refused};
use axum::Json;
use axum::extract::State;
use axum::response::Response;
use elias_api::{
    ChangedJobs, EventRecord, JobFilter, JobRecord, JobSelection, JobState, JobTrigger, PublishedEvents, ReplayRequest,
    ReplaySelection, ReplayedEvents, SubscriptionRecord, TriggerFilter,
};
use elias_names::{ComponentName, Environment, ServiceId, TenantId};
use elias_platform::{Platform, ReplayFrom};
use http::StatusCode;
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Platform> {
    OpenApiRouter::new()
        .routes(routes!(list, publish))
        .routes(routes!(subscriptions))
        .routes(routes!(subscription))
        .routes(routes!(pause))
        .routes(routes!(resume))
        .routes(routes!(replay))
        .routes(routes!(replay_selected))
        .routes(routes!(dead_letters))
        .routes(routes!(retry_dead_letters))
        .routes(routes!(discard_dead_letters))
}

/// List the events of a tenant, oldest first.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/events",
    operation_id = "events_list",
    tag = "events",
    params(("tenant" = TenantId, Path, description = "The name of the tenant."), PageQuery),
    responses(
        (status = 200, description = "A page of events; `after` is a position.", body = Page<EventRecord>),
        (status = "default", description = refused!(), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn list(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(tenant): ApiPath<TenantId>,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<Page<EventRecord>>, Problem> {
    let limit = page.limit()?;
    let after = page.after.as_deref().map_or(Ok(0), str::parse);
    let after: u64 = after.map_err(|_| bad_input("`after` must be the position of an event"))?;
    let events = platform.events(&session, &tenant, after, limit).await?;
    Ok(Json(Page::new(events, limit, |event| event.position.to_string())))
}

/// Publish events: one, or a batch of at most 1,000.
///
/// The body is by the HTTP protocol binding of CloudEvents 1.0: structured (`application/cloudevents+json`), batched
/// (`application/cloudevents-batch+json`) or binary (attributes in `ce-` headers, the data as the body). An event with
/// the source and id of an earlier one is not published again. The response comes when no event can be lost any more.
#[utoipa::path(
    post,
    path = "/tenants/{tenant}/events",
    operation_id = "events_publish",
    tag = "events",
    params(("tenant" = TenantId, Path, description = "The name of the tenant.")),
    request_body(content_type = "application/cloudevents+json", description = "An event, or a batch of events."),
    responses(
        (status = 202, description = "The events were published.", body = PublishedEvents),
        (
            status = "default",
            description = refused!(413 "too-large", 429 "quota-exceeded"),
            body = ProblemDocument,
            content_type = PROBLEM,
        ),
    ),
)]
async fn publish(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(tenant): ApiPath<TenantId>,
    Traceparent(cause): Traceparent,
    ApiEvents(events): ApiEvents,
) -> Result<(StatusCode, Json<PublishedEvents>), Problem> {
    let ids = platform.publish_events(&session, &tenant, events, cause).await?;
    Ok((StatusCode::ACCEPTED, Json(PublishedEvents { ids })))
}

/// The path of a subscription.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
struct SubscriptionPath {
    /// The name of the tenant.
    tenant: TenantId,
    /// The name of the component.
    component: ComponentName,
    /// The environment.
    environment: Environment,
    /// The name of the subscription.
    subscription: String,
}

impl SubscriptionPath {
    fn split(self) -> (ServiceId, String) {
        let Self { tenant, component, environment, subscription } = self;
        (ServiceId { tenant, component, environment }, subscription)
    }
}

/// List the subscriptions of a tenant, by component, environment and name.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/subscriptions",
    operation_id = "subscriptions_list",
    tag = "subscriptions",
    params(("tenant" = TenantId, Path, description = "The name of the tenant."), TriggerFilter, PageQuery),
    responses(
        (status = 200, description = "A page of subscriptions.", body = Page<SubscriptionRecord>),
        (status = "default", description = refused!(), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn subscriptions(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(tenant): ApiPath<TenantId>,
    ApiQuery(filter): ApiQuery<TriggerFilter>,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<Page<SubscriptionRecord>>, Problem> {
    let mut found = platform.subscriptions(&session, &tenant).await?;
    found.retain(|subscription| filter.matches(&subscription.component, subscription.environment));
    Ok(Json(Page::of_list(found, &page, key)?))
}

/// The place of a subscription in a list.
fn key(subscription: &SubscriptionRecord) -> String {
    format!("{}/{}/{}", subscription.component, subscription.environment, subscription.name)
}

/// Show a subscription.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/components/{component}/environments/{environment}/subscriptions/{subscription}",
    operation_id = "subscriptions_show",
    tag = "subscriptions",
    params(SubscriptionPath),
    responses(
        (status = 200, description = "The subscription.", body = SubscriptionRecord),
        (status = "default", description = refused!(404 "not-found"), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn subscription(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(path): ApiPath<SubscriptionPath>,
) -> Result<Response, Problem> {
    let (service, name) = path.split();
    let found = platform.subscription(&session, &service, &name).await?;
    Ok(with_etag(found.revision, found))
}

/// Pause a subscription.
///
/// No event is matched against it until it is resumed; deliveries that exist go on. `If-Match` with the revision
/// refuses the change if the subscription was changed meanwhile.
#[utoipa::path(
    post,
    path = "/tenants/{tenant}/components/{component}/environments/{environment}/subscriptions/{subscription}/pause",
    operation_id = "subscriptions_pause",
    tag = "subscriptions",
    params(SubscriptionPath),
    responses(
        (status = 200, description = "The paused subscription.", body = SubscriptionRecord),
        (
            status = "default",
            description = refused!(404 "not-found", 412 "stale"),
            body = ProblemDocument,
            content_type = PROBLEM,
        ),
    ),
)]
async fn pause(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    IfMatch(revision): IfMatch,
    ApiPath(path): ApiPath<SubscriptionPath>,
) -> Result<Response, Problem> {
    let (service, name) = path.split();
    let paused = platform.set_subscription_paused(&session, &service, &name, true, revision).await?;
    Ok(with_etag(paused.revision, paused))
}

/// Resume a subscription, with the first event that it has not seen.
///
/// `If-Match` with the revision refuses the change if the subscription was changed meanwhile.
#[utoipa::path(
    post,
    path = "/tenants/{tenant}/components/{component}/environments/{environment}/subscriptions/{subscription}/resume",
    operation_id = "subscriptions_resume",
    tag = "subscriptions",
    params(SubscriptionPath),
    responses(
        (status = 200, description = "The resumed subscription.", body = SubscriptionRecord),
        (
            status = "default",
            description = refused!(404 "not-found", 412 "stale"),
            body = ProblemDocument,
            content_type = PROBLEM,
        ),
    ),
)]
async fn resume(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    IfMatch(revision): IfMatch,
    ApiPath(path): ApiPath<SubscriptionPath>,
) -> Result<Response, Problem> {
    let (service, name) = path.split();
    let resumed = platform.set_subscription_paused(&session, &service, &name, false, revision).await?;
    Ok(with_etag(resumed.revision, resumed))
}

/// Replay events: match a subscription against them again.
///
/// Events that were delivered are delivered again, so the handler must allow for that. `If-Match` with the revision
/// refuses the replay if the subscription was changed meanwhile.
#[utoipa::path(
    post,
    path = "/tenants/{tenant}/components/{component}/environments/{environment}/subscriptions/{subscription}/replay",
    operation_id = "subscriptions_replay",
    tag = "subscriptions",
    params(SubscriptionPath),
    request_body = ReplayRequest,
    responses(
        (status = 200, description = "The subscription, with its new cursor.", body = SubscriptionRecord),
        (
            status = "default",
            description = refused!(404 "not-found", 412 "stale"),
            body = ProblemDocument,
            content_type = PROBLEM,
        ),
    ),
)]
async fn replay(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    IfMatch(revision): IfMatch,
    ApiPath(path): ApiPath<SubscriptionPath>,
    ApiJson(request): ApiJson<ReplayRequest>,
) -> Result<Response, Problem> {
    let from = match (request.after, request.since) {
        (Some(position), None) => ReplayFrom::Position(position),
        (None, Some(time)) => ReplayFrom::Time(time),
        _ => return Err(bad_input("a replay must begin either `after` a position or `since` a time")),
    };
    let (service, name) = path.split();
    let replayed = platform.replay(&session, &service, &name, from, revision).await?;
    Ok(with_etag(replayed.revision, replayed))
}

/// Deliver a selection of the log's events to a subscription once more.
///
/// The subscription's cursor and revision stay. The deliveries are jobs with the trigger `event`, whose `replayed_by`
/// is the name of who asks. At most `limit` are enqueued and 10,000 events looked at, for some ten seconds and until
/// the deliveries have 16 MiB; the next request goes on with `next` as its `after`.
#[utoipa::path(
    post,
    path = "/tenants/{tenant}/components/{component}/environments/{environment}/subscriptions/{subscription}/events",
    operation_id = "subscriptions_replay_selected",
    tag = "subscriptions",
    params(SubscriptionPath),
    request_body = ReplaySelection,
    responses(
        (status = 202, description = "The deliveries were enqueued.", body = ReplayedEvents),
        (
            status = "default",
            description = refused!(404 "not-found", 429 "quota-exceeded"),
            body = ProblemDocument,
            content_type = PROBLEM,
        ),
    ),
)]
async fn replay_selected(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(path): ApiPath<SubscriptionPath>,
    ApiJson(selection): ApiJson<ReplaySelection>,
) -> Result<(StatusCode, Json<ReplayedEvents>), Problem> {
    let (service, name) = path.split();
    let replayed = platform.replay_selected(&session, &service, &name, &selection).await?;
    Ok((StatusCode::ACCEPTED, Json(replayed)))
}

/// List dead letters, newest first: deliveries of events that failed and are not retried.
///
/// They are jobs with the trigger `event` or `webhook` and the state `dead`, whose `name` is the subscription or the
/// webhook. They are shown and retried singly as jobs are.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/dead-letters",
    operation_id = "dead_letters_list",
    tag = "events",
    params(("tenant" = TenantId, Path, description = "The name of the tenant."), TriggerFilter, LetterQuery, PageQuery),
    responses(
        (status = 200, description = "A page of dead letters.", body = Page<JobRecord>),
        (status = "default", description = refused!(), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn dead_letters(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(tenant): ApiPath<TenantId>,
    ApiQuery(filter): ApiQuery<TriggerFilter>,
    ApiQuery(letters): ApiQuery<LetterQuery>,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<Page<JobRecord>>, Problem> {
    let TriggerFilter { component, environment } = filter;
    let (name, state) = (letters.subscription, Some(JobState::Dead));
    let filter = JobFilter { component, environment, name, state, deliveries: true, ..JobFilter::default() };
    Ok(Json(page_of(&platform, &session, &tenant, filter, page).await?))
}

/// A filter for dead letters.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct LetterQuery {
    /// Only those of subscriptions and webhooks with this name; absent for all.
    subscription: Option<String>,
}

change_selected!(
    /// Retry the dead letters of a selection.
    ///
    /// `trigger` in the selection is `event`, `webhook`, or absent for both.
    retry_dead_letters,
    "/tenants/{tenant}/dead-letters/retry",
    "dead_letters_retry_selected",
    "events",
    dead_letters_of,
    retry_jobs,
    "The number of deliveries that are tried again."
);

change_selected!(
    /// Discard the dead letters of a selection.
    ///
    /// `trigger` in the selection is `event`, `webhook` or absent. They are deleted and cannot be retried any more; the
    /// events stay in the log.
    discard_dead_letters,
    "/tenants/{tenant}/dead-letters/discard",
    "dead_letters_discard_selected",
    "events",
    dead_letters_of,
    discard_jobs,
    "The number of dead letters that were deleted."
);

/// The filter for the dead letters of a selection.
fn dead_letters_of(selection: JobSelection) -> Result<JobFilter, Problem> {
    if selection.trigger.is_some_and(|trigger| !matches!(trigger, JobTrigger::Event | JobTrigger::Webhook)) {
        return Err(bad_input("the trigger of a dead letter must be `event` or `webhook`"));
    }
    Ok(JobFilter { deliveries: true, ..selection.filter(Some(JobState::Dead)) })
}
