//! Jobs: enqueued, listed, shown, cancelled, retried and discarded.

use super::extract::{ApiJson, ApiPath, ApiQuery, Authenticated, Page, PageQuery, Traceparent};
use super::problem::{PROBLEM, Problem, ProblemDocument, refused};
use super::services::ServicePath;
use axum::Json;
use axum::extract::State;
use elias_api::{ChangedJobs, EnqueueRequest, EnqueuedJob, JobFilter, JobRecord, JobSelection, JobState, StepRecord};
use elias_names::TenantId;
use elias_platform::{Platform, Session};
use http::StatusCode;
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Platform> {
    OpenApiRouter::new()
        .routes(routes!(enqueue))
        .routes(routes!(list))
        .routes(routes!(cancel_selected))
        .routes(routes!(retry_selected))
        .routes(routes!(discard_selected))
        .routes(routes!(show))
        .routes(routes!(steps))
        .routes(routes!(cancel))
        .routes(routes!(retry))
        .routes(routes!(discard))
}

/// A page of the jobs that a filter selects.
pub(super) async fn page_of(
    platform: &Platform,
    session: &Session,
    tenant: &TenantId,
    filter: JobFilter,
    page: PageQuery,
) -> Result<Page<JobRecord>, Problem> {
    let limit = page.limit()?;
    let filter = JobFilter { before: page.after.or(filter.before), ..filter };
    let found = platform.jobs(session, tenant, &filter, limit).await?;
    Ok(Page::new(found, limit, |job| job.id.clone()))
}

