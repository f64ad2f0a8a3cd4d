//! Schedules: listed, shown, paused, resumed and run.

use super::etag::with_etag;
use super::extract::{ApiPath, ApiQuery, Authenticated, IfMatch, Page, PageQuery};
use super::problem::{PROBLEM, Problem, ProblemDocument, refused};
use axum::Json;
use axum::extract::State;
use axum::response::Response;
use elias_api::{EnqueuedJob, ScheduleDetails, ScheduleRecord, TriggerFilter};
use elias_names::{ComponentName, Environment, ServiceId, TenantId};
use elias_platform::Platform;
use http::StatusCode;
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Platform> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show))
        .routes(routes!(pause))
        .routes(routes!(resume))
        .routes(routes!(run))
}

/// The path of a schedule.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
struct SchedulePath {
    /// The name of the tenant.
    tenant: TenantId,
    /// The name of the component.
    component: ComponentName,
    /// The environment.
    environment: Environment,
    /// The name of the schedule.
    schedule: String,
}

impl SchedulePath {
    fn split(self) -> (ServiceId, String) {
        (ServiceId { tenant: self.tenant, component: self.component, environment: self.environment }, self.schedule)
    }
}

/// List the schedules of a tenant, by component, environment and name.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/schedules",
    operation_id = "schedules_list",
    tag = "schedules",
    params(("tenant" = TenantId, Path, description = "The name of the tenant."), TriggerFilter, PageQuery),
    responses(
        (status = 200, description = "A page of schedules.", body = Page<ScheduleRecord>),
        (status = "default", description = refused!(), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn list(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(tenant): ApiPath<TenantId>,
    ApiQuery(filter): ApiQuery<TriggerFilter>,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<Page<ScheduleRecord>>, Problem> {
    let mut schedules = platform.schedules(&session, &tenant).await?;
    schedules.retain(|schedule| filter.matches(&schedule.component, schedule.environment));
    Ok(Json(Page::of_list(schedules, &page, key)?))
}

/// The place of a schedule in a list.
fn key(schedule: &ScheduleRecord) -> String {
    format!("{}/{}/{}", schedule.component, schedule.environment, schedule.name)
}

/// Show a schedule, its next ten due times and its last 20 ticks.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/components/{component}/environments/{environment}/schedules/{schedule}",
    operation_id = "schedules_show",
    tag = "schedules",
    params(SchedulePath),
    responses(
        (status = 200, description = "The schedule.", body = ScheduleDetails),
        (status = "default", description = refused!(404 "not-found"), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn show(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(path): ApiPath<SchedulePath>,
) -> Result<Response, Problem> {
    let (service, name) = path.split();
    let found = platform.schedule(&session, &service, &name).await?;
    Ok(with_etag(found.schedule.revision, found))
}

/// Pause a schedule.
///
/// No tick is due until it is resumed. Runs that began go on. `If-Match` with the revision refuses the change if the
/// schedule was changed meanwhile.
#[utoipa::path(
    post,
    path = "/tenants/{tenant}/components/{component}/environments/{environment}/schedules/{schedule}/pause",
    operation_id = "schedules_pause",
    tag = "schedules",
    params(SchedulePath),
    responses(
        (status = 200, description = "The paused schedule.", body = ScheduleRecord),
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
    ApiPath(path): ApiPath<SchedulePath>,
) -> Result<Response, Problem> {
    let (service, name) = path.split();
    let paused = platform.pause_schedule(&session, &service, &name, revision).await?;
    Ok(with_etag(paused.revision, paused))
}

/// Resume a schedule.
///
/// Its next tick is the next one that is due from now on; the ticks of the pause are not caught up. `If-Match` with the
/// revision refuses the change if the schedule was changed meanwhile.
#[utoipa::path(
    post,
    path = "/tenants/{tenant}/components/{component}/environments/{environment}/schedules/{schedule}/resume",
    operation_id = "schedules_resume",
    tag = "schedules",
    params(SchedulePath),
    responses(
        (status = 200, description = "The resumed schedule.", body = ScheduleRecord),
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
    ApiPath(path): ApiPath<SchedulePath>,
) -> Result<Response, Problem> {
    let (service, name) = path.split();
    let resumed = platform.resume_schedule(&session, &service, &name, revision).await?;
    Ok(with_etag(resumed.revision, resumed))
}

/// Run a schedule now, whether it is paused or not.
///
/// This is a tick of its own: the next one stays due when it was.
#[utoipa::path(
    post,
    path = "/tenants/{tenant}/components/{component}/environments/{environment}/schedules/{schedule}/run",
    operation_id = "schedules_run",
    tag = "schedules",
    params(SchedulePath),
    responses(
        (status = 202, description = "The job that runs it was enqueued.", body = EnqueuedJob),
        (
            status = "default",
            description = refused!(404 "not-found", 409 "wrong-state", 429 "quota-exceeded"),
            body = ProblemDocument,
            content_type = PROBLEM,
        ),
    ),
)]
async fn run(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(path): ApiPath<SchedulePath>,
) -> Result<(StatusCode, Json<EnqueuedJob>), Problem> {
    let (service, name) = path.split();
    let id = platform.run_schedule_now(&session, &service, &name).await?;
    Ok((StatusCode::ACCEPTED, Json(EnqueuedJob { id, existing: false })))
}