/// List the jobs of a tenant, newest first: unfinished ones, and ended ones whose records are kept.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/jobs",
    operation_id = "jobs_list",
    tag = "jobs",
    params(("tenant" = TenantId, Path, description = "The name of the tenant."), JobFilter, PageQuery),
    responses(
        (status = 200, description = "A page of jobs.", body = Page<JobRecord>),
        (status = "default", description = refused!(), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn list(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(tenant): ApiPath<TenantId>,
    ApiQuery(filter): ApiQuery<JobFilter>,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<Page<JobRecord>>, Problem> {
    Ok(Json(page_of(&platform, &session, &tenant, filter, page).await?))
}

/// Enqueue a job.
///
/// The response comes when the job can no longer be lost. With a `key` that a kept job has, nothing is enqueued and the
/// response has the id of that job.
#[utoipa::path(
    post,
    path = "/tenants/{tenant}/components/{component}/environments/{environment}/jobs",
    operation_id = "jobs_enqueue",
    tag = "jobs",
    params(ServicePath),
    request_body = EnqueueRequest,
    responses(
        (status = 202, description = "The job was enqueued.", body = EnqueuedJob),
        (
            status = "default",
            description = refused!(
                404 "not-found", 409 "idempotency-mismatch", 413 "too-large", 429 "quota-exceeded",
            ),
            body = ProblemDocument,
            content_type = PROBLEM,
        ),
    ),
)]
async fn enqueue(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(path): ApiPath<ServicePath>,
    Traceparent(cause): Traceparent,
    ApiJson(request): ApiJson<EnqueueRequest>,
) -> Result<(StatusCode, Json<EnqueuedJob>), Problem> {
    let (id, is_new) = platform.enqueue_job(&session, &path.into(), request, cause).await?;
    Ok((StatusCode::ACCEPTED, Json(EnqueuedJob { id, existing: !is_new })))
}

/// The path of a job.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
struct JobPath {
    /// The name of the tenant.
    tenant: TenantId,
    /// The id of the job.
    job: String,
}

/// Show a job.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/jobs/{job}",
    operation_id = "jobs_show",
    tag = "jobs",
    params(JobPath),
    responses(
        (status = 200, description = "The job.", body = JobRecord),
        (status = "default", description = refused!(404 "not-found"), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn show(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(path): ApiPath<JobPath>,
) -> Result<Json<JobRecord>, Problem> {
    Ok(Json(platform.job(&session, &path.tenant, &path.job).await?))
}

/// List the steps of a job, in the order of its journal.
///
/// They are kept as long as the job's record, of jobs that are done or cancelled the newest 100,000 of a tenant.
#[utoipa::path(
    get,
    path = "/tenants/{tenant}/jobs/{job}/steps",
    operation_id = "jobs_steps",
    tag = "jobs",
    params(JobPath, PageQuery),
    responses(
        (status = 200, description = "A page of steps.", body = Page<StepRecord>),
        (status = "default", description = refused!(404 "not-found"), body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn steps(
    State(platform): State<Platform>,
    Authenticated(session): Authenticated,
    ApiPath(path): ApiPath<JobPath>,
    ApiQuery(page): ApiQuery<PageQuery>,
) -> Result<Json<Page<StepRecord>>, Problem> {
    let limit = page.limit()?;
    let from = page.after_number()?.map_or(0, |after| after.saturating_add(1));
    let found = platform.job_steps(&session, &path.tenant, &path.job, from, limit).await?;
    Ok(Json(Page::new(found, limit, |step| step.position.to_string())))
}

/// Defines the handler of a route that changes one job by a method of the platform.
macro_rules! change_one {
    ($(#[doc = $doc:tt])+ $handler:ident, $path:tt, $operation_id:tt, $method:ident, $changed:tt) => {
        $(#[doc = $doc])+
        #[utoipa::path(
            post,
            path = $path,
            operation_id = $operation_id,
            tag = "jobs",
            params(JobPath),
            responses(
                (status = 204, description = $changed),
                (
                    status = "default",
                    description = refused!(404 "not-found", 409 "wrong-state"),
                    body = ProblemDocument,
                    content_type = PROBLEM,
                ),
            ),
        )]
        async fn $handler(
            State(platform): State<Platform>,
            Authenticated(session): Authenticated,
            ApiPath(path): ApiPath<JobPath>,
        ) -> Result<StatusCode, Problem> {
            platform.$method(&session, &path.tenant, &path.job).await?;
            Ok(StatusCode::NO_CONTENT)
        }
    };
}

change_one!(
    /// Cancel a job that waits, is ready or runs.
    ///
    /// A running job ends as soon as its host notices, within some seconds. Jobs that were to run after it are dead.
    cancel,
    "/tenants/{tenant}/jobs/{job}/cancel",
    "jobs_cancel",
    cancel_job,
    "The job is cancelled, or its host was told to cancel it."
);

change_one!(
    /// Retry a dead job.
    ///
    /// The job has all its attempts again, and keeps the steps that it finished.
    retry,
    "/tenants/{tenant}/jobs/{job}/retry",
    "jobs_retry",
    retry_job,
    "The job is ready again."
);

change_one!(
    /// Discard a dead job or dead letter.
    ///
    /// Its record is deleted, with the steps that it finished: it cannot be retried any more. Its unique key is free.
    discard,
    "/tenants/{tenant}/jobs/{job}/discard",
    "jobs_discard",
    discard_job,
    "The job is deleted."
);

/// Defines the handler of a route that changes the jobs of a selection by a method of the platform, which returns their
/// number. `$filter` makes the platform's filter of the selection.
macro_rules! change_selected {
    (
        $(#[doc = $doc:tt])+
        $handler:ident, $path:tt, $operation_id:tt, $tag:tt, $filter:ident, $method:ident, $changed:tt
    ) => {
        $(#[doc = $doc])+
        #[utoipa::path(
            post,
            path = $path,
            operation_id = $operation_id,
            tag = $tag,
            params(("tenant" = TenantId, Path, description = "The name of the tenant.")),
            request_body = JobSelection,
            responses(
                (status = 200, description = $changed, body = ChangedJobs),
                (status = "default", description = refused!(), body = ProblemDocument, content_type = PROBLEM),
            ),
        )]
        async fn $handler(
            State(platform): State<Platform>,
            Authenticated(session): Authenticated,
            ApiPath(tenant): ApiPath<TenantId>,
            ApiJson(selection): ApiJson<JobSelection>,
        ) -> Result<Json<ChangedJobs>, Problem> {
            let filter = $filter(selection)?;
            Ok(Json(ChangedJobs { jobs: platform.$method(&session, &tenant, &filter).await? }))
        }
    };
}
pub(super) use change_selected;

fn unfinished(selection: JobSelection) -> Result<JobFilter, Problem> {
    Ok(selection.filter(None))
}

fn dead(selection: JobSelection) -> Result<JobFilter, Problem> {
    Ok(selection.filter(Some(JobState::Dead)))
}

change_selected!(
    /// Discard the dead jobs of a selection.
    discard_selected,
    "/tenants/{tenant}/jobs/discard",
    "jobs_discard_selected",
    "jobs",
    dead,
    discard_jobs,
    "The number of jobs that were deleted."
);

change_selected!(
    /// Cancel the unfinished jobs of a selection.
    cancel_selected,
    "/tenants/{tenant}/jobs/cancel",
    "jobs_cancel_selected",
    "jobs",
    unfinished,
    cancel_jobs,
    "The number of jobs that were cancelled."
);

change_selected!(
    /// Retry the dead jobs of a selection.
    retry_selected,
    "/tenants/{tenant}/jobs/retry",
    "jobs_retry_selected",
    "jobs",
    dead,
    retry_jobs,
    "The number of jobs that are ready again."
);
